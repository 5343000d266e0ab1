"""Rules and values in words: what a field accepts, and of what kind a value is.

No word here repeats what a client sent: a refusal may be shown by a page, kept by a log, or read by
somebody else than its sender. Which value is at fault, and where, is ``misfit``'s.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection

from torchyard.core.errors import nearest
from torchyard.core.wording import counted, listed
from torchyard.records.schema import LARGEST_IMAGE_BYTES, Field

_MOST_LISTED = 10
_LARGE = 2**53  # a larger one cannot be told from its neighbours
_BLANK = re.compile(r"\s")
_ZONED = re.compile(r"(?:[zZ]|[+-]\d\d:?\d\d)$")
_FOREIGN = re.compile(r"[^A-Za-z0-9+/=]")


def describe(field: Field) -> str:
    """What a field accepts, in words.

    Example:
        >>> describe(Field(name="distance", kind="number", ge=0, le=6000, unit="miles"))
        'a number from 0 to 6000 miles'
        >>> describe(Field(name="origin", kind="category", values=("EWR", "JFK"), optional=True))
        "one of 'EWR', 'JFK', or null"
        >>> describe(Field(name="tail", kind="id", pattern="N[0-9]+", max_length=6))
        "text of 1 to 6 characters that matches 'N[0-9]+'"
        >>> describe(Field(name="pixels", kind="tensor", shape=(3, 8, 8), ge=0, le=1))
        'nested lists of 3 x 8 x 8 float32 numbers from 0 to 1'
    """
    text = _accepted(field)
    return f"{text}, or null" if field.optional else text


def kind_of(value: object) -> str:
    """What a JSON value is, without a character of it: refusals reflect nothing that was sent.

    Example:
        >>> kind_of("EWR"), kind_of(None), kind_of(-12.5), kind_of([1, 2])
        ('a text of 3 characters', 'null', 'a number', 'a list of 2')
    """
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return f"a text of {counted(len(value), 'character')}" if value else "an empty text"
        case list():
            return f"a list of {len(value):,}" if value else "an empty list"
        case dict():
            return "an object"
        case _:
            return "a value of another kind"


def breach_of(value: object, field: Field) -> str:
    """What a JSON value is, and which rule of its field it breaks, as far as that is plain.

    Example:
        >>> field = Field(name="distance", kind="number", ge=0, le=6000)
        >>> breach_of(-4, field), breach_of("719", field)
        ('a number below 0', 'a text of 3 characters')
    """
    if isinstance(value, bool) or value is None:
        return kind_of(value)
    if isinstance(value, int | float):
        return _numeric_breach(value, field)
    if not isinstance(value, str) or not value:
        return kind_of(value)
    if field.kind == "timestamp":
        return "a time with a zone" if _ZONED.search(value) else f"{kind_of(value)} that is no time"
    if field.values:
        return f"{kind_of(value)} that is none of them"
    return kind_of(value)


def suggested(word: str, known: Collection[str]) -> str:
    """A sentence that suggests the closest of some known words, empty when none is close.

    Example:
        >>> suggested("sout", ["north", "south"])
        "Did you mean 'south'?"
    """
    sentence = nearest(word, known)
    return sentence if sentence.startswith("Did you mean") else ""


def unreadable_image(value: object, name: str) -> tuple[str, str]:
    """What is wrong with a value that should be a picture as base64 text, and what to do.

    Example:
        >>> unreadable_image("data:image/png;base64,iVBO", "photo")
        ('a data: URL', "Send only what follows 'base64,' as 'photo'.")
    """
    if not isinstance(value, str) or not value:
        send = f"Send the bytes of the picture's file as base64 text in '{name}'."
        return kind_of(value), send
    if value.startswith("data:"):
        return "a data: URL", f"Send only what follows 'base64,' as '{name}'."
    if _BLANK.search(value):
        return "base64 with line breaks or spaces", f"Send '{name}' as one line without spaces."
    if "-" in value or "_" in value:
        return (
            "base64 in the alphabet for URLs",
            f"Encode '{name}' with '+' and '/' in place of '-' and '_'.",
        )
    encode = f"Encode the bytes of the picture's file as base64 in '{name}'."
    if foreign := _FOREIGN.search(value):
        return f"something at character {foreign.start():,} that base64 does not have", encode
    if len(value) % 4:
        return (
            f"{len(value):,} characters of base64, not a multiple of four",
            f"Send '{name}' whole, filled up with '=' at its end.",
        )
    if len(value) // 4 * 3 > LARGEST_IMAGE_BYTES:
        return f"{len(value) // 4 * 3:,} bytes", f"Send '{name}' in a smaller size."
    return f"{kind_of(value)} that is not base64", encode


def _numeric_breach(value: float, field: Field) -> str:
    if field.ge is not None and value < field.ge:
        return f"a number below {_plain(field.ge)}"
    if field.le is not None and value > field.le:
        return f"a number above {_plain(field.le)}"
    if isinstance(value, float) and (field.kind == "integer" or field.dtype == "int64"):
        return "a number written with a fraction"
    if isinstance(value, float) and not math.isfinite(value):
        return "a number that is not finite"
    return "a number too large" if abs(value) > _LARGE else "a number"


def _accepted(field: Field) -> str:
    match field.kind:
        case "number":
            return f"a number{_bounds(field)}"
        case "integer":
            return f"a whole number{_bounds(field)}"
        case "boolean":
            return "true or false"
        case "timestamp":
            return "a time without a zone, such as '2013-07-01T09:30:00'"
        case "image":
            most = LARGEST_IMAGE_BYTES >> 20
            return f"a picture's file as base64 text, at most {most} MiB of bytes"
        case "tensor":
            sizes = " x ".join(map(str, field.shape))
            return f"nested lists of {sizes} {field.dtype} numbers{_bounds(field)}"
        case _:
            if not field.values:
                return _text(field)
            return f"one of {listed(field.values, most=_MOST_LISTED, show=repr)}"


def _bounds(field: Field) -> str:
    unit = f" {field.unit}" if field.unit else ""
    low, high = (_plain(bound) for bound in (field.ge, field.le))
    if low and high:
        return f" from {low} to {high}{unit}"
    if low:
        return f" of at least {low}{unit}"
    return f" of at most {high}{unit}" if high else ""


def _plain(bound: float | None) -> str:
    return "" if bound is None else f"{bound:.15g}"


def _text(field: Field) -> str:
    least, most = field.min_length or 1, field.max_length
    pattern = f" that matches {field.pattern!r}" if field.pattern else ""
    if most is not None:
        return f"text of {least} to {most} characters{pattern}"
    if least > 1:
        return f"text of at least {least} characters{pattern}"
    return f"text{pattern}" if field.optional or pattern else "text that is not empty"
