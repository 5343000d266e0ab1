from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.data.checking import unique
from torchyard.data.checking.unique import Seen


def plain(values: list[int]) -> tuple[list[bool], list[int]]:
    """What it means to repeat an earlier row, and which row is the first of its kind."""
    first: dict[int, int] = {}
    repeated = []
    for row, value in enumerate(values):
        repeated.append(value in first)
        first.setdefault(value, row)
    return repeated, [first[value] for value in values]


def by_chunks(values: list[int], size: int) -> tuple[list[bool], list[int]]:
    seen, repeated, earlier = Seen(), [], []
    for start in range(0, len(values), size):
        part = values[start : start + size]
        marks = np.arange(start, start + len(part)).astype(np.int16)
        flags, first = seen.add(pl.DataFrame({"k": part}), ["k"], marks)
        repeated += flags.tolist()
        earlier += first.tolist()
    return repeated, earlier


@given(st.lists(st.integers(0, 60), min_size=1, max_size=120), st.integers(1, 40))
@settings(max_examples=80, deadline=None)
def test_the_fast_way_gives_what_the_plain_one_does(values: list[int], size: int) -> None:
    assert by_chunks(values, size) == plain(values)


@pytest.mark.parametrize("shift", [0, 20, 61])
@given(values=st.lists(st.integers(0, 60), min_size=1, max_size=120), size=st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_keys_whose_first_64_bits_collide_are_told_apart(
    shift: int, values: list[int], size: int
) -> None:
    def colliding(frame: pl.DataFrame, columns: list[str], marks: np.ndarray) -> object:
        value = frame["k"].to_numpy()
        first = (value % 5).astype(np.uint64) << np.uint64(shift)
        return unique._Run(first, value.astype(np.uint32), marks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unique, "_keys", colliding)
        assert by_chunks(values, size) == plain(values)


def test_many_runs_merge_and_the_filter_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unique, "_SMALLEST_FILTER_BITS", 4)
    draw = np.random.default_rng(0)
    values = draw.integers(0, 4000, 6000).tolist()
    seen, repeated = Seen(), []
    for start in range(0, len(values), 50):
        repeated += seen.add(pl.DataFrame({"k": values[start : start + 50]}), ["k"])[0].tolist()
    assert repeated == plain(values)[0]
    assert len(seen._runs) < 20


def test_several_columns_count_together_and_missing_equals_missing() -> None:
    frame = pl.DataFrame({"a": [1, 1, None, None], "b": ["x", "y", "x", "x"]})
    assert Seen().add(frame, ["a", "b"])[0].tolist() == [False, False, False, True]
