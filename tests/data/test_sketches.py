"""Sketches: exact while little is seen, within their stated error afterwards, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.core.errors import BadData
from torchyard.data.fingerprint import mixed
from torchyard.data.sketches.distinct import DistinctCount
from torchyard.data.sketches.frequent import FrequentTexts, tally_of
from torchyard.data.sketches.moments import Moments, moments_of
from torchyard.data.sketches.quantiles import QuantileSketch, value_at

Floats = npt.NDArray[np.float64]

ROWS = 200_000


def zigzag(rows: int) -> Floats:
    """0, last, 1, last but one, ...: halves of it that are wrong are wrong everywhere."""
    numbers = np.arange(rows, dtype=np.float64)
    return np.stack([numbers[: rows // 2], numbers[::-1][: rows // 2]], axis=1).ravel()


def orders() -> dict[str, Floats]:
    random = np.random.default_rng(1)
    numbers = np.arange(ROWS, dtype=np.float64)
    return {
        "sorted": numbers,
        "reversed": numbers[::-1],
        "zigzag": zigzag(ROWS),
        "heavy ties": np.where(random.random(ROWS) < 0.9, 0.0, random.normal(size=ROWS)),
        "lognormal": random.lognormal(0, 3, ROWS),
        "blocks": np.tile(numbers[: ROWS // 20], 20),
        "combs": numbers.reshape(-1, 200).T.ravel(),
        "two far heaps": np.concatenate([numbers[: ROWS // 2], numbers[: ROWS // 2] * 1e300]),
    }


ORDERS = orders()


def sketched(values: Floats, *, chunk: int, k: int = 2048) -> QuantileSketch:
    sketch = QuantileSketch(k)
    for start in range(0, values.size, chunk):
        sketch.update(np.sort(values[start : start + chunk]))
    return sketch


def largest_rank_error(sketch: QuantileSketch, values: Floats) -> float:
    """Over ranks of every value of a fine grid, below it and up to it, as a share of the rows."""
    ordered = np.sort(values)
    grid = np.unique(ordered[:: max(1, values.size // 4_000)])
    kept, weights = sketch.weighted()
    below = np.append(0, np.cumsum(weights))
    off = [
        np.abs(np.searchsorted(ordered, grid, side) - below[np.searchsorted(kept, grid, side)])
        for side in ("left", "right")
    ]
    return float(np.max(off)) / values.size


@pytest.mark.parametrize("chunk", [500, 8_192, ROWS])
@pytest.mark.parametrize("order", ORDERS)
def test_no_rank_is_off_by_more_than_a_thousandth(order: str, chunk: int) -> None:
    sketch = sketched(ORDERS[order], chunk=chunk)
    found = largest_rank_error(sketch, ORDERS[order])
    assert found <= sketch.rank_error <= 0.001
    assert sketch.weighted()[1].sum() == sketch.rows == ROWS


@pytest.mark.parametrize("order", ORDERS)
def test_merged_parts_are_as_good_as_one_sketch(order: str) -> None:
    whole, size = ORDERS[order], ROWS // 16
    parts = [sketched(whole[i * size : (i + 1) * size], chunk=1_000) for i in range(16)]
    while len(parts) > 1:  # a tree of merges
        for one, other in zip(parts[::2], parts[1::2], strict=True):
            one.merge(other)
        parts = parts[::2]
    assert parts[0].rows == ROWS
    assert largest_rank_error(parts[0], whole) <= parts[0].rank_error <= 0.001


def test_the_smaller_sketch_errs_by_less_than_it_says() -> None:
    for values in ORDERS.values():
        sketch = sketched(values, chunk=1_000, k=512)
        assert largest_rank_error(sketch, values) <= sketch.rank_error <= 0.004


def test_memory_is_bounded_after_ten_million_values() -> None:
    random = np.random.default_rng(2)
    quantiles, distinct, frequent = QuantileSketch(), DistinctCount(), FrequentTexts()
    kept = []
    for _ in range(100):
        values = np.sort(random.lognormal(0, 2, 100_000))
        quantiles.update(values)
        distinct.update(mixed(values.view(np.uint64)))
        names = pl.Series(random.zipf(1.2, 5_000) % 10**9).cast(pl.String)
        frequent.update(tally_of(names))
        kept.append((quantiles.kept, frequent.kept))
    assert quantiles.rows == 10_000_000
    assert max(size for size, _ in kept) <= 3 * 2048 + 100
    assert max(size for _, size in kept) <= 4096
    assert quantiles.rank_error <= 0.001
    assert distinct.estimate() == pytest.approx(10_000_000, rel=4 * distinct.error)


VALUES = st.lists(st.floats(-10, 10).map(lambda x: round(x, 1)) | st.floats(-1e300, 1e300))


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, max_size=6))
def test_few_values_are_kept_exactly(chunks: list[list[float]]) -> None:
    sketch = QuantileSketch(64)
    for chunk in chunks:
        sketch.update(np.sort(np.array(chunk, dtype=np.float64) + 0.0))
    values, counts = sketch.weighted()
    expected = Counter(value + 0.0 for chunk in chunks for value in chunk)
    if len(expected) <= 128:
        assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == expected
        assert sketch.is_exact
        assert sketch.rank_error == 0
    assert counts.sum() == expected.total()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3_000), st.integers(4, 32))
def test_weights_add_up_and_memory_is_bounded(seed: int, chunk: int, k: int) -> None:
    random = np.random.default_rng(seed)
    sketch = QuantileSketch(k)
    for _ in range(8):
        values = random.normal(size=chunk) * (random.random(chunk) < random.random())
        sketch.update(np.sort(values + 0.0))
        assert sketch.kept <= 3 * k + 8 * 20
    kept, counts = sketch.weighted()
    assert counts.sum() == 8 * chunk
    assert (np.diff(kept) > 0).all()


def test_values_at_ranks() -> None:
    values, counts = np.array([1.0, 5.0]), np.array([3, 1])
    assert value_at(values, counts, np.arange(4)).tolist() == [1, 1, 1, 5]


def test_sketches_of_other_sizes_do_not_merge() -> None:
    with pytest.raises(BadData) as refusal:
        QuantileSketch(8).merge(QuantileSketch(16))
    assert str(refusal.value) == (
        "quantile sketches: found k=8 and k=16; expected two of the same size. "
        "Make both the same way."
    )


@pytest.mark.parametrize("many", [100, 2_000, 3_000, 40_000, 80_000, 1_000_000])
def test_distinct_values_within_four_standard_errors(many: int) -> None:
    one, other, whole = DistinctCount(), DistinctCount(), DistinctCount()
    digests = mixed(np.arange(many, dtype=np.uint64))
    for part in np.array_split(digests, 3):
        whole.update(part)
    one.update(digests[: many * 2 // 3])
    other.update(digests[many // 3 :])
    one.merge(other)
    assert one.estimate() == whole.estimate()
    assert whole.estimate() == pytest.approx(many, rel=4 * whole.error)
    assert (whole.error == 0) == (many <= 2048)


def test_a_full_and_an_empty_count() -> None:
    assert DistinctCount().estimate() == 0
    full = DistinctCount(4)
    full.update(np.arange(16, dtype=np.uint64) << np.uint64(60))  # the rest of each is zero
    assert full.estimate() == 2**64


NAMES = st.lists(st.sampled_from("abcdefghij"), max_size=60)


@settings(max_examples=60, deadline=None)
@given(st.lists(NAMES, max_size=5), st.integers(1, 12))
def test_counts_are_short_by_no_more_than_the_error(chunks: list[list[str]], capacity: int) -> None:
    frequent = FrequentTexts(capacity)
    for chunk in chunks:
        frequent.update(tally_of(pl.Series(chunk, dtype=pl.String)))
    true = Counter(name for chunk in chunks for name in chunk)
    found = frequent.top(100)
    assert frequent.kept <= capacity
    assert frequent.error <= true.total() / (capacity + 1)
    for name, rows in true.items():
        assert rows - frequent.error <= found.get(name, 0) <= rows
    if len(true) <= capacity:
        assert found == true
        assert frequent.error == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=20), max_size=5))
def test_moments_of_parts_are_those_of_the_whole(parts: list[list[float]]) -> None:
    found = Moments()
    for part in parts:
        found = found.plus(moments_of(np.array(part)))
    whole = np.array([value for part in parts for value in part])
    assert found.rows == whole.size
    assert found.negative == (whole < 0).sum()
    assert found.zeros == (whole == 0).sum()
    if whole.size:
        assert (found.minimum, found.maximum) == (whole.min(), whole.max())
        assert found.mean == pytest.approx(whole.mean(), abs=1e-6, rel=1e-6)
        assert found.standard_deviation == pytest.approx(whole.std(), abs=1e-3, rel=1e-6)


def test_moments_of_huge_numbers_are_finite_or_none() -> None:
    found = moments_of(np.array([1.7e308])).plus(moments_of(np.array([-1.7e308])))
    assert (found.mean, found.standard_deviation) == (0.0, None)
    assert moments_of(np.array([1.7e308] * 3)).standard_deviation == 0.0


def of_numbers(values: list[int]) -> QuantileSketch:
    sketch = QuantileSketch(8)
    sketch.update(np.sort(np.array(values, dtype=np.float64)))
    return sketch


def of_digests(values: list[int]) -> DistinctCount:
    count = DistinctCount(5)
    count.update(mixed(np.array(values, dtype=np.uint64)))
    return count


def of_texts(values: list[int]) -> FrequentTexts:
    frequent = FrequentTexts(5)
    frequent.update(tally_of(pl.Series([str(value) for value in values], dtype=pl.String)))
    return frequent


def ranks(sketch: QuantileSketch) -> Floats:
    kept, counts = sketch.weighted()
    return np.append(0, np.cumsum(counts))[np.searchsorted(kept, np.arange(200), "right")] * 1.0


def counts_of(frequent: FrequentTexts) -> Floats:
    found = frequent.top(1000)
    return np.array([found.get(str(value), 0) for value in range(200)], dtype=np.float64)


# What makes a sketch of numbers from 0 to 199, what it says of each, and how far off that may be.
Kind = tuple[Callable[[list[int]], Any], Callable[[Any], Floats], Callable[[Any], float]]
KINDS: dict[str, Kind] = {
    "quantiles": (of_numbers, ranks, lambda it: 2 * it.rank_error * it.rows + 1),
    "distinct": (of_digests, lambda it: np.array([it.estimate()]) * 1.0, lambda it: 0.0),
    "frequent": (of_texts, counts_of, lambda it: it.error),
}
SETS = st.lists(st.integers(0, 199), max_size=120)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(SETS, SETS, SETS)
def test_every_sketch_merges_in_any_order(
    kind: str, a: list[int], b: list[int], c: list[int]
) -> None:
    make, read, error = KINDS[kind]

    def orders_of_merging() -> Iterator[Any]:
        left, middle, right = make(a), make(b), make(c)
        left.merge(middle)
        left.merge(right)
        yield left
        left, middle, right = make(a), make(b), make(c)
        middle.merge(right)
        left.merge(middle)
        yield left
        left, middle, right = make(a), make(b), make(c)
        right.merge(left)
        right.merge(middle)
        yield right

    found = list(orders_of_merging())
    for one in found[1:]:
        room = error(one) + error(found[0])
        assert np.abs(read(one) - read(found[0])).max() <= room
