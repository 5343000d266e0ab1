"""Raw columns: the same bits from a frame and from values, for every kind of field."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import torchyard as ty
from tests.support.rows import frame, rows
from tests.support.transforms import SCHEMA
from torchyard.core.errors import BadData
from torchyard.features import columns_from_frame
from torchyard.features.columns import (
    MISSING_TIME,
    RowColumns,
    column_from_series,
    column_from_values,
    columns_from_rows,
)
from torchyard.records.schema import Field


@given(st.lists(rows(SCHEMA), max_size=5))
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_values_and_frames_agree_to_the_bit(drawn: list[dict[str, Any]]) -> None:
    columns = columns_from_frame(SCHEMA, frame(SCHEMA, drawn))
    for field in SCHEMA.fields:
        column = column_from_values(field, [row[field.name] for row in drawn])
        other = columns[field.name]
        assert (column.dtype, column.shape) == (other.dtype, other.shape), field.name
        assert column.shape == (len(drawn), *(field.shape or (1,))), field.name
        if column.dtype == object:
            assert column.tolist() == other.tolist(), field.name
        else:
            assert column.tobytes() == other.tobytes(), field.name


@pytest.mark.parametrize(
    ("field", "missing", "dtype"),
    [
        (ty.number(optional=True), None, np.float64),
        (ty.boolean(optional=True), None, np.float64),
        (ty.timestamp(optional=True), MISSING_TIME, np.int64),
        (ty.category(optional=True), "", object),
        (ty.image(optional=True), b"", object),
    ],
)
def test_a_missing_value_has_its_mark(field: Field, missing: object, dtype: Any) -> None:
    column = column_from_values(field, [None])
    assert column.dtype == dtype
    assert column[0, 0] == missing or (missing is None and np.isnan(column[0, 0]))


def test_times_are_microseconds_as_they_stand() -> None:
    field = ty.timestamp()
    times = [datetime(1969, 12, 31, 23, 59, 59, 999_999), datetime(1970, 1, 2)]
    assert column_from_values(field, times)[:, 0].tolist() == [-1, 86_400_000_000]
    coarse = pl.Series(times).cast(pl.Datetime("ms"))
    assert column_from_series(field, coarse)[:, 0].tolist() == [-1000, 86_400_000_000]


def test_tensors_may_be_lists_in_a_frame() -> None:
    field = ty.tensor((2, 2), dtype="int64")
    nested = [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    column = column_from_series(field, pl.Series(nested, dtype=pl.List(pl.List(pl.Int16))))
    assert column.dtype == np.int64
    assert column.tolist() == nested


@pytest.mark.parametrize(
    "values",
    [
        [[1.0, 2.0], [3.0]],
        [[1.0], [2.0, 3.0]],
        [[1.0, None]],
        [None],
        [[1.0, 2.0, 3.0]],
        [[], [1.0]],
    ],
)
def test_a_tensor_in_another_shape_is_refused(values: list[Any]) -> None:
    field = ty.Schema(sensor=ty.tensor((2,))).fields[0]
    with pytest.raises(BadData, match=r"field 'sensor'.*float32 in shape \[2\]"):
        column_from_series(field, pl.Series(values, dtype=pl.List(pl.Float64)))
    if None not in values:
        with pytest.raises(BadData, match=r"field 'sensor'"):
            column_from_values(field, [v for v in values if v != [1.0, None]] or [[1.0, None, 2]])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(rows(SCHEMA), min_size=1, max_size=5))
def test_columns_of_all_rows_at_once_are_those_of_each_field(drawn: list[dict[str, Any]]) -> None:
    given = [SimpleNamespace(**row) for row in drawn]
    plain = columns_from_rows(SCHEMA, given)
    quick = RowColumns(SCHEMA, SCHEMA.names)(given)

    assert quick.keys() == plain.keys()
    for name, column in plain.items():
        assert quick[name].dtype == column.dtype
        assert quick[name].shape == column.shape
        assert quick[name].flags.c_contiguous
        assert column.dtype == object or quick[name].tobytes() == column.tobytes()
        assert column.dtype != object or quick[name].tolist() == column.tolist()
