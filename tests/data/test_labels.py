"""Labels of every kind of task: how they are read, counted, parted, and looked for in fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchyard as ty
from torchyard.core.errors import BadData
from torchyard.data.check import Checker, validate
from torchyard.data.labels import (
    joined_labels,
    label_field,
    label_marks,
    memberships,
    truth_of,
)
from torchyard.data.leaks import find_leaks
from torchyard.data.profile import answers_frame, answers_schema
from torchyard.data.rules import Checks
from torchyard.data.source import open_source
from torchyard.data.split import NAMES, SplitTally, fit_splitter
from torchyard.data.strata import Chunks, fit_strata
from torchyard.records.dataset import Finding
from torchyard.records.schema import Field, Schema, Task

TOPICS = ty.multilabel_classification("on", classes=["sport", "money", "war"])
DELAY = ty.regression("delay", unit="minutes")
SCHEMA = ty.Schema(x=ty.number(), who=ty.id(optional=True))
SETS = st.sets(st.sampled_from(TOPICS.classes))


def chunks_of(frame: pl.DataFrame, size: int = 97) -> Chunks:
    def chunks() -> Iterator[pl.DataFrame]:
        return frame.iter_slices(size)

    return chunks


def news(rows: int = 2_000, seed: int = 0) -> pl.DataFrame:
    """Rows with any number of topics, one of them rare."""
    draw = np.random.default_rng(seed)
    has = draw.random((rows, 3)) < [0.5, 0.3, 0.02]
    texts = ["|".join(np.array(TOPICS.classes)[row]) or "|" for row in has]
    return pl.DataFrame({"x": draw.normal(size=rows), "who": [None] * rows, "on": texts},
                        schema_overrides={"who": pl.String})  # fmt: skip


def delays(rows: int = 2_000, seed: int = 0) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=rows)
    frame = pl.DataFrame({"x": x, "delay": 10 * x + 30 * draw.normal(size=rows) + 5})
    return frame.with_columns(pl.lit(None, dtype=pl.String).alias("who"))


# reading


def checked(frame: pl.DataFrame, task: Task) -> pl.DataFrame:
    return Checker(SCHEMA, task=task).update(frame).accepted


@given(st.lists(SETS | st.none(), min_size=1, max_size=20))
@settings(deadline=None, max_examples=40)
def test_texts_and_lists_say_the_same(sets: list[set[str] | None]) -> None:
    plain = {"x": [1.0] * len(sets), "who": pl.Series([None] * len(sets), dtype=pl.String)}
    lists = [None if one is None else sorted(one) for one in sets]
    texts = [None if one is None else " |".join(one) for one in lists]
    rows = [
        checked(pl.DataFrame({**plain, "on": pl.Series(given, dtype=kind)}), TOPICS)
        for given, kind in ((lists, pl.List(pl.String)), (texts, pl.String))
    ]
    for frame in rows:
        labelled = frame.filter(frame["on"].is_not_null())
        truth = truth_of(labelled, TOPICS)
        assert labelled.height == sum(one is not None for one in sets)
        assert [
            {name for name, there in zip(TOPICS.classes, row, strict=True) if there}
            for row in truth
        ] == [one for one in sets if one is not None]
    marks = [label_marks(frame, TOPICS) for frame in rows]
    assert marks[0].tolist() == marks[1].tolist()
    assert ((marks[0] < 0) == [one is None for one in sets]).all()


def test_none_of_the_classes_is_a_label_and_missing_is_none(tmp_path: Path) -> None:
    (tmp_path / "news.csv").write_text("x,who,on\n1,a,sport\n2,a,|\n3,a,\n")
    schema = Schema(fields=(*SCHEMA.fields, label_field(TOPICS)))
    (frame,) = open_source("news.csv", folder=tmp_path, schema=schema).chunks()
    rows = checked(frame, TOPICS)
    assert rows["on"].to_list() == ["sport", "|", None]
    assert memberships(rows["on"], TOPICS)[0].sum(axis=1).tolist() == [1, 0, 0]


def test_a_label_of_a_type_without_texts_is_refused() -> None:
    frame = pl.DataFrame({"x": [1.0], "who": ["a"], "on": [2.5]})
    assert joined_labels(frame, TOPICS) is frame
    with pytest.raises(BadData, match=r"column 'on': found Float64 values such as 2.5; expected"):
        checked(frame, TOPICS)
    with pytest.raises(BadData, match=r"column 'delay': found String values such as 'late'; "):
        checked(pl.DataFrame({"x": [1.0], "who": ["a"], "delay": ["late"]}), DELAY)


@pytest.mark.parametrize(
    ("task", "labels", "said"),
    [
        (TOPICS, ["sport|love"], "found 'sport|love'; expected any of sport, money, war, joined"),
        (DELAY, [float("inf")], "found inf; expected finite numbers. Correct the labels."),
        (DELAY, ["late"], "found String values; expected numbers"),
    ],
)
def test_a_truth_that_the_task_does_not_know_is_refused(
    task: Task, labels: list[Any], said: str
) -> None:
    with pytest.raises(BadData) as refused:
        truth_of(pl.DataFrame({task.label: labels}), task)
    assert said in str(refused.value)


# findings


def found(task: Task, labels: list[Any], x: list[float] | None = None) -> list[Finding]:
    rows = pl.DataFrame({
        "x": x or [float(n) for n in range(len(labels))], "who": ["a"] * len(labels),
        task.label: labels,
    })  # fmt: skip
    source = open_source(rows, folder=Path())
    return list(validate(source, SCHEMA, task=task).findings)


@pytest.mark.parametrize(
    ("task", "labels", "rule", "severity"),
    [
        (TOPICS, ["sport|money", "war", "|", ""], None, ""),
        (TOPICS, ["sport|money", "war", "love"], "is not only of the task's classes", "fail"),
        (TOPICS, ["sport", "money", "|"], "is never war", "fail"),
        (TOPICS, ["sport|war", "war|money"], "has war in every row", "warn"),
        (
            TOPICS,
            [*["sport|money", "money", "sport", "|"] * 60, "war"],
            "has war in 0.41% of rows",
            "warn",
        ),
        (DELAY, [1.5, 2.0, -3.0], None, ""),
        (DELAY, [2.5, 2.5, None], "is always 2.5", "fail"),
        (DELAY, [1.5, float("inf"), 2.0], "is not a finite number", "fail"),
        (DELAY, [None, None], "is missing in every row", "fail"),
    ],
)
def test_labels_must_be_fit_to_learn_from(
    task: Task, labels: list[Any], rule: str | None, severity: str
) -> None:
    findings = found(task, labels)
    assert [(one.rule, one.severity) for one in findings] == ([(rule, severity)] if rule else [])


def test_equal_rows_with_other_classes_are_counted_but_not_those_with_other_numbers() -> None:
    labels = ["sport|money", "money|sport", "war", "sport"]
    (torn,) = found(TOPICS, labels, x=[1.0, 1.0, 2.0, 1.0])
    assert (torn.rule, torn.rows, torn.examples) == (
        "differs between equal rows", 1, ("row 4: 'sport'",)
    )  # fmt: skip
    assert found(DELAY, [1.0, 2.0, 3.0], x=[1.0, 1.0, 1.0]) == []


# splits


@pytest.mark.parametrize(("task", "frame"), [(TOPICS, news()), (DELAY, delays())])
def test_a_stratified_split_holds_the_shares_within_labels(task: Task, frame: pl.DataFrame) -> None:
    rule = ty.split_stratified(validation=0.2, test=0.1)
    chunks = chunks_of(frame)
    splitter, tally = fit_splitter(rule, task, SCHEMA, chunks), SplitTally(rule, task)
    parts = [splitter.part(chunk) for chunk in chunks()]
    for chunk, part in zip(chunks(), parts, strict=True):
        tally.update(chunk, part)
    whole = truth_of(frame, task)
    part = pl.concat(parts)
    for record, share in zip(tally.records(), (0.7, 0.2, 0.1), strict=True):
        own = truth_of(frame.filter(part == record.name), task)
        assert record.labelled == len(own)
        if task.is_multilabel:
            assert record.classes == tuple(own.sum(axis=0))
            assert record.classes[2] == pytest.approx(share * whole[:, 2].sum(), abs=1)
            assert np.allclose(own.mean(axis=0), whole.mean(axis=0), atol=0.05)
        else:
            assert record.classes == ()
            for quantile in (0.1, 0.5, 0.9):
                below = (own < np.quantile(whole, quantile)).mean()
                assert below == pytest.approx(quantile, abs=0.012)


def test_strata_are_the_rarest_class_or_ranges_of_numbers() -> None:
    topics = fit_strata(TOPICS, chunks_of(news()))
    rows = pl.DataFrame({"on": ["sport|war", "sport|money", "|", None, "sport"]})
    assert topics.codes(rows).tolist() == [2, 1, 3, -1, 0]
    assert topics.names == ("sport", "money", "war", "none of them")
    numbers = fit_strata(DELAY, chunks_of(pl.DataFrame({"delay": [*range(100), None]})))
    assert numbers.names[0] == "below 9"
    assert numbers.names[-1] == "from 89"
    assert numbers.codes(pl.DataFrame({"delay": [-5.0, None, 1e9]})).tolist() == [0, -1, 9]
    same = fit_strata(DELAY, chunks_of(pl.DataFrame({"delay": [3.0] * 20})))
    assert (same.names, same.codes(pl.DataFrame({"delay": [3.0]})).tolist()) == (("any",), [0])


def test_a_part_without_a_label_or_a_class_is_refused() -> None:
    part = pl.Series(["train", "validation", "test"])
    for task, labels, said in (
        (DELAY, [1.0, 2.0, None], "test split, label 'delay': found no row with a label"),
        (TOPICS, ["sport|money|war"] * 2 + ["sport"], "no row of 'money', 'war' among 1 with"),
    ):
        tally = SplitTally(ty.split_by_hash(), task)
        tally.update(pl.DataFrame({task.label: labels}), part)
        with pytest.raises(BadData) as refused:
            tally.records()
        assert said in str(refused.value)


# leaks


def leaks(frame: pl.DataFrame, task: Task, **fields: Field) -> tuple[Finding, ...]:
    draw = np.random.default_rng(3)
    frame = frame.with_columns(part=draw.choice(NAMES, frame.height, p=[0.6, 0.2, 0.2]))
    schema: Schema = ty.Schema(
        x=ty.number(), who=ty.id(optional=True), part=ty.category(later=True), **fields
    )
    rule = ty.split_by_column("part")
    chunks = chunks_of(frame, 500)
    splitter = fit_splitter(rule, task, schema, chunks)
    return find_leaks(chunks, splitter, schema, task, rule, Checks())


def test_rows_without_a_leak_give_no_finding() -> None:
    assert leaks(news(), TOPICS) == ()
    assert leaks(delays(), DELAY) == ()


def test_a_field_that_holds_the_label_is_found() -> None:
    frame = news()
    copied = frame.with_columns(tags=frame["on"], war=frame["on"].str.contains("war"))
    said = {one.field: one for one in leaks(copied, TOPICS, tags=ty.text(), war=ty.boolean())}
    assert said["tags"].rule == "equals the label"
    assert said["war"].rule == "says whether the label has 'war'"
    assert said["war"].severity == "fail"
    numbers = delays()
    copied = numbers.with_columns(late_by=numbers["delay"].cast(pl.Float32).cast(pl.Float64))
    (one,) = leaks(copied, DELAY, late_by=ty.number())
    assert (one.rule, one.rows) == ("equals the label", 2_000)


def test_a_field_that_tells_a_class_or_a_number_alone_is_found() -> None:
    draw = np.random.default_rng(5)
    frame = news()
    money = frame["on"].str.contains("money").to_numpy()
    told = frame.with_columns(turnover=np.where(money, 5, 0) + draw.normal(size=frame.height))
    (one,) = leaks(told, TOPICS, turnover=ty.number())
    assert one.rule == "predicts the label alone"
    assert "AUROC 1.000 for 'money' on the validation part" in one.meaning
    frame = delays(6_000)
    told = frame.with_columns(landed=frame["delay"] * 2 + draw.normal(size=frame.height) * 0.1)
    (one,) = leaks(told, DELAY, landed=ty.number())
    assert one.rule == "predicts the label alone"


def test_what_is_missing_with_a_class_or_a_range_is_found() -> None:
    frame = news()
    war = frame["on"].str.contains("war")
    gaps = frame.with_columns(front=pl.select(pl.when(war).then(pl.lit("east"))).to_series())
    (one,) = leaks(gaps, TOPICS, front=ty.category(optional=True))
    assert one.field == "front"
    assert "the label is" in one.rule
    assert "war" in one.rule
    numbers = delays()
    late = numbers["delay"] > numbers["delay"].quantile(0.9)
    gaps = numbers.with_columns(refund=pl.select(pl.when(late).then(1.0)).to_series())
    (one,) = leaks(gaps, DELAY, refund=ty.number(optional=True))
    assert "when the label is 'from " in one.rule


def test_a_trend_of_a_number_or_a_class_is_found() -> None:
    for task, frame in ((TOPICS, news(4_000)), (DELAY, delays(4_000))):
        truth = truth_of(frame, task)
        by = truth[:, 0].astype(float) if task.is_multilabel else truth / 30
        days = 20 * by + np.random.default_rng(1).normal(size=len(by)) * 10
        when = pl.Series([datetime(2024, 1, 1) + timedelta(days=day) for day in days])
        (one,) = leaks(frame.with_columns(when=when), task, when=ty.timestamp())
        assert one.rule == "carries a trend of the label"
        assert "the share of '" in one.meaning


# what else is told of labels


def test_answers_are_profiled_by_what_they_are() -> None:
    topics = answers_schema(TOPICS)
    chances = tuple(f"probability of '{name}'" for name in TOPICS.classes)
    assert topics.names == ("labels", *chances)
    scores = np.array([[0.1, 0.9, 0.5]])
    assert answers_frame(scores, TOPICS).row(0) == (2, 0.1, 0.9, 0.5)
    (value,) = answers_schema(DELAY).fields
    assert (value.name, value.unit) == ("value", "minutes")
    assert answers_frame(np.array([[5.0, -1.0, 8.0]]), DELAY).row(0) == (5.0,)


def test_of_very_many_labels_the_first_hundred_are_profiled_one_by_one() -> None:
    many = replace(TOPICS, classes=tuple(f"topic {number}" for number in range(150)))
    frame = answers_frame(np.full((4, 150), 0.9), many)
    assert frame.columns == list(answers_schema(many).names)
    assert frame.width == 101
    assert frame["labels"].to_list() == [150] * 4
