from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchyard as ty
from torchyard.core.errors import BadData
from torchyard.data.check import check

SCHEMA = ty.Schema(
    when=ty.timestamp(),
    origin=ty.category(["A", "B"]),
    distance=ty.number(unit="miles", ge=0, le=100),
    seats=ty.integer(ge=1, optional=True),
    wide=ty.boolean(optional=True),
)


def frame(**columns: list[object]) -> pl.DataFrame:
    rows = max((len(column) for column in columns.values()), default=3)
    given: dict[str, list[object]] = {
        "when": [datetime(2024, 1, 1)] * rows,
        "origin": ["A"] * rows,
        "distance": [1.0] * rows,
        "seats": [2] * rows,
        "wide": [True] * rows,
        "late": [False] * rows,
    }
    return pl.DataFrame({**given, **columns}, strict=False)


def test_good_rows_pass_without_findings() -> None:
    checked = check(frame(), SCHEMA, label="late", source="t")
    assert checked.findings == ()
    assert checked.accepted.height == 3
    assert checked.accepted.columns == [*SCHEMA.names, "late"]
    assert checked.quarantined.is_empty()


def test_every_broken_rule_is_counted_with_examples_and_its_rows_set_aside() -> None:
    rows = frame(
        distance=[1.0, -2.0, 300.0, None, float("nan"), float("inf"), 5.0, -1.0],
        origin=["A", "A", "Z", "A", "A", "A", None, ""],
    )
    checked = check(rows, SCHEMA, label="late", source="t")
    counts = {(finding.field, finding.rule): finding.rows for finding in checked.findings}
    assert counts == {
        ("origin", "is missing"): 2,
        ("origin", "is not an allowed value"): 2,
        ("distance", "is missing"): 2,
        ("distance", "is infinite"): 1,
        ("distance", "is below 0 miles"): 2,
        ("distance", "is above 100 miles"): 2,
    }
    assert checked.accepted.height == 1
    assert checked.quarantined.height == 7
    assert checked.quarantined["broke"][1] == (
        "origin: is not an allowed value; distance: is above 100 miles"
    )
    below = next(item for item in checked.findings if item.rule == "is below 0 miles")
    assert below.examples == ("row 1: -2.0", "row 7: -1.0")


@given(
    st.lists(
        st.one_of(st.none(), st.floats(-50, 150), st.just(float("nan"))), min_size=1, max_size=30
    )
)
@settings(max_examples=30, deadline=None)
def test_no_row_is_lost(values: list[float | None]) -> None:
    rows = frame(distance=[1.0, *values])
    checked = check(rows, SCHEMA, label="late", source="t")
    assert checked.accepted.height + checked.quarantined.height == rows.height
    assert checked.accepted["distance"].is_between(0, 100).all()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (frame().drop("distance"), r"t, column 'distance': found no such column"),
        (
            frame(distance=["1", "x", "2"]),
            r"found String values such as '1', 'x', '2'; expected num",
        ),
        (frame(seats=[1.5, 2.5, 3.5]), "expected whole numbers"),
        (frame(late=["yes", "no", "no"]), "expected true or false"),
        (frame(when=["soon"] * 3), "expected local dates and times"),
        (frame(distance=[-1.0]), "no row of 1 that fits.*is below 0 miles: 1 rows"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_whole(rows: pl.DataFrame, said: str) -> None:
    with pytest.raises(BadData, match=said):
        check(rows, SCHEMA, label="late", source="t")


def test_a_column_the_schema_does_not_know_is_reported_and_left_out() -> None:
    checked = check(frame(surprise=[1, 2, 3]), SCHEMA, label="late", source="t")
    assert [(item.field, item.severity) for item in checked.findings] == [("surprise", "warn")]
    assert "surprise" not in checked.accepted.columns


def test_an_optional_column_may_be_empty() -> None:
    checked = check(frame(seats=[None] * 3), SCHEMA, label="late", source="t")
    assert checked.accepted["seats"].null_count() == 3
    assert checked.accepted["seats"].dtype == pl.Int64
