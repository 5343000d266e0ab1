"""How fields are parted, and what is said of it."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from torchyard.evaluate.weak.slice_conditions import may_be_searched, part_rows
from torchyard.records.conditions import told as told_slice
from torchyard.records.conditions import told_condition
from torchyard.records.measures import Measured
from torchyard.records.schema import Field, Schema
from torchyard.records.weaknesses import Condition, FoundSlice


def told(field: Field, column: pl.Series, *, min_rows: int = 1) -> list[list[str]]:
    return [
        [told_condition(one, field) for one in parted.conditions]
        for parted in part_rows(field, column, min_rows=min_rows)
    ]


def test_numbers_are_parted_at_round_quantiles() -> None:
    wind = Field(name="wind", kind="number", unit="mph")
    column = pl.Series(np.random.default_rng(0).gamma(4.0, 5.0, 10_000))
    assert told(wind, column) == [[
        "wind below 10 mph", "wind from 10 to 13 mph", "wind from 13 to 16 mph",
        "wind from 16 to 18 mph", "wind from 18 to 22 mph", "wind from 22 to 26 mph",
        "wind from 26 to 32 mph", "wind at least 32 mph",
    ]]  # fmt: skip


def test_ranges_hold_about_as_many_rows_each() -> None:
    column = pl.Series(np.random.default_rng(1).normal(1e6, 3.0, 10_000))
    (parted,) = part_rows(Field(name="depth", kind="number"), column, min_rows=1)
    rows = np.bincount(parted.codes, minlength=8)
    assert rows.min() > 900
    assert rows.max() < 1_600


def test_a_few_whole_numbers_are_parted_one_by_one() -> None:
    seats = Field(name="seats", kind="integer", optional=True)
    assert told(seats, pl.Series([2, 4, 4, None])) == [["seats = 2", "seats = 4", "seats missing"]]
    many = told(seats, pl.Series(range(1_000)))[0]
    assert many[1] == "seats from 100 to 249"


def test_rare_values_are_no_condition() -> None:
    carrier = Field(name="carrier", kind="category")
    column = pl.Series(["AA"] * 5 + ["HA"] * 2 + [None] * 3)
    (parted,) = part_rows(carrier, column, min_rows=3)
    assert [one.value for one in parted.conditions] == ["AA", "(missing)"]
    assert parted.codes.tolist() == [0] * 5 + [2] * 2 + [1] * 3
    assert told(Field(name="late", kind="boolean"), pl.Series([True, False])) == [
        ["late = false", "late = true"]
    ]


def test_times_are_parted_by_hour_weekday_and_month() -> None:
    due = Field(name="due", kind="timestamp", optional=True)
    column = pl.Series([datetime(2024, 1, 1, 20, 30) + timedelta(days=40 * n) for n in range(2)])
    hours, weekdays, months = told(due, pl.concat([column, pl.Series([None], dtype=column.dtype)]))
    assert hours == ["due from 18:00 to 21:00", "due missing"]
    assert weekdays == ["due on Monday", "due on Saturday"]
    assert months == ["due in January", "due in February"]


def test_texts_are_parted_by_length() -> None:
    title = Field(name="title", kind="text")
    column = pl.Series(["x" * length for length in range(1, 401)] + [""])
    lengths = told(title, column)[0]
    assert lengths[0] == "title of fewer than 50 characters"
    assert lengths[1] == "title of 50 to 99 characters"
    assert lengths[-1] == "title missing"


@pytest.mark.parametrize(
    ("field", "searched"),
    [
        (Field(name="age", kind="number"), True),
        (Field(name="age", kind="number", personal=True), False),
        (Field(name="age", kind="number", personal=True, allow=("log",)), True),
        (Field(name="sex", kind="category", personal=True, values=("f", "m")), True),
        (Field(name="name", kind="category", personal=True), False),
        (Field(name="member", kind="boolean", personal=True), True),
        (Field(name="note", kind="text", personal=True), False),
        (Field(name="paid", kind="number", later=True), False),
        (Field(name="key", kind="id"), False),
        (Field(name="photo", kind="image"), False),
    ],
)
def test_fields_that_may_not_or_cannot_be_shown_are_not_searched(
    field: Field, searched: bool
) -> None:
    assert may_be_searched(field) is searched


def test_numbers_that_are_not_finite_are_missing() -> None:
    column = pl.Series([1.0, float("inf"), float("nan"), None])
    (conditions,) = told(Field(name="x", kind="number"), column)
    assert conditions == ["x at least 1", "x missing"]


def test_two_parts_of_one_time_are_told_with_its_name_once() -> None:
    conditions = (
        Condition(field="due", low=18.0, high=21.0), Condition(field="due", value="Friday")
    )  # fmt: skip
    loss = Measured(value=1.0, low=0.9, high=1.1, rows=9, method="")
    found = FoundSlice(conditions=conditions, rows=9, measured=loss, others=0.4, p_value=0.01)
    schema = Schema(fields=(Field(name="due", kind="timestamp"),))
    assert told_slice(found, schema) == "due from 18:00 to 21:00 and on Friday"
