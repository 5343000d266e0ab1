from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.core.errors import BadRecord
from torchyard.train import ArrayWriter, StoredArray
from torchyard.train.stored import Array


def written(path: Path, *chunks: Array) -> Path:
    with ArrayWriter(path) as writer:
        for chunk in chunks:
            writer.append(chunk)
    return path


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)])
def test_what_was_appended_is_one_array_that_numpy_opens(
    tmp_path: Path, dtype: type[np.generic], shape: tuple[int, ...]
) -> None:
    whole = np.arange(12 * int(np.prod(shape)), dtype=np.int64).reshape(12, *shape).astype(dtype)
    path = written(tmp_path / "x.npy", whole[:1], whole[1:1], whole[1:7], whole[7:])
    assert np.array_equal(np.load(path, mmap_mode="r"), whole)
    np.save(tmp_path / "same.npy", whole)
    assert path.read_bytes() == (tmp_path / "same.npy").read_bytes()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=6))
def test_ranges_of_rows_come_one_after_another(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "ranges.npy"
    whole = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    stored = StoredArray.open(written(path, whole))
    ranges = [(min(pair), max(pair)) for pair in pairs]
    into = stored.empty(sum(last - first for first, last in ranges))
    stored.read(ranges, into)
    expected = [whole[first:last] for first, last in ranges]
    assert np.array_equal(into, np.concatenate([whole[:0], *expected]))


def test_rows_of_another_shape_are_refused(tmp_path: Path) -> None:
    with ArrayWriter(tmp_path / "x.npy") as writer:
        writer.append(np.zeros((1, 3), np.float32))
        with pytest.raises(ValueError, match=r"x.npy: float32 \(2,\) after float32 \(3,\)"):
            writer.append(np.zeros((1, 2), np.float32))


def test_a_file_that_was_cut_or_is_another_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "x.npy", np.arange(10))
    stored = StoredArray.open(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        BadRecord, match=r"x.npy: found 207 bytes for 10 rows.*features stage again"
    ):
        StoredArray.open(path)
    with pytest.raises(BadRecord, match="its end before its last row"):
        stored.read([(0, 10)], stored.empty(10))
    path.write_bytes(b"something else, and long enough to be a header")
    with pytest.raises(BadRecord, match="magic string"):
        StoredArray.open(path)
    np.save(path, np.asfortranarray(np.ones((2, 3))))
    with pytest.raises(BadRecord, match="values in column order"):
        StoredArray.open(path)
