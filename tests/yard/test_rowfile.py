from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from torchyard.yard.rowfile import RowWriter, read_chunks, read_places

ROWS = pl.DataFrame(
    {
        "place": range(10),
        "text": ["a", None, "", "ö", "e", "f", "g", "h", "i", "j"],
        "picture": [b"\x00", None, b"", *[b"p"] * 7],
        "tensor": pl.Series(np.arange(60, dtype=np.float32).reshape(10, 2, 3)),
        "seen": pl.Series(range(10)).cast(pl.Datetime("us")),
    }
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with RowWriter(tmp_path / "rows.parquet") as writer:
        for chunk in (ROWS[:4], ROWS[4:4], ROWS[4:5], ROWS[5:]):
            writer.append(chunk)
    return tmp_path / "rows.parquet"


def test_rows_come_back_in_order_whatever_the_chunks(path: Path) -> None:
    chunks = list(read_chunks(path, rows=3))
    assert [chunk.height for chunk in chunks] == [3, 1, 1, 3, 2]
    assert_frame_equal(pl.concat(chunks), ROWS)
    assert_frame_equal(pl.concat(read_chunks(path, ["seen", "text"])), ROWS["seen", "text"])
    assert_frame_equal(pl.read_parquet(path), ROWS)


@settings(deadline=None, max_examples=30)
@given(places=st.lists(st.integers(0, 9), max_size=15))
def test_rows_are_found_by_place_in_the_order_asked(
    tmp_path_factory: pytest.TempPathFactory, places: list[int]
) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.parquet"
    with RowWriter(path) as writer:
        for chunk in ROWS.iter_slices(3):
            writer.append(chunk)
    wanted = np.array(places, dtype=np.int64)
    assert_frame_equal(read_places(path, wanted), ROWS[wanted])
    assert read_places(path, wanted, ["place"])["place"].to_list() == places


def test_a_part_without_rows_has_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    with RowWriter(path) as writer:
        writer.append(ROWS[:0])
    assert list(read_chunks(path)) == []
    assert pl.read_parquet(path).schema == ROWS.schema
