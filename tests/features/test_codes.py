"""Code transforms: unknown 0, missing 1, from 2 on what was learnt."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchyard as ty
from tests.features.fitted import Fitted
from torchyard.core.errors import BadData, BadProject

SCHEMA = ty.Schema(
    word=ty.category(optional=True), tags=ty.category(optional=True), size=ty.number(optional=True)
)
ROWS = pl.DataFrame(
    {
        "word": ["b", "a", "b", None, "c", "a", "b"],
        "tags": ["x|y", "y", None, "z|y|y", "é", "x|é", "|"],
        "size": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, None],
    }
)


def fitted(transform: Any, rows: pl.DataFrame = ROWS) -> Fitted:
    return Fitted(SCHEMA, transform, rows)


def test_lookup_orders_by_count_then_name() -> None:
    lookup = fitted(ty.lookup("word"))
    assert lookup.made.tolist() == [2, 3, 2, 1, 4, 3, 2]
    assert lookup.tensor.cardinality == 5
    common = fitted(ty.lookup("word", min_count=2))
    assert common.made.tolist() == [2, 3, 2, 1, 0, 3, 2]


def test_hash_bucket_needs_no_vocabulary() -> None:
    hashed = fitted(ty.hash_bucket("word", buckets=1000))
    assert hashed.tensor.cardinality == 1002
    assert hashed.made[3] == 1
    assert hashed.made.min() >= 1
    assert hashed.made[0] == hashed.made[2] != hashed.made[1]
    # MurmurHash3 x86 32 bit, seed 0, of "a", as published test vectors have it
    assert hashed.made[1] == 2 + 0x3C2569B2 % 1000


def test_bucket_edges_belong_to_the_bucket_above() -> None:
    bucket = fitted(ty.bucket("size", edges=[2, 4]))
    assert bucket.made.tolist() == [2, 3, 3, 4, 4, 4, 1]
    assert bucket.tensor.cardinality == 5


def test_buckets_hold_about_equal_mass() -> None:
    bucket = fitted(ty.bucket("size", buckets=3))
    assert bucket.made.tolist() == [2, 2, 3, 3, 4, 4, 1]
    tied = fitted(ty.bucket("size", buckets=3), ROWS.with_columns(size=pl.lit(7.0)))
    assert set(tied.made.tolist()) == {2}
    assert tied.tensor.cardinality == 3


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40))
@settings(max_examples=20, deadline=None)
def test_bucket_agrees_with_a_plain_search(values: list[float]) -> None:
    rows = pl.DataFrame(
        {"word": [None] * len(values), "tags": [None] * len(values), "size": values},
        schema={"word": pl.String, "tags": pl.String, "size": pl.Float64},
    )
    edges = sorted({values[0], 0.0, 1.0, -1e-300})
    made = fitted(ty.bucket("size", edges=edges), rows).made
    np.testing.assert_array_equal(made, 2 + np.searchsorted(edges, values, side="right"))


def test_cross_numbers_every_combination() -> None:
    cross = fitted(ty.cross(ty.lookup("word"), ty.bucket("size", edges=[3])))
    words = np.array([2, 3, 2, 1, 4, 3, 2])
    sizes = np.array([2, 2, 3, 3, 3, 3, 1])
    np.testing.assert_array_equal(cross.made, words * 4 + sizes)
    assert cross.tensor.cardinality == 5 * 4


def test_a_cross_of_too_many_is_refused_unless_it_is_hashed() -> None:
    parts = [ty.hash_bucket("word", buckets=100_000), ty.hash_bucket("tags", buckets=100_000)]
    with pytest.raises(BadProject, match=r"x = ty.cross.*1e\+10 combinations.*give buckets="):
        fitted(ty.cross(*parts))
    hashed = fitted(ty.cross(*parts, buckets=16))
    assert hashed.tensor.cardinality == 16
    assert 0 <= hashed.made.min() <= hashed.made.max() < 16
    assert len(set(hashed.made.tolist())) > 3
    limit = r"1e\+20 combinations; expected at most 4,611,686,018,427,387,904\. Cross .* codes\.$"
    with pytest.raises(BadProject, match=limit):
        fitted(ty.cross(*parts, *parts, buckets=16))


def test_multi_hot_sets_a_column_per_word() -> None:
    hot = fitted(ty.multi_hot("tags"))
    #              unknown, missing, y, x, é, z
    assert hot.made.astype(int).tolist() == [
        [0, 0, 1, 1, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 1, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 1],
        [0, 0, 0, 0, 1, 0],
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 0],
    ]
    others = ROWS.with_columns(tags=pl.Series(["new", "x|new", "", "y||", "a" * 9, "é|é", None]))
    assert hot(others).astype(int)[:5].tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 0, 0, 1, 0, 0],
        [0, 1, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [1, 0, 0, 0, 0, 0],
    ]


def test_a_very_long_list_does_not_blow_up_its_batch() -> None:
    hot = fitted(ty.multi_hot("tags", separator="|", min_count=2))
    rows = ROWS.with_columns(tags=pl.Series(["x|" * 200_000 + "y", *["x"] * 6]))
    assert hot(rows).astype(int)[0].tolist() == [1, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        (ty.lookup("word", min_count=9), r"lookup\('word'\).*lower min_count"),
        (ty.multi_hot("tags", min_count=9), r"multi_hot\('tags'\)"),
    ],
)
def test_a_vocabulary_of_nothing_is_refused(transform: Any, said: str) -> None:
    with pytest.raises(BadData, match=said):
        fitted(transform)
