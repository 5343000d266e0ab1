from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchyard as ty
from torchyard.core.errors import BadData
from torchyard.data.labels import class_codes
from torchyard.data.split import NAMES, SplitTally, fit_splitter
from torchyard.data.strata import Chunks
from torchyard.records.dataset import SplitRule
from torchyard.records.schema import Task

SCHEMA = ty.Schema(
    when=ty.timestamp(optional=True),
    who=ty.id(optional=True),
    part=ty.category(optional=True, later=True),
)
LATE = ty.binary_classification("late")
KINDS = ty.multiclass_classification("kind", classes=["1", "2", "30"])
HASH = ty.split_by_hash(validation=0.25, test=0.25)
BY_WHO = ty.split_by_group("who", validation=0.25, test=0.25)
STRATIFIED = ty.split_stratified(validation=0.2, test=0.1)
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 30) | st.none(),
        st.sampled_from(["ann", "bob", "cyd", "", None]),
        st.booleans() | st.none(),
    ),
    min_size=1,
    max_size=60,
)


def rows(count: int = 400) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "when": [datetime(2024, 1, 1) + timedelta(hours=n) for n in range(count)],
            "who": [f"customer {n % 50}" for n in range(count)],
            "late": [None if n % 10 == 0 else n % 3 == 0 for n in range(count)],
        }
    )


def events(made: list[tuple[int | None, str | None, bool | None]]) -> pl.DataFrame:
    return pl.DataFrame(
        [(None if n is None else datetime(2024, 1, 1, n % 24), who, late) for n, who, late in made],
        schema={"when": pl.Datetime("us"), "who": pl.String, "late": pl.Boolean},
        orient="row",
    )


def in_chunks(frame: pl.DataFrame, size: int = 50) -> Chunks:
    def chunks() -> Iterator[pl.DataFrame]:
        return frame.iter_slices(size)

    return chunks


def parts_of(frame: pl.DataFrame, rule: SplitRule, task: Task = LATE, size: int = 50) -> pl.Series:
    chunks = in_chunks(frame, size)
    splitter = fit_splitter(rule, task, SCHEMA, chunks)
    return pl.concat([splitter.part(chunk) for chunk in chunks()])


def tally(frame: pl.DataFrame, rule: SplitRule, task: Task = LATE) -> SplitTally:
    chunks = in_chunks(frame)
    splitter, counted = fit_splitter(rule, task, SCHEMA, chunks), SplitTally(rule, task)
    for chunk in chunks():
        counted.update(chunk, splitter.part(chunk))
    return counted


def test_by_time_cuts_at_the_limits_and_counts_what_has_no_label() -> None:
    rule = ty.split_by_time("when", validation="2024-01-08", test="2024-01-12T12:00")
    train, validation, test = tally(rows(), rule).records()
    assert (train.rows, validation.rows) == (7 * 24, 4 * 24 + 12)
    assert test.rows == 400 - train.rows - validation.rows
    assert train.labelled == train.rows - 17
    assert (train.first, train.last) == ("2024-01-01 00:00:00", "2024-01-07 23:00:00")
    assert test.first == "2024-01-12 12:00:00"


def test_a_row_without_a_time_is_in_no_part_and_counted() -> None:
    frame = rows().with_columns(when=pl.when(pl.col("when").dt.hour() > 0).then("when"))
    rule = ty.split_by_time("when", validation="2024-01-08", test="2024-01-12")
    assert tally(frame, rule).left_out == 17


@pytest.mark.parametrize("rule", [HASH, BY_WHO, STRATIFIED])
@settings(deadline=None, max_examples=25)
@given(made=EVENTS, size=st.integers(1, 60), seed=st.integers(0, 99))
def test_neither_the_order_of_rows_nor_chunks_decide(
    rule: SplitRule, made: list[tuple[int | None, str | None, bool | None]], size: int, seed: int
) -> None:
    frame = events(made)
    places = list(range(frame.height))
    random.Random(seed).shuffle(places)
    moved = parts_of(frame[places], rule, size=size)
    assert moved.to_list() == parts_of(frame, rule)[places].to_list()


@pytest.mark.parametrize("rule", [HASH, BY_WHO, ty.split_by_hash("when", "who")])
@settings(deadline=None, max_examples=25)
@given(made=EVENTS, more=EVENTS)
def test_a_row_keeps_its_part_when_the_data_grows(
    rule: SplitRule,
    made: list[tuple[int | None, str | None, bool | None]],
    more: list[tuple[int | None, str | None, bool | None]],
) -> None:
    before, after = parts_of(events(made), rule), parts_of(events([*made, *more]), rule)
    assert after[: len(made)].to_list() == before.to_list()


