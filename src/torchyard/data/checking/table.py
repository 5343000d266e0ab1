"""From columns as they were read to the types and the order of a schema.

Casts are safe: none loses a value. Missing takes one form, null, so that the same rows are the same
whatever file or library they came from: NaN in a number, an empty text and an empty picture are
missing, as in the raw columns. No rule is applied here; what cannot be a column of the schema at
all is refused whole.

| Kind | Takes | As |
|---|---|---|
| number | any number | Float64 |
| integer | whole numbers; floats if every one is whole | Int64 |
| boolean | booleans | Boolean |
| category, text | texts (also Categorical, Enum) | String |
| id | texts, whole numbers | String |
| timestamp | dates and times without a zone | Datetime(us) |
| image | bytes | Binary |
| tensor | arrays or nested lists of numbers | Array of Float32 or Int64 |

Numbers written as text are not parsed: a schema that has to guess is no schema.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import polars as pl

from torchyard.core.errors import BadData, nearest
from torchyard.data.checking.ranges import Range, value_range
from torchyard.data.checking.tensors import fit_tensor
from torchyard.data.reading.asking import ask
from torchyard.records.schema import Field, FieldKind, Schema

_MOST_INTEGER = 2**63 - 1
_LOOKED_AT = 100
_TYPES: dict[FieldKind, tuple[pl.DataType, str]] = {
    "number": (pl.Float64(), "numbers"),
    "integer": (pl.Int64(), "whole numbers"),
    "boolean": (pl.Boolean(), "true or false"),
    "category": (pl.String(), "texts"),
    "text": (pl.String(), "texts"),
    "id": (pl.String(), "texts or whole numbers"),
    "timestamp": (pl.Datetime("us"), "local dates and times, without an offset"),
    "image": (pl.Binary(), "encoded pictures as bytes"),
}
_TEXTS = (pl.String, pl.Categorical, pl.Enum)


@dataclass(frozen=True, slots=True)
class Table:
    """A chunk in the schema's columns.

    ``misshapen`` holds, per tensor field that has any, true for rows whose value has another shape
    and became null. ``unknown`` names columns that the schema does not know; they were left out.
    ``ranges`` holds bounds of each number and integer: see ``value_range``.
    """

    frame: pl.DataFrame
    misshapen: dict[str, pl.Series]
    unknown: tuple[str, ...]
    ranges: dict[str, Range]


def fit_table(frame: pl.DataFrame, schema: Schema, *, label: Field | None, source: str) -> Table:
    """The schema's columns in its order, then the label's.

    Args:
        frame: rows as read.
        schema: the fields.
        label: see ``labels.label_field``; None where there is none.
        source: what errors call the rows.

    Raises:
        BadData: a column is missing or of another type.
    """
    wanted = [*schema.fields, *([] if label is None else [label])]
    for field in wanted:
        if field.name not in frame.columns:
            raise _absent(field, wanted, frame.columns, source)
    misshapen: dict[str, pl.Series] = {}
    tensors = []
    for field in wanted:
        if field.kind == "tensor":
            tensor, wrong = fit_tensor(frame[field.name], field, source)
            tensors.append(tensor)
            if wrong.any():
                misshapen[field.name] = wrong
    flat = [field for field in wanted if field.kind != "tensor"]
    columns = [_cast(frame[field.name], field, source) for field in flat]
    typed = frame.select(*columns, *tensors)
    ranges = {f.name: value_range(typed[f.name]) for f in flat if f.kind in ("number", "integer")}
    # pandas has NaN under what is missing too
    ranges |= {name: value_range(typed[name].fill_null(0)) for name in _odd(ranges)}
    odd = _odd(ranges)
    typed = _with_nulls(typed, flat, odd)
    ranges |= {name: value_range(typed[name].fill_null(0)) for name in odd}
    names = [field.name for field in wanted]
    unknown = tuple(name for name in frame.columns if name not in names)
    return Table(typed.select(names), misshapen, unknown, ranges)


def _odd(ranges: Mapping[str, Range]) -> set[str]:
    return {name for name, (low, _) in ranges.items() if math.isnan(low)}


def _cast(series: pl.Series, field: Field, source: str) -> pl.Expr:
    kind, column = series.dtype, pl.col(field.name)
    target = _TYPES[field.kind][0]
    if kind == pl.Null and (field.optional or series.is_empty()):
        return column.cast(target)
    fits = {
        "number": kind.is_numeric(),
        "integer": kind.is_integer() or kind.is_float(),
        "boolean": kind == pl.Boolean,
        "category": kind in _TEXTS,
        "text": kind in _TEXTS,
        "id": kind in _TEXTS or kind.is_integer(),
        "timestamp": kind == pl.Date or (isinstance(kind, pl.Datetime) and kind.time_zone is None),
        "image": kind == pl.Binary,
    }
    if not fits[field.kind]:
        raise _other_type(series, field, source)
    if field.kind == "integer":
        return _whole(series, field, source)
    return column if kind == target else column.cast(target)


def _whole(series: pl.Series, field: Field, source: str) -> pl.Expr:
    """Integers; floats too if all of them are whole, as pandas keeps integers with gaps."""
    column = pl.col(field.name)
    if series.dtype.is_float():
        too_large = (column.abs() >= 2.0**63) & column.is_not_nan()
        odd = (column != column.floor()) | too_large
        if ask(series.to_frame(), [odd.any()]).item():
            raise _other_type(series.to_frame().filter(odd).to_series(), field, source)
        return column.cast(pl.Int64, strict=False)  # NaN, the only one that does not fit, is null
    if series.dtype in (pl.UInt64, pl.Int128, pl.UInt128):
        # beyond 64 bits is beyond 53 bits: the rule on size counts such values
        column = column.clip(upper_bound=_MOST_INTEGER)
    return column if series.dtype == pl.Int64 else column.cast(pl.Int64)


def _with_nulls(frame: pl.DataFrame, fields: Sequence[Field], odd: Set[str]) -> pl.DataFrame:
    """NaN, empty texts and empty pictures become null; columns without any stay as they are.

    ``odd`` names the numbers that may hold a NaN.
    """
    sizes = {
        field.name: pl.col(field.name).bin.size()
        if field.kind == "image"
        else pl.col(field.name).str.len_bytes()
        for field in fields
        if field.kind in ("category", "text", "id", "image")
    }
    empty = ask(frame, ((size == 0).any().alias(name) for name, size in sizes.items()))
    return frame.with_columns(
        *(
            pl.when(sizes[column.name] > 0).then(pl.col(column.name)).alias(column.name)
            for column in empty
            if column[0]
        ),
        *(pl.col(name).fill_nan(None) for name in odd),
    )


def _absent(field: Field, wanted: Sequence[Field], columns: Sequence[str], source: str) -> BadData:
    is_nothing_known = not any(other.name in columns for other in wanted)
    return BadData(
        where=f"{source}, column '{field.name}'",
        found="no such column",
        expected=_expected(field),
        remedy="None of the columns is declared: does the file begin with their names?"
        if is_nothing_known
        else nearest(field.name, columns),
    )


def _other_type(series: pl.Series, field: Field, source: str) -> BadData:
    values = series.drop_nulls().head(_LOOKED_AT).to_list()
    shown = ", ".join(list(dict.fromkeys(repr(value)[:80] for value in values))[:3])
    such = "" if field.personal else f" such as {shown}"
    return BadData(
        where=f"{source}, column '{field.name}'",
        found=f"{series.dtype} values{such}" if shown else "no value at all",
        expected=_expected(field),
        remedy="Clean or convert the column, or declare it with another kind.",
    )


def _expected(field: Field) -> str:
    if field.kind == "tensor":
        return f"numbers in the shape {list(field.shape)}"
    return _TYPES[field.kind][1]
