"""Rules and values in words: what a field accepts, and a value as a person would write it.

Which value is at fault, and where, is ``misfit``'s.
"""

from __future__ import annotations

import re

import msgspec

from torchyard.core.wording import listed
from torchyard.records.schema import LARGEST_IMAGE_BYTES, Field

_LONGEST_VALUE = 80
_MOST_LISTED = 10
_BLANK = re.compile(r"\s")
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


def show(value: object) -> str:
    """A JSON value as a person would write it, shortened.

    Example:
        >>> show("EWR"), show(None), show([1, 2])
        ("'EWR'", 'null', '[1,2]')
        >>> show("a" * 5000).endswith("aaa... (5,000 characters)")
        True
    """
    text = repr(value) if isinstance(value, str) else msgspec.json.encode(value).decode()
    if len(text) <= _LONGEST_VALUE:
        return text
    size = f" ({len(value):,} characters)" if isinstance(value, str) else ""
    return f"{text[:_LONGEST_VALUE]}...{size}"


def unreadable_image(value: object, name: str) -> tuple[str, str]:
    """What is wrong with a value that should be a picture as base64 text, and what to do.

    Example:
        >>> unreadable_image("data:image/png;base64,iVBO", "photo")
        ('a data: URL', "Send only what follows 'base64,' as 'photo'.")
    """
    if not isinstance(value, str):
        return show(value), f"Send the bytes of the picture's file as base64 text in '{name}'."
    if not value:
        return "''", f"Send the bytes of the picture's file as base64 text in '{name}'."
    if value.startswith("data:"):
        return "a data: URL", f"Send only what follows 'base64,' as '{name}'."
    if _BLANK.search(value):
        return "base64 with line breaks or spaces", f"Send '{name}' as one line without spaces."
    if "-" in value or "_" in value:
        return (
            "base64 in the alphabet for URLs",
            f"Encode '{name}' with '+' and '/' in place of '-' and '_'.",
        )
    if foreign := _FOREIGN.search(value):
        return (
            f"{foreign[0]!r} at character {foreign.start()}, which base64 does not have",
            f"Encode the bytes of the picture's file as base64 in '{name}'.",
        )
    if len(value) % 4:
        return (
            f"{len(value):,} characters of base64, not a multiple of four",
            f"Send '{name}' whole, filled up with '=' at its end.",
        )
    if len(value) // 4 * 3 > LARGEST_IMAGE_BYTES:
        return f"{len(value) // 4 * 3:,} bytes", f"Send '{name}' in a smaller size."
    return show(value), f"Encode the bytes of the picture's file as base64 in '{name}'."


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
