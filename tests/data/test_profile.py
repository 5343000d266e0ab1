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

from torchyard.core.digest import digest_json
from torchyard.core.errors import BadData
from torchyard.core.record import from_json, to_json
from torchyard.data.profile import Profiler, profile, profile_chunks, profile_scores
from torchyard.records.dataset import FieldProfile, Profile
from torchyard.records.schema import Field, FieldKind, Schema, Task

SCHEMA = Schema(
    fields=(
        Field(name="speed", kind="number", unit="mph"),
        Field(name="stops", kind="integer"),
        Field(name="late", kind="boolean"),
        Field(name="origin", kind="category"),
        Field(name="scheduled", kind="timestamp"),
    )
)
TYPES: dict[str, type[pl.DataType] | pl.DataType] = {
    "speed": pl.Float64,
    "stops": pl.Int64,
    "late": pl.Boolean,
    "origin": pl.String,
    "scheduled": pl.Datetime("us"),
}


COLUMNS: dict[FieldKind, pl.DataType] = {
    "number": pl.Float64(),
    "integer": pl.Int64(),
    "boolean": pl.Boolean(),
    "category": pl.String(),
    "timestamp": pl.Datetime("us"),
    "text": pl.String(),
    "id": pl.String(),
    "image": pl.Binary(),
    "tensor": pl.Array(pl.Int64, 2),
}


def one(
    values: Sequence[object], kind: FieldKind, reference: Profile | None = None
) -> FieldProfile:
    frame = pl.DataFrame({"x": pl.Series(values, dtype=COLUMNS[kind])})
    schema = Schema(fields=(Field(name="x", kind=kind),))
    return profile(frame, schema, reference=reference).fields[0]


def test_many_values_are_cut_into_twenty_bins_of_equal_mass() -> None:
    rows = np.random.default_rng(1).normal(size=4_000)
    made = one(rows.tolist(), "number")
    assert len(made.edges) == 19
    assert set(made.counts) == {200}
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


BINARY = Task(kind="binary_classification", label="late", classes=("on time", "late"))
ANIMALS = Task(kind="multiclass_classification", label="x", classes=("cat", "dog", "owl"))


def test_answers_are_one_number() -> None:
    scores = np.random.default_rng(3).random(1000)
    reference = profile_scores(scores, BINARY)
    made = profile_scores(scores[:100].astype(np.float32), BINARY, reference=reference)
    assert [field.name for field in made.fields] == ["probability"]
    assert made.fields[0].edges == reference.fields[0].edges
    assert profile_scores(np.stack([1 - scores, scores], axis=1), BINARY) == reference


def test_answers_of_several_classes_are_the_class_and_how_sure() -> None:
    scores = np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2], [0.1, 0.1, 0.8]], dtype=np.float32)
    name, confidence = profile_scores(scores, ANIMALS).fields
    assert dict(zip(name.values, name.counts, strict=True)) == {"cat": 1, "dog": 1, "owl": 1}
    assert confidence.maximum == pytest.approx(0.8)
    assert (name.name, confidence.name) == ("class", "confidence")


def test_a_profile_survives_its_file() -> None:
    made = profile_scores(np.random.default_rng(4).random(500), BINARY)
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


ROWS = st.lists(ROW, max_size=40)


@settings(max_examples=60, deadline=None)
@given(ROWS, ROWS, ROWS, st.booleans())
def test_parts_add_up_to_the_whole(
    seen: list[tuple[object, ...]],
    first: list[tuple[object, ...]],
    second: list[tuple[object, ...]],
    compared: bool,
) -> None:
    reference = profile(frame_of(seen), SCHEMA) if compared else None
    whole = profile(frame_of(first + second), SCHEMA, reference=reference)
    one, two, chunked = (Profiler(SCHEMA, reference=reference) for _ in range(3))
    one.update(frame_of(first))
    two.update(frame_of(second))
    for rows in (first, second):
        chunked.update(frame_of(rows))
    one.merge(two)
    assert close(one.result(), whole)
    assert close(chunked.result(), whole)


def close(got: Profile, expected: Profile) -> bool:
    """Equal but for rounding of means and deviations."""
    rounded = [
        replace(profile, fields=tuple(map(_without_moments, profile.fields)))
        for profile in (got, expected)
    ]
    one, two = (
        [(field.mean or 0, field.standard_deviation or 0) for field in profile.fields]
        for profile in (got, expected)
    )
    return rounded[0] == rounded[1] and bool(np.allclose(one, two, rtol=1e-6, atol=1e-6))


def _without_moments(field: FieldProfile) -> FieldProfile:
    return replace(field, mean=None, standard_deviation=None)


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


def test_profilers_made_differently_do_not_merge() -> None:
    schema = Schema(fields=(Field(name="x", kind="number"),))
    reference = Profile(rows=1, fields=(one([1.0], "number"),))
    with pytest.raises(BadData) as refusal:
        Profiler(schema).merge(Profiler(schema, reference=reference))
    assert str(refusal.value) == (
        "profiles: found another schema or another reference; expected two profilers that were "
        "made alike. Make both with the same schema and reference=."
    )
    with pytest.raises(BadData, match="profiles: found another schema"):
        Profiler(schema).merge(Profiler(SCHEMA))


