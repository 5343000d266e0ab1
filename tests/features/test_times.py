"""Transforms of times against Python's own calendar."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import torchyard as ty
from tests.features.fitted import Fitted

SCHEMA = ty.Schema(start=ty.timestamp(), end=ty.timestamp(optional=True))
ROWS = pl.DataFrame(
    {
        "start": [datetime(2024, 2, 29, 23, 59), datetime(1969, 7, 20, 20, 17, 40)],
        "end": [datetime(2024, 3, 1, 1, 29), None],
    }
)
PARTS = (
    "year", "quarter", "month", "day", "day_of_year", "weekday", "hour", "minute", "weekend",
)  # fmt: skip


@pytest.fixture(scope="module", name="calendar")
def _calendar() -> Fitted:
    return Fitted(SCHEMA, ty.calendar_time("start", *PARTS), ROWS)


@pytest.fixture(scope="module", name="clock")
def _clock() -> Fitted:
    return Fitted(SCHEMA, ty.cyclic_time("end", "hour", "weekday", "month"), ROWS)


def times(field: str, when: datetime) -> pl.DataFrame:
    return ROWS.head(1).with_columns(pl.Series(field, [when], dtype=pl.Datetime("us")))


@given(st.datetimes())
@example(datetime(1, 1, 1))
@example(datetime(9999, 12, 31, 23, 59, 59, 999_999))
@example(datetime(1969, 12, 31, 23, 59, 59, 999_999))
@example(datetime(1900, 2, 28))
@example(datetime(2000, 2, 29))
@settings(max_examples=150, deadline=None)
def test_parts_of_a_date_agree_with_the_calendar(calendar: Fitted, when: datetime) -> None:
    assert calendar(times("start", when))[0].tolist() == [
        when.year, (when.month - 1) // 3 + 1, when.month, when.day, when.timetuple().tm_yday,
        when.weekday(), when.hour, when.minute, float(when.weekday() >= 5),
    ]  # fmt: skip


@given(st.datetimes())
@settings(max_examples=100, deadline=None)
def test_the_clock_agrees_with_the_calendar(clock: Fitted, when: datetime) -> None:
    turns = ((when.hour * 60 + when.minute) / 1440, when.weekday() / 7, (when.month - 1) / 12)
    expected = [value for t in turns for value in (math.cos(math.tau * t), math.sin(math.tau * t))]
    np.testing.assert_allclose(clock(times("end", when))[0], expected, atol=1e-6)


def test_a_missing_time_lies_in_the_middle_of_the_clock(clock: Fitted) -> None:
    assert not clock.made[1].any()


def test_a_missing_date_is_flagged_once_for_all_its_parts() -> None:
    made = Fitted(SCHEMA, ty.calendar_time("end", "day", "hour"), ROWS).made
    assert made.tolist() == [[1, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("unit", "expected"), [("seconds", 5400), ("minutes", 90), ("hours", 1.5), ("days", 0.0625)]
)
def test_elapsed_counts_in_its_unit(unit: str, expected: float) -> None:
    made = Fitted(SCHEMA, ty.elapsed("start", "end", unit=unit), ROWS).made  # type: ignore[arg-type]
    assert made.tolist() == [[expected, 0], [0, 1]]


def test_elapsed_is_negative_backwards_and_exact_to_the_microsecond() -> None:
    elapsed = Fitted(SCHEMA, ty.elapsed("start", "end", unit="seconds"), ROWS)
    when = datetime(2024, 1, 1)
    rows = pl.DataFrame({"start": [when], "end": [when - timedelta(microseconds=1)]})
    assert elapsed(rows)[0].tolist() == [np.float32(-1e-6), 0]