@settings(deadline=None, max_examples=25)
@given(made=EVENTS)
def test_rows_equal_in_what_a_request_carries_are_never_parted(
    made: list[tuple[int | None, str | None, bool | None]],
) -> None:
    frame = events(made)
    twins = frame.with_columns(late=~pl.col("late"), part=pl.lit("test"))
    assert parts_of(frame, HASH).to_list() == parts_of(twins, HASH).to_list()


@settings(deadline=None, max_examples=25)
@given(made=EVENTS)
def test_a_group_is_never_parted(made: list[tuple[int | None, str | None, bool | None]]) -> None:
    frame = events(made).with_columns(into=parts_of(events(made), BY_WHO))
    parts = frame.filter(pl.col("who") != "").group_by("who").agg(pl.col("into").n_unique())
    assert parts["into"].to_list() == [1] * parts.height


def test_rows_without_an_entity_are_not_one_entity() -> None:
    frame = rows(4000).with_columns(who=pl.lit(None, dtype=pl.String))
    shares = parts_of(frame, BY_WHO).value_counts(normalize=True, name="share")
    assert dict(shares.iter_rows()) == pytest.approx(
        {"train": 0.5, "validation": 0.25, "test": 0.25}, abs=0.03
    )


def test_by_hash_comes_near_the_shares() -> None:
    frame, rule = rows(4000), ty.split_by_hash("when", validation=0.1, test=0.2)
    shares = {part.name: part.rows / 4000 for part in tally(frame, rule).records()}
    assert shares == pytest.approx({"train": 0.7, "validation": 0.1, "test": 0.2}, abs=0.03)


def test_stratified_shares_hold_in_every_class_to_the_row() -> None:
    late = [None if n % 10 == 0 else n % 100 == 1 for n in range(3000)]
    frame = rows(3000).with_columns(late=pl.Series(late))
    train, validation, test = tally(frame, STRATIFIED).records()
    assert (train.classes, validation.classes) == ((1869, 21), (534, 6))
    assert test.classes == (267, 3)
    assert (train.rows, validation.rows, test.rows) == (2100, 600, 300)


@pytest.mark.parametrize(("count", "found"), [(3, 3), (4, 3), (2, 2), (1, 1)])
def test_a_class_of_three_rows_is_in_every_part(count: int, found: int) -> None:
    frame = rows(count).with_columns(late=True)
    assert parts_of(frame, STRATIFIED).n_unique() == found


def test_stratified_keeps_equal_rows_of_a_class_together() -> None:
    frame = pl.concat([rows(300)] * 3)
    parts = parts_of(frame, STRATIFIED)
    assert parts[:300].equals(parts[300:600])
    assert parts[:300].equals(parts[600:])


def test_a_given_column_decides_and_what_it_does_not_say_is_counted() -> None:
    said = ["train", "validation", "test", "Test", None, "holdout"] * 50
    frame = rows(300).with_columns(part=pl.Series(said), late=pl.int_range(300) % 5 == 0)
    counted = tally(frame, ty.split_by_column("part"))
    assert [part.rows for part in counted.records()] == [50, 50, 50]
    assert counted.left_out == 150


def test_a_part_without_both_classes_is_refused() -> None:
    rule = ty.split_by_time("when", validation="2024-01-08", test="2030-01-01")
    with pytest.raises(BadData, match=r"test split, label 'late': found no row of .*among 0"):
        tally(rows(), rule).records()


def test_a_part_that_lacks_one_of_several_classes_is_refused_by_name() -> None:
    frame = rows().select("when", "who", kind=pl.lit(1) + (pl.int_range(400) < 30))
    with pytest.raises(
        BadData, match=r"split, label 'kind': found no row of '30' among"
    ) as refusal:
        tally(frame, HASH, KINDS).records()
    assert refusal.value.expected == "rows of all classes"


def test_codes_are_places_among_the_classes() -> None:
    numbers = pl.DataFrame({"kind": [30, None, 1, 2]})
    texts = pl.DataFrame({"kind": ["30", None, "1", "2"]})
    fixed = texts.cast(pl.Enum(["30", "1", "2"]))
    for frame in (numbers, texts, fixed):
        codes = class_codes(frame, KINDS)
        assert codes.to_list() == [2, None, 0, 1]
        assert codes.dtype == pl.Int64


def test_a_label_that_is_no_class_is_refused() -> None:
    with pytest.raises(BadData, match=r"label 'kind': found '4', '5'; expected one of 1, 2, 30"):
        class_codes(pl.DataFrame({"kind": [1, 4, 5, 4]}), KINDS)
    with pytest.raises(BadData, match=r"label 'late': found Int64 values; expected true or false"):
        class_codes(pl.DataFrame({"late": [0, 1]}), LATE)


def test_parts_have_one_name_each() -> None:
    records = tally(rows(), HASH).records()
    assert tuple(part.name for part in records) == NAMES
