"""Raw columns: the arrays that enter a graph, from a frame in training and from rows in serving.

One array per field; shapes, types and missing values as in ARCHITECTURE.md. Both ways in give the
same bits for the same values: the tests compare them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, final

import numpy as np

from torchyard.core.errors import BadData
from torchyard.records.schema import Field, FieldKind, Schema

if TYPE_CHECKING:
    import polars as pl

Column = np.ndarray[Any, np.dtype[Any]]
Columns = Mapping[str, Column]

MISSING_TIME = int(np.iinfo(np.int64).min)
MISSING_TEXT = ""
MISSING_IMAGE = b""

_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_NUMERIC: frozenset[FieldKind] = frozenset({"number", "integer", "boolean"})


def columns_from_rows(schema: Schema, rows: Sequence[object]) -> dict[str, Column]:
    """Raw columns of request rows.

    Args:
        schema: the fields, which give order and kinds.
        rows: objects with one attribute per field; None where a value is missing. Values are
            already checked: float or int, bool, str, naive ``datetime``, bytes, nested lists.

    Returns:
        Field name to raw column.

    Raises:
        BadData: a tensor has another shape.
    """
    return {
        field.name: column_from_values(field, [getattr(row, field.name) for row in rows])
        for field in schema.fields
    }


@final
class RowColumns:
    """``columns_from_rows`` for one schema, faster: numbers of all fields go into one array.

    Args:
        schema: the fields, which give order and kinds.
        attributes: the rows' attribute of each field, in the schema's order.
    """

    def __init__(self, schema: Schema, attributes: Sequence[str]) -> None:
        self._fields = schema.fields
        self._numbers = [n for n, field in enumerate(schema.fields) if field.kind in _NUMERIC]
        self._others = [n for n, field in enumerate(schema.fields) if field.kind not in _NUMERIC]
        # of two attributes at least, it gives a tuple
        self._values = attrgetter(*attributes, *attributes[:1])

    def __call__(self, rows: Sequence[object]) -> dict[str, Column]:
        """Raw columns of request rows, by field name; see ``columns_from_rows``.

        Raises:
            BadData: a tensor has another shape.
        """
        by_field = list(zip(*map(self._values, rows), strict=True))
        columns: dict[str, Column] = {}
        if self._numbers:
            numbers = np.array([by_field[n] for n in self._numbers], dtype=np.float64)
            for n, column in zip(self._numbers, numbers[:, :, np.newaxis], strict=True):
                columns[self._fields[n].name] = column
        for n in self._others:
            field = self._fields[n]
            columns[field.name] = column_from_values(field, by_field[n])
        return columns


def column_from_values(field: Field, values: Sequence[Any]) -> Column:
    """One raw column from Python values with None where missing.

    Raises:
        BadData: a tensor has another shape.
    """
    if field.kind in _NUMERIC:
        return np.array(values, dtype=np.float64).reshape(-1, 1)
    if field.kind == "timestamp":
        times = [
            MISSING_TIME if value is None else (value - _EPOCH) // _MICROSECOND for value in values
        ]
        return np.array(times, dtype=np.int64).reshape(-1, 1)
    if field.kind == "tensor":
        return _tensor(field, values, len(values))
    missing = MISSING_IMAGE if field.kind == "image" else MISSING_TEXT
    things = np.empty((len(values), 1), dtype=object)
    things[:, 0] = [missing if value is None else value for value in values]
    return things


def columns_from_frame(schema: Schema, frame: pl.DataFrame) -> dict[str, Column]:
    """Raw columns of a polars frame that has the schema's fields as columns.

    Returns:
        Field name to raw column.

    Raises:
        BadData: a tensor has another shape.
    """
    return {field.name: column_from_series(field, frame[field.name]) for field in schema.fields}


def column_from_series(field: Field, series: pl.Series) -> Column:
    """One raw column from a polars series: images as Binary, tensors as Array or List.

    Raises:
        BadData: a tensor has another shape.
    """
    import polars as pl

    if field.kind in _NUMERIC:
        return series.cast(pl.Float64).fill_null(float("nan")).to_numpy().reshape(-1, 1)
    if field.kind == "timestamp":
        micros = series.cast(pl.Datetime("us")).cast(pl.Int64)
        return micros.fill_null(MISSING_TIME).to_numpy().reshape(-1, 1)
    if field.kind == "tensor":
        return _tensor_from_series(field, series)
    if field.kind == "image":
        whole = series.cast(pl.Binary).fill_null(MISSING_IMAGE)
    else:
        whole = series.cast(pl.String).fill_null(MISSING_TEXT)
    return whole.to_numpy().astype(object, copy=False).reshape(-1, 1)


def _tensor_from_series(field: Field, series: pl.Series) -> Column:
    import polars as pl

    flat = series
    while flat.dtype in (pl.List, pl.Array):
        if flat.dtype == pl.List and flat.list.len().n_unique() > 1:
            raise _misfit(field, "lists of different lengths")
        flat = flat.explode()
    if flat.null_count():
        raise _misfit(field, "missing elements")
    kind = pl.Int64 if field.dtype == "int64" else pl.Float32
    return _tensor(field, flat.cast(kind).to_numpy(), len(series))


def _tensor(field: Field, values: Any, rows: int) -> Column:
    try:
        return np.array(values, dtype=field.dtype).reshape(rows, *field.shape)
    except (TypeError, ValueError) as error:
        raise _misfit(field, str(error)) from error


def _misfit(field: Field, found: str) -> BadData:
    return BadData(
        where=f"field '{field.name}'",
        found=found,
        expected=f"{field.dtype} in shape {list(field.shape)} in every row",
        remedy="Give nested lists of that shape, or correct the shape in ty.tensor(...).",
    )