def test_more_values_than_a_sketch_keeps_are_counted_exactly_the_second_time() -> None:
    random = np.random.default_rng(6)
    values = random.lognormal(0, 2, 50_000)
    names = [f"n{n}" for n in random.integers(0, 9_000, 50_000) ** 2 // 9_000]
    frame = pl.DataFrame({"x": values, "name": names})
    schema = Schema(fields=(Field(name="x", kind="number"), Field(name="name", kind="category")))
    profiler = Profiler(schema)
    for chunk in frame.iter_slices(7_000):
        profiler.update(chunk)
    rough = profiler.result()
    exact = profile_chunks(lambda: frame.iter_slices(7_000), schema)
    tally = dict(frame["name"].value_counts().iter_rows())
    number, name = exact.fields
    assert number.counts == tuple(np.histogram(values, [-np.inf, *number.edges, np.inf])[0])
    assert name.counts == tuple(tally[value] for value in name.values)
    assert list(name.counts) == sorted(name.counts, reverse=True)
    assert (number.count_error, name.count_error) == (0, 0)
    off = np.abs(np.array(rough.fields[0].counts) - number.counts)
    assert 0 < off.max() <= rough.fields[0].count_error <= 0.002 * 50_000
    short = [
        tally[v] - n for v, n in zip(rough.fields[1].values, rough.fields[1].counts, strict=True)
    ]
    assert min(short) >= 0
    assert 0 < max(short) <= rough.fields[1].count_error
    assert number.rank_error == rough.fields[0].rank_error > 0
    ranks = np.searchsorted(np.sort(values), number.quantiles) / 50_000
    assert ranks == pytest.approx(np.arange(1, 10) / 10, abs=number.rank_error)
    assert number.distinct == pytest.approx(50_000, rel=4 * number.distinct_error)


def test_the_same_chunks_give_the_same_bytes() -> None:
    frame = pl.DataFrame({"x": np.random.default_rng(7).normal(size=30_000)})
    schema = Schema(fields=(Field(name="x", kind="number"),))
    made = [profile_chunks(lambda: frame.iter_slices(1_000), schema) for _ in range(2)]
    assert digest_json(to_json(made[0])) == digest_json(to_json(made[1]))
    assert made[0].fields[0].rank_error > 0


def test_spread_signs_and_distinct_values() -> None:
    made = one([0.0, -1.0, -3.0, 0.0, None], "number")
    assert (made.zeros, made.negative, made.distinct, made.distinct_error) == (2, 2, 3, 0.0)
    assert made.standard_deviation == pytest.approx(np.std([0, -1, -3, 0]))
    huge = one([1.7e308, -1.7e308], "number")
    assert huge.standard_deviation is None
    assert one([2**63 - 1, -(2**63)], "integer").maximum == 2.0**63


def test_ids_are_counted_and_only_repeated_ones_listed() -> None:
    made = one(["a", "b", "b", None, ""], "id")
    assert (made.missing, made.distinct, made.values, made.counts) == (2, 2, ("b",), (2,))
    assert made.other == 1


def part(field: FieldProfile, name: str) -> FieldProfile:
    return next(item for item in field.parts if item.name == name)


def test_texts_are_measured() -> None:
    made = one(["Ein schöner Tag", "so so", "", None, "..."], "text")
    assert (made.rows, made.missing, made.distinct) == (5, 2, 3)
    assert part(made, "characters").maximum == 15
    assert part(made, "words").minimum == 0
    assert part(made, "non-ASCII").counts == (2, 1)
    word = part(made, "word")
    assert (word.values, word.missing) == (("schöner", "so"), 1)
    again = one(["so", "was anders"], "text", Profile(rows=5, fields=(made,)))
    assert part(again, "word").counts == (0, 1)
    assert part(again, "word").other == 1
    assert part(again, "characters").edges == part(made, "characters").edges


def test_tensors_are_measured_over_their_elements() -> None:
    values = np.array([[[0.0, 1.0], [2.0, 5.0]], [[0.0, 0.0], [-4.0, np.nan]]], dtype=np.float32)
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.Array(pl.Float32, (2, 2)))})
    field = Field(name="x", kind="tensor", shape=(2, 2))
    made = profile(pl.concat([frame, frame.clear(1)]), Schema(fields=(field,))).fields[0]
    assert (made.rows, made.missing, made.zeros, made.negative) == (3, 1, 3, 1)
    assert (made.minimum, made.maximum) == (-4.0, 5.0)
    assert made.mean == pytest.approx(4 / 7)
    assert part(made, "mean").maximum == 2.0
    assert part(made, "mean").missing == 1


@pytest.mark.parametrize("kind", COLUMNS)
def test_no_rows_and_only_missing_ones_are_a_profile_too(kind: FieldKind) -> None:
    schema = Schema(fields=(Field(name="x", kind=kind, shape=(2,), dtype="int64"),))
    for rows in (0, 3):
        frame = pl.DataFrame({"x": pl.Series([None] * rows, dtype=COLUMNS[kind])})
        made = profile(frame, schema).fields[0]
        assert (made.rows, made.missing, sum(made.counts)) == (rows, rows, 0)
        again = profile(frame, schema, reference=Profile(rows=rows, fields=(made,)))
        assert again.fields[0].missing == rows
        assert from_json(FieldProfile, to_json(made), where="x") == made
