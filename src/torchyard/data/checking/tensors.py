"""Tensor fields in a frame: their type, their shape, and tests on all elements of a row at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from torchyard.core.errors import BadData
from torchyard.records.schema import Field

Array = np.ndarray[Any, np.dtype[Any]]


def fit_tensor(series: pl.Series, field: Field, source: str) -> tuple[pl.Series, pl.Series]:
    """A column of arrays or nested lists as arrays of the field's shape and type.

    Returns:
        The column, null where the value is missing or of another shape, and which rows are the
        latter, Boolean.

    Raises:
        BadData: the column holds no numbers, or none in so many dimensions, or floats where
            integers are declared.
    """
    depth, leaf = _depth_and_leaf(series.dtype)
    inner = pl.Float32() if field.dtype == "float32" else pl.Int64()
    numbers = leaf.is_numeric() if field.dtype == "float32" else leaf.is_integer()
    if depth != len(field.shape) or not numbers:
        raise BadData(
            where=f"{source}, column '{field.name}'",
            found=f"{series.dtype} values",
            expected=f"{field.dtype} numbers in the shape {list(field.shape)}",
            remedy="Convert the column, or declare its shape and dtype in ty.tensor.",
        )
    target = pl.Array(inner, field.shape)
    if isinstance(series.dtype, pl.Array) and series.dtype.shape == field.shape:
        return series.cast(target), pl.repeat(False, len(series), eager=True)
    nested = leaf
    for _ in field.shape:
        nested = pl.List(nested)
    lists = series.cast(nested)
    column = pl.col(series.name)
    fits = lists.to_frame().select(_has_shape(column, field.shape)).to_series()
    kept = lists.to_frame().select(pl.when(fits).then(column).alias(series.name)).to_series()
    return kept.cast(target), ~fits & series.is_not_null()


def rows_where(test: Callable[[Array], Array]) -> Callable[[pl.Series], pl.Series]:
    """A test on elements as one on rows: true where any element of a present row passes it."""

    def rows(series: pl.Series) -> pl.Series:
        present = series.is_not_null().to_numpy()
        values = series.drop_nulls().to_numpy()
        found = np.zeros(len(series), dtype=bool)
        found[present] = test(values).any(axis=tuple(range(1, values.ndim)))
        return pl.Series(found)

    return rows


def _depth_and_leaf(dtype: pl.DataType) -> tuple[int, pl.DataType]:
    depth = 0
    while isinstance(dtype, (pl.List, pl.Array)):
        dtype, depth = dtype.inner, depth + 1  # type: ignore[assignment]
    return depth, dtype


def _has_shape(value: pl.Expr, shape: tuple[int, ...]) -> pl.Expr:
    fits = value.list.len() == shape[0]
    if len(shape) > 1:
        fits = fits & value.list.eval(_has_shape(pl.element(), shape[1:])).list.all()
    return fits.fill_null(False)
