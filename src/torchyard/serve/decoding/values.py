"""From a field's rules to the type that JSON values of it are decoded as.

Decoding checks everything, but for what rounding makes of the elements of tensors: see ``arrays``.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from torchyard.core.errors import BadRecord
from torchyard.records.schema import LARGEST_IMAGE_BYTES, Field

LARGEST_WHOLE = 2**53  # beyond it a double, which is what enters the graph, skips whole numbers
_FLAGS = re.compile(r"\(\?[aimsux]+\)")
_INT64 = np.iinfo(np.int64)


def json_type(field: Field) -> Any:
    """The type for msgspec that accepts exactly the JSON values that a field allows.

    Bounds are inclusive, and a pattern holds for the whole value. The empty text is a missing one:
    refused unless the field is optional, and then allowed whatever its rules. A tensor is nested
    lists still, see ``arrays``.

    Raises:
        BadRecord: none of the allowed values obeys the other rules.
    """
    kind = _required_type(field)
    return kind | None if field.optional and field.kind != "tensor" else kind


def _required_type(field: Field) -> Any:
    match field.kind:
        case "number":
            return Annotated[float, Meta(ge=field.ge, le=field.le)]
        case "integer":
            return _whole(field, -LARGEST_WHOLE, LARGEST_WHOLE)
        case "boolean":
            return bool
        case "timestamp":
            return Annotated[datetime, Meta(tz=False)]
        case "image":
            least = 0 if field.optional else 1
            return Annotated[bytes, Meta(min_length=least, max_length=LARGEST_IMAGE_BYTES)]
        case "tensor":
            return _nested(field)
        case _:
            return _one_of(field) if field.values else _text(field)


def _whole(field: Field, lowest: int, highest: int) -> Any:
    low = lowest if field.ge is None else max(lowest, math.ceil(field.ge))
    high = highest if field.le is None else min(highest, math.floor(field.le))
    return Annotated[int, Meta(ge=low, le=high)]


def _nested(field: Field) -> Any:
    is_whole = field.dtype == "int64"
    kind: Any = _whole(field, int(_INT64.min), int(_INT64.max)) if is_whole else float
    for size in reversed(field.shape):
        kind = Annotated[list[kind], Meta(min_length=size, max_length=size)]
    return kind


def _one_of(field: Field) -> Any:
    text = msgspec.json.Decoder(_text(field))
    allowed = [value for value in field.values if _fits(text, value)]
    if not allowed:
        raise BadRecord(
            where=f"field '{field.name}'",
            found="allowed values that all break its pattern or its length",
            expected="at least one value that fits",
            remedy="Correct the field's rules and release again.",
        )
    return Literal[tuple(allowed + [""] * field.optional)]


def _fits(text: msgspec.json.Decoder[str], value: str) -> bool:
    try:
        text.decode(msgspec.json.encode(value))
    except msgspec.ValidationError:
        return False
    return True


def _text(field: Field) -> Any:
    least, most, pattern = field.min_length, field.max_length, field.pattern
    if not field.optional:
        least = max(least or 1, 1)
        whole = None if pattern is None else _whole_match(pattern)
        return Annotated[str, Meta(min_length=least, max_length=most, pattern=whole)]
    if pattern is None and (least or 0) <= 1:
        return str if most is None else Annotated[str, Meta(max_length=most)]
    # The empty text is allowed whatever the other rules, so they all go into one pattern.
    whole = _whole_match(pattern or r"[\s\S]*", least=least or 0, or_empty=True)
    return Annotated[str, Meta(max_length=most, pattern=whole)]


def _whole_match(pattern: str, *, least: int = 0, or_empty: bool = False) -> str:
    """A pattern for ``re.search`` that finds what ``re.fullmatch`` would find of another."""
    flags = _FLAGS.match(pattern)
    head = flags[0] if flags else ""  # flags of a whole pattern may stand at its start only
    end = "\n" if "x" in head else ""  # so that a comment at its end is closed
    long_enough = rf"(?=[\s\S]{{{least}}})" if least else ""
    either = "|" if or_empty else ""
    return rf"{head}\A(?:{long_enough}(?:{pattern[len(head) :]}{end}){either})\Z"
