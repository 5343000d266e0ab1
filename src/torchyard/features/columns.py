"""Raw columns: the arrays that enter a graph, from a frame in training and from rows in serving.

One array per field, shaped ``[rows, 1]``; types and missing values as in ARCHITECTURE.md. Both
ways in give the same bits for the same values: the tests compare them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.records.schema import Field, FieldKind, Schema

if TYPE_CHECKING:
    import polars as pl

Column = np.ndarray[Any, np.dtype[Any]]
Columns = Mapping[str, Column]

MISSING_TIME = int(np.iinfo(np.int64).min)
MISSING_TEXT = ""

_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_NUMERIC: frozenset[FieldKind] = frozenset({"number", "integer", "boolean"})


def columns_from_rows(schema: Schema, rows: Sequence[object]) -> dict[str, Column]:
    """Raw columns of request rows.

    Args:
        schema: the fields, which give order and kinds.
        rows: objects with one attribute per field; None where a value is missing. Values are
            already checked: float or int, bool, str, naive ``datetime``.

    Returns:
        Field name to array ``[rows, 1]``.
    """
    return {
        field.name: column_from_values(field, [getattr(row, field.name) for row in rows])
        for field in schema.fields
    }


def column_from_values(field: Field, values: Sequence[Any]) -> Column:
    """One raw column, ``[rows, 1]``, from Python values with None where missing."""
    if field.kind in _NUMERIC:
        return np.array(values, dtype=np.float64).reshape(-1, 1)
    if field.kind == "timestamp":
        times = [
            MISSING_TIME if value is None else (value - _EPOCH) // _MICROSECOND for value in values
        ]
        return np.array(times, dtype=np.int64).reshape(-1, 1)
    texts = np.empty((len(values), 1), dtype=object)
    texts[:, 0] = [MISSING_TEXT if value is None else value for value in values]
    return texts


def columns_from_frame(schema: Schema, frame: pl.DataFrame) -> dict[str, Column]:
    """Raw columns of a polars frame that has the schema's fields as columns.

    Returns:
        Field name to array ``[rows, 1]``.
    """
    return {field.name: _column_from_series(field, frame[field.name]) for field in schema.fields}


def _column_from_series(field: Field, series: pl.Series) -> Column:
    import polars as pl

    if field.kind in _NUMERIC:
        return series.cast(pl.Float64).fill_null(float("nan")).to_numpy().reshape(-1, 1)
    if field.kind == "timestamp":
        micros = series.cast(pl.Datetime("us")).cast(pl.Int64)
        return micros.fill_null(MISSING_TIME).to_numpy().reshape(-1, 1)
    texts = np.empty((len(series), 1), dtype=object)
    texts[:, 0] = series.cast(pl.String).fill_null(MISSING_TEXT).to_list()
    return texts
