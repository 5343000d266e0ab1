"""Stand-ins for personal values in rows that leave the project: golden requests of a release.

A stand-in fits its field's rules, so that the row is still one that a client could send, and says
nothing about the person: it is made from the field's name and the row's place alone. One case needs
the value itself: a pattern, which every letter and digit of it is replaced under.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

import numpy as np
import polars as pl

from torchyard.core.errors import BadData
from torchyard.records.schema import Field, Schema

# One grey pixel, as a PNG file.
STAND_IN_IMAGE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJRU5ErkJggg=="
)

_DIGITS = "0123456789"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_NEAR = 12  # letters of other alphabets are exchanged for letters this near in Unicode
_WHOLE_RANGE = 100  # of whole numbers that are not bounded on both sides


def with_stand_ins(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Rows without personal values: missing where the field is optional, made up where it is not.

    Fields that may be logged (``allow=["log"]``) are kept as they are. The same rows give the same
    stand-ins.

    Args:
        frame: checked rows, with the schema's fields as columns.
        schema: the fields.

    Raises:
        BadData: no value but the person's own can be made to match a field's pattern.

    Example:
        >>> schema = Schema(fields=(Field(name="age", kind="integer", ge=0, le=120, personal=True),
        ...                         Field(name="tail", kind="id", optional=True, personal=True)))
        >>> with_stand_ins(pl.DataFrame({"age": [41], "tail": ["N14228"]}), schema).row(0)
        (26, None)
    """
    withheld = [field for field in schema.fields if field.is_withheld]
    return frame.with_columns(_column(field, frame[field.name]) for field in withheld)


def _column(field: Field, values: pl.Series) -> pl.Series:
    if field.optional:
        return pl.Series(field.name, [None] * len(values), dtype=values.dtype)
    made = [_made_up(field, place, value) for place, value in enumerate(values.to_list())]
    return pl.Series(field.name, made, dtype=values.dtype)


def _made_up(field: Field, place: int, value: Any) -> Any:
    share = _share(field.name, place)
    match field.kind:
        case "number":
            return _number(field, share)
        case "integer":
            return _whole(field, share)
        case "boolean":
            return share < 0.5
        case "timestamp":
            return datetime(2000, 1, 1) + timedelta(minutes=int(share * 366 * 24 * 60))
        case "image":
            return STAND_IN_IMAGE
        case "tensor":
            element = _number(field, share) if field.dtype == "float32" else _whole(field, share)
            return np.full(field.shape, element, dtype=field.dtype).tolist()
        case _:
            return _text(field, place, value)


def _share(*names: object) -> float:
    """A number in [0, 1) that only depends on the names."""
    hashed = blake2b("\n".join(map(str, names)).encode(), digest_size=6)
    return int.from_bytes(hashed.digest(), "big") / (1 << 48)


def _number(field: Field, share: float) -> float:
    low = field.ge if field.ge is not None else min(0.0, (field.le or 0.0) - 1)
    high = field.le if field.le is not None else max(1.0, low + 1)
    return min(max(low * (1 - share) + high * share, low), high)


def _whole(field: Field, share: float) -> int:
    if field.ge is not None:
        low = math.ceil(field.ge)
    else:
        low = 0 if field.le is None else math.floor(field.le) - _WHOLE_RANGE
    high = low + _WHOLE_RANGE if field.le is None else math.floor(field.le)
    return min(low + int(share * (high - low + 1)), high)


def _text(field: Field, place: int, value: str) -> str:
    if field.values:
        allowed = [other for other in field.values if _fits(field, other)]
        return allowed[int(_share(field.name, place) * len(allowed))]
    if field.pattern is None:
        text = f"stand-in {place}".ljust(field.min_length or 0, ".")
        return text if field.max_length is None else text[-field.max_length :]
    made = _rewritten(field, place, value)
    if made == value:
        raise BadData(
            where=f"field '{field.name}', which is personal",
            found="a pattern that no other value could be made up for",
            expected="golden requests without personal values",
            remedy=f"Declare {field.name} optional=True, or, if it may be, allow=['log'].",
        )
    return made


def _rewritten(field: Field, place: int, value: str) -> str:
    """A text with every letter and digit exchanged that the rules let be exchanged."""
    made = value
    for index, old in enumerate(value):
        for new in _alike(old, _share(field.name, place, index)):
            other = made[:index] + new + made[index + 1 :]
            if _fits(field, other):
                made = other
                break
    return made


def _alike(old: str, share: float) -> Iterator[str]:
    """Other characters of a letter's or a digit's sort, from a place in the alphabet on."""
    if old.isdigit():
        alphabet = _DIGITS
    elif old.isalpha():
        near = (chr(ord(old) + step) for step in range(-_NEAR, _NEAR + 1) if ord(old) + step > 0)
        letters = _LETTERS.upper() if old.isupper() else _LETTERS
        alphabet = letters + "".join(c for c in near if c.isalpha() and not c.isascii())
    else:
        return
    start = int(share * len(alphabet))
    yield from (new for new in alphabet[start:] + alphabet[:start] if new != old)


def _fits(field: Field, text: str) -> bool:
    least, most = field.min_length or 0, field.max_length
    if len(text) < least or (most is not None and len(text) > most):
        return False
    return field.pattern is None or re.fullmatch(field.pattern, text) is not None
