"""Profiles: what they count, how they compare, and that parts add up to the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.core.errors import BadData
from torchyard.core.record import from_json, to_json
from torchyard.data.profile import merge, profile, profile_scores
from torchyard.records.dataset import FieldProfile, Profile
from torchyard.records.schema import Field, FieldKind, Schema

SCHEMA = Schema(
    fields=(
        Field(name="speed", kind="number", unit="mph"),
        Field(name="stops", kind="integer"),
        Field(name="late", kind="boolean"),
        Field(name="origin", kind="category"),
        Field(name="scheduled", kind="timestamp"),
    )
)
KINDS: tuple[FieldKind, ...] = ("number", "integer", "boolean", "category", "timestamp")
TYPES: dict[str, type[pl.DataType] | pl.DataType] = {
    "speed": pl.Float64,
    "stops": pl.Int64,
    "late": pl.Boolean,
    "origin": pl.String,
    "scheduled": pl.Datetime("us"),
}


def one(
    values: Sequence[object], kind: FieldKind, reference: Profile | None = None
) -> FieldProfile:
    types = dict(zip(KINDS, TYPES.values(), strict=True))
    frame = pl.DataFrame({"x": pl.Series(values, dtype=types[kind])})
    schema = Schema(fields=(Field(name="x", kind=kind),))
    return profile(frame, schema, reference=reference).fields[0]


def test_many_values_are_cut_into_twenty_bins_of_equal_mass() -> None:
    rows = np.random.default_rng(1).normal(size=10_000)
    made = one(rows.tolist(), "number")
    assert len(made.edges) == 19
    assert set(made.counts) == {500}
    assert made.quantiles == pytest.approx(np.quantile(rows, np.arange(1, 10) / 10))
    assert made.mean == pytest.approx(rows.mean())
    assert (made.minimum, made.maximum) == (rows.min(), rows.max())


def test_a_value_on_an_edge_is_counted_above_it() -> None:
    reference = Profile(
        rows=0, fields=(FieldProfile(name="x", kind="number", rows=0, missing=0, edges=(1.0, 2.0)),)
    )
    assert one([0.9, 1.0, 1.9, 2.0, 2.1], "number", reference).counts == (1, 2, 2)


def test_few_values_get_a_bin_each_and_a_heavy_one_shares_no_edge() -> None:
    assert one([0, 2, 2, 5], "integer").edges == (1.0, 3.5)
    heavy = one([0.0] * 900 + [float(x) for x in range(1, 101)], "number")
    assert sum(heavy.counts) == 1000
    assert list(heavy.edges) == sorted(set(heavy.edges))
    assert min(heavy.counts) > 0


def test_one_value_leaves_room_below_and_above() -> None:
    made = one([5.0, 5.0], "number")
    assert made.counts == (0, 2, 0)
    moved = one([4.0, 5.0, 7.0], "number", Profile(rows=2, fields=(made,)))
    assert moved.counts == (1, 1, 1)


def test_booleans_have_two_bins_even_when_only_one_value_was_seen() -> None:
    assert one([True, True], "boolean").counts == (0, 2)


def test_what_counts_as_missing() -> None:
    made = one([1.0, None, float("nan"), float("inf")], "number")
    assert (made.missing, made.counts, made.maximum) == (3, (0, 1, 0), 1.0)
    assert one(["a", "", None], "category").missing == 2
    empty = one([None, None], "number")
    assert (empty.missing, empty.counts, empty.quantiles, empty.mean) == (2, (0,), (), None)


@pytest.mark.parametrize("value", [3.0, 0.1, -7.7, 1e-300, 1.7e308])
def test_deciles_of_a_constant_are_that_constant(value: float) -> None:
    for rows in range(1, 12):
        made = one([value] * rows, "number")
        assert made.quantiles == (value,) * 9
        both = Profile(rows=rows, fields=(made,))
        assert merge(both, both).fields[0].quantiles == (value,) * 9


def test_huge_numbers_stay_writable() -> None:
    made = one([1.7e308, 1.7e308, -1.7e308, 1.79769e308], "number")
    numbers = [made.mean, *made.edges, *made.quantiles]
    assert all(number is not None and np.isfinite(number) for number in numbers)


def test_categories_fall_by_count_then_name_and_the_rest_is_other() -> None:
    made = one(["b", "a", "c", "c"], "category")
    assert (made.values, made.counts, made.other) == (("c", "a", "b"), (2, 1, 1), 0)
    many = one([f"v{i:03}" for i in range(130)] + ["v129"], "category")
    assert many.values[:2] == ("v129", "v000")
    assert (len(many.values), many.other) == (100, 30)


def test_values_a_reference_does_not_list_are_other() -> None:
    reference = Profile(rows=3, fields=(one(["b", "b", "a"], "category"),))
    made = one(["a", "XX", "XX", ""], "category", reference)
    assert (made.values, made.counts, made.other) == (("b", "a"), (0, 1), 2)


def test_timestamps_are_counted_by_hour() -> None:
    made = one([datetime(1970, 1, 1, 5), datetime(1970, 1, 2, 5, 59), None], "timestamp")
    assert made.counts[5] == 2
    assert len(made.counts) == 24
    assert (made.minimum, made.maximum) == (5 * 3600.0, 86400 + 5 * 3600 + 59 * 60.0)


def test_answers_are_one_number() -> None:
    scores = np.random.default_rng(3).random(1000)
    reference = profile_scores(scores)
    made = profile_scores(scores[:100].astype(np.float32), reference=reference)
    assert [field.name for field in made.fields] == ["probability"]
    assert made.fields[0].edges == reference.fields[0].edges


def test_a_profile_survives_its_file() -> None:
    made = profile_scores(np.random.default_rng(4).random(500))
    assert from_json(Profile, to_json(made), where="profile.json") == made


ROW = st.tuples(
    st.none() | st.floats(-1e6, 1e6),
    st.none() | st.integers(-5, 5),
    st.none() | st.booleans(),
    st.none() | st.sampled_from(["", "EWR", "JFK", "LGA", "XX"]),
    st.none() | st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1)),
)


def frame_of(rows: list[tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=TYPES, orient="row")


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, max_size=40), st.lists(ROW, max_size=40), st.lists(ROW, max_size=40))
def test_parts_add_up_to_the_whole(
    seen: list[tuple[object, ...]],
    first: list[tuple[object, ...]],
    second: list[tuple[object, ...]],
) -> None:
    reference = profile(frame_of(seen), SCHEMA)
    parts = [profile(frame_of(rows), SCHEMA, reference=reference) for rows in (first, second)]
    whole = profile(frame_of(first + second), SCHEMA, reference=reference)
    together = merge(parts[0], parts[1])
    for got, expected in zip(together.fields, whole.fields, strict=True):
        assert got.mean == pytest.approx(expected.mean, abs=1e-6)
        assert replace(got, mean=None, quantiles=()) == replace(expected, mean=None, quantiles=())
        assert list(got.quantiles) == sorted(got.quantiles)
        assert list(expected.quantiles) == sorted(expected.quantiles)
        assert len(got.quantiles) == len(expected.quantiles)


@pytest.mark.parametrize("factor", [1.0, 0.01, 100.0])
def test_merged_deciles_are_close_even_outside_the_bins(factor: float) -> None:
    random = np.random.default_rng(5)
    reference = profile_scores(random.gamma(3, size=20_000))
    parts = [random.gamma(3, size=2_000) * factor for _ in range(20)]
    merged = profile_scores(parts[0], reference=reference)
    for part in parts[1:]:
        merged = merge(merged, profile_scores(part, reference=reference))
    exact = np.quantile(np.concatenate(parts), np.arange(1, 10) / 10)
    assert merged.fields[0].quantiles == pytest.approx(exact, rel=0.04)


def test_a_frame_without_a_field_is_refused() -> None:
    with pytest.raises(BadData) as refusal:
        profile(pl.DataFrame({"a": [1]}), Schema(fields=(Field(name="x", kind="number"),)))
    assert str(refusal.value) == (
        "field 'x': found rows with only a; expected a column of that name. "
        "Add the column, with nulls where the value is missing."
    )


def test_a_reference_of_another_kind_is_refused() -> None:
    reference = Profile(rows=1, fields=(one(["a"], "category"),))
    with pytest.raises(BadData) as refusal:
        one([1.0], "number", reference)
    assert str(refusal.value) == (
        "field 'x': found a reference profile without it, or with another kind of it; "
        "expected a profile of a number of that name. "
        "Compare only fields that both have in the same kind."
    )


def test_profiles_with_other_bins_do_not_merge() -> None:
    a, b = (Profile(rows=2, fields=(one(list(x), "number"),)) for x in ([1.0, 2.0], [1.0, 3.0]))
    with pytest.raises(BadData) as refusal:
        merge(a, b)
    assert str(refusal.value) == (
        "field 'x': found other edges or values; "
        "expected two profiles made with the same reference. "
        "Profile both sets of rows with reference= set to the same profile."
    )
    with pytest.raises(BadData, match="profiles: found other fields"):
        merge(a, profile_scores(np.array([0.5])))
