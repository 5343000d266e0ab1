"""Columns that were written as text: what type all their values have, and reading them as it.

Only what is unambiguous becomes a type: dates are ISO 8601 (``01/02/2024`` is a January or a
February), and whole numbers with leading zeros or more than 64 bits stay texts, since they are
codes that a number would damage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import polars as pl
from polars.datatypes import DataTypeClass

from torchyard.core.errors import BadData

if TYPE_CHECKING:
    from torchyard.records.schema import FieldKind, Schema

Types = dict[str, pl.DataType]

_INT, _FLOAT, _BOOL = pl.Int64(), pl.Float64(), pl.Boolean()
_DATE, _TIME, _TEXT = pl.Date(), pl.Datetime("us"), pl.String()
_WORDS: dict[pl.DataType, str] = {
    _INT: "a whole number",
    _FLOAT: "a number",
    _BOOL: "true or false",
    _DATE: "a date such as 2024-07-31",
    _TIME: "a local date and time such as 2024-07-31T18:05:00, without an offset",
}
_DECLARED: dict[FieldKind, pl.DataType] = {
    "number": _FLOAT,
    "integer": _INT,
    "boolean": _BOOL,
    "category": _TEXT,
    "text": _TEXT,
    "id": _TEXT,
    "image": _TEXT,
    "timestamp": _TIME,
}
_TRUE, _FALSE = ["true", "yes", "1"], ["false", "no", "0"]
_HEAD_ROWS = 200
_PLAIN = "values"  # what series are called here: polars reads some names of columns as patterns
_TIME_FORMS = (
    "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d",
)  # fmt: skip


def declared_types(schema: Schema | None) -> Types:
    """How a schema has columns of texts read, by name. Pictures are texts still: their paths."""
    fields = () if schema is None else schema.fields
    return {field.name: _DECLARED[field.kind] for field in fields if field.kind in _DECLARED}


def withheld_names(schema: Schema | None) -> frozenset[str]:
    """The fields whose values errors do not show."""
    return frozenset(field.name for field in (schema.fields if schema else ()) if field.personal)


class Guess:
    """The type that every value of one column of texts has, narrowed chunk by chunk.

    Example:
        >>> guess = Guess()
        >>> guess.see(pl.Series(["1", None, "2"]))
        >>> guess.see(pl.Series(["2.5"]))
        >>> guess.type
        Float64
    """

    def __init__(self) -> None:
        self._open = [_INT, _BOOL, _DATE, _TIME, _FLOAT]
        self._empty = True

    def see(self, values: pl.Series) -> None:
        """Narrow by more values; missing and empty ones fit every type."""
        values = values.alias(_PLAIN)
        present = values.filter(values.is_not_null() & (values != ""))
        if present.is_empty():
            return
        self._empty = False
        self._narrow(present.head(_HEAD_ROWS))
        self._narrow(present)

    def _narrow(self, values: pl.Series) -> None:
        if _FLOAT in self._open and _are_codes(values):
            self._open = [dtype for dtype in self._open if dtype not in (_INT, _FLOAT)]
        whole = _INT in self._open and _all_are(values, _INT)
        self._open = [
            dtype
            for dtype in self._open
            if (whole if dtype == _INT else (dtype == _FLOAT and whole) or _all_are(values, dtype))
        ]

    @property
    def type(self) -> pl.DataType:
        """The narrowest type that fits: ``Null`` while every value was missing."""
        if self._empty:
            return pl.Null()
        return self._open[0] if self._open else _TEXT


def read_texts(
    frame: pl.DataFrame,
    types: Types,
    *,
    place: Callable[[str, int], str],
    withheld: frozenset[str],
) -> pl.DataFrame:
    """A frame of texts, read as the types given.

    Args:
        frame: ``String`` columns, empty cells null.
        types: by column.
        place: names a column's row (counted from 0 in this frame) for a person.
        withheld: columns whose values errors do not show.

    Raises:
        BadData: a value is not of its column's type.
    """
    return pl.DataFrame(
        [
            read_column(frame[name], dtype, place, withheld).alias(name)
            for name, dtype in types.items()
        ]
    )


def read_column(
    values: pl.Series,
    dtype: pl.DataType,
    place: Callable[[str, int], str],
    withheld: frozenset[str],
) -> pl.Series:
    """One column of texts, read as a type: see ``read_texts``."""
    if dtype == _TEXT:
        return values
    if dtype == pl.Null():
        return pl.Series(values.name, [None] * len(values), dtype=pl.Null)
    name, values = values.name, values.alias(_PLAIN)
    read = _parse(values, dtype, words=True)
    wrong = read.is_null() & values.is_not_null() & (values != "")
    if wrong.any():
        row = int(wrong.arg_true()[0])
        raise BadData(
            where=place(name, row),
            found="a personal value" if name in withheld else repr(values[row]),
            expected=f"{_WORDS[dtype]}, as declared",
            remedy="Correct the value (leave the cell empty where it is missing), or declare the "
            "field with another kind.",
        )
    return read.alias(name)


def _parse(values: pl.Series, dtype: pl.DataType, *, words: bool = False) -> pl.Series:
    """The values as a type, null where one is not of it.

    ``words`` reads other spellings too: yes, no, 1 and 0, and ``3.0`` as the whole number 3, as
    pandas writes integers with gaps.
    """
    if dtype == _BOOL:
        lower = values.str.strip_chars().str.to_lowercase()
        known = 3 if words else 1
        true, false = lower.is_in(_TRUE[:known]), lower.is_in(_FALSE[:known])
        return pl.select(pl.when(true | false).then(true)).to_series()
    if dtype == _DATE:
        return values.str.strip_chars().str.to_date("%Y-%m-%d", strict=False)
    if dtype == _TIME:
        return read_as_times(values)
    read = values.cast(dtype, strict=False)
    if read.null_count() == values.null_count():
        return read
    left = values.filter(read.is_null()).str.strip_chars()
    again = _whole(left) if dtype == _INT and words else left.cast(dtype, strict=False)
    return read if again.null_count() == len(again) else _fill(read, again)


def _whole(values: pl.Series) -> pl.Series:
    """Texts of whole numbers as Int64, also such as ``3.0`` up to where each has a double."""
    numbers = values.cast(_FLOAT, strict=False)
    exact = (numbers == numbers.round()) & (numbers.abs() < 2**53)
    return values.cast(_INT, strict=False).zip_with(~exact, numbers.set(~exact, 0).cast(_INT))


def read_as_times(values: pl.Series) -> pl.Series:
    """Texts as ``Datetime(us)``, null where one is no ISO 8601 date or local time.

    Each form is tried only on what the ones before it left, so the usual case costs one pass.
    """
    read = pl.Series(values.name, [None], dtype=_TIME).new_from_index(0, len(values))
    for form in _TIME_FORMS:
        left = read.is_null() & values.is_not_null()
        if not left.any():
            break
        texts = values if left.all() else values.filter(left)
        if form.endswith("%d"):
            again = texts.str.strip_chars().str.to_date(form, strict=False).cast(_TIME)
        else:
            again = texts.str.to_datetime(form, time_unit="us", strict=False)
        read = again if left.all() else read.scatter(left.arg_true(), again)
    return read


def instance(dtype: DataTypeClass | pl.DataType) -> pl.DataType:
    """A type inside another one, which polars may give as a class."""
    return dtype() if isinstance(dtype, type) else dtype


def _fill(read: pl.Series, again: pl.Series) -> pl.Series:
    """``read`` with its nulls, in order, replaced by the values of ``again``."""
    return read.scatter(read.is_null().arg_true(), again)


def _all_are(values: pl.Series, dtype: pl.DataType) -> bool:
    return _parse(values, dtype).null_count() == 0


def _are_codes(values: pl.Series) -> bool:
    """Whether a value would lose digits as a number: ``007``, or more than 64 bits."""
    padded = values.str.starts_with("0") & (values.str.len_bytes() > 1)
    long = values.str.len_bytes() > 18
    suspects = values.filter(padded | long)
    if suspects.is_empty():
        return False
    digits = suspects.filter(suspects.str.contains(r"^[+-]?\d+$"))
    return bool((digits.str.starts_with("0") | digits.cast(_INT, strict=False).is_null()).any())
