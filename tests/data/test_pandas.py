"""Pandas frames, read column by column, are what polars makes of them as a whole."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchyard as ty
from torchyard.core.errors import BadData
from torchyard.data.checking.table import fit_table
from torchyard.data.reading import frames
from torchyard.data.reading.columnar import plain
from torchyard.data.source import open_source

LONG = "longer than twelve bytes"
COLUMNS: dict[str, Any] = {
    "float64": pd.Series([1.5, np.nan, 3]),
    "float32": pd.Series([1, np.nan, 2], dtype="float32"),
    "int64": pd.Series([1, 2, 3]),
    "uint8": pd.Series([1, 2, 3], dtype="uint8"),
    "bool": pd.Series([True, False, True]),
    "Int64": pd.Series([1, None, 3], dtype="Int64"),
    "boolean": pd.Series([True, None, False], dtype="boolean"),
    "Arrow double": pd.Series([1.5, None, 3], dtype="double[pyarrow]"),
    "str": pd.Series(["a", None, LONG], dtype="str"),
    "string": pd.Series(["", None, LONG], dtype="string"),
    "Python string": pd.Series(["a", None, LONG], dtype="string[python]"),
    "Arrow string": pd.Series(["a", None, LONG], dtype="string[pyarrow]"),
    "large string": pd.Series(["a", None, LONG], dtype=pd.ArrowDtype(pa.large_string())),
    "small string": pd.Series(["a", None, LONG], dtype=pd.ArrowDtype(pa.string())),
    "object": pd.Series(["a", None, LONG], dtype=object),
    "nothing": pd.Series([None, None, None], dtype=object),
    "bytes": pd.Series([b"a", None, b"c"], dtype=object),
    "lists": pd.Series([[1], [2, 3], None], dtype=object),
    "dates": pd.Series([date(2024, 1, 1), None, date(2024, 1, 3)], dtype=object),
    "times": pd.Series(np.array(["2024-01-01", "NaT", "2024-01-03"], dtype="M8[us]")),
    "seconds": pd.Series(np.array(["2024-01-01", "NaT", "2024-01-03"], dtype="M8[s]")),
    "category": pd.Series(["a", None, "b"], dtype="category"),
}


def read(frame: pd.DataFrame) -> pl.DataFrame:
    return next(open_source(frame, folder=Path()).chunks())


@pytest.mark.parametrize("viewed_bytes", [0, 1 << 31])
@pytest.mark.parametrize("kind", COLUMNS)
def test_each_column_is_what_the_whole_frame_gives(
    kind: str, viewed_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "_VIEWED_BYTES", viewed_bytes)
    frame = pd.DataFrame({0: COLUMNS[kind], "beside": COLUMNS["str"]})
    for part in (frame, frame[1:], frame[::2], pd.concat([frame, frame], ignore_index=True)):
        expected = plain(pl.from_pandas(part))
        assert read(part).schema == expected.schema
        assert read(part).equals(expected)


def test_columns_of_one_block_of_memory_are_read_apart() -> None:
    block = pd.DataFrame(np.arange(12.0).reshape(4, 3), columns=[*"abc"])
    assert read(block[::2]).rows() == [(0.0, 1.0, 2.0), (6.0, 7.0, 8.0)]


@given(
    st.lists(
        st.none()
        | st.integers(-(10**17), 10**17).map(float)
        | st.sampled_from([float("nan"), 0.5, -0.0, 2.0**63, -(2.0**63), float("inf")]),
        max_size=5,
    )
)
@settings(max_examples=150, deadline=None)
def test_floats_are_integers_where_each_is_whole_and_fits(values: list[float | None]) -> None:
    frame = pl.DataFrame({"x": values}, schema={"x": pl.Float64})
    present = [value for value in values if value is not None and not math.isnan(value)]
    schema = ty.Schema(x=ty.integer(optional=True))
    if all(value.is_integer() and abs(value) < 2**63 for value in present):
        fitted = fit_table(frame, schema, label=None, source="rows").frame["x"]
        assert fitted.drop_nulls().to_list() == [int(value) for value in present]
    else:
        with pytest.raises(BadData, match="Float64 values such as"):
            fit_table(frame, schema, label=None, source="rows")
