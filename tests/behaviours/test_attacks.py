"""Functions and models that fail become findings; no changed row leaves the schema."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import torchyard as ty
from tests.support.planted import ROWS, Array, Planted, by_speed, constant
from torchyard.behaviours import try_behaviour
from torchyard.project.expectations import Expectation


def raises(rows: pl.DataFrame, answer: Any) -> pl.Series:
    """It holds."""
    raise ValueError(f"cannot read {rows['holder'][0]}")


def gives_text(rows: pl.DataFrame, answer: Any) -> Any:
    """It holds."""
    return "yes"


def gives_numbers(rows: pl.DataFrame, answer: Any) -> Any:
    """It holds."""
    return rows["speed"]


def gives_too_few(rows: pl.DataFrame, answer: Any) -> Any:
    """It holds."""
    return pl.Series([True])


def names_no_column(rows: pl.DataFrame, answer: Any) -> Any:
    """It holds."""
    return pl.col("sped") > 1


def leaves_the_schema(rows: pl.DataFrame, answer: Any) -> Any:
    """It holds."""
    return answer(rows.with_columns(speed=pl.col("speed") + 5))[:, 1] > 1


def exits(rows: pl.DataFrame, answer: Any) -> Any:
    """It holds."""
    return rows.select(nothing=1 / 0)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (raises, "ValueError in line"),
        (gives_text, "found a str; expected a boolean per row"),
        (gives_numbers, "found a Series of Float64"),
        (gives_too_few, "found 1 answers for 200 rows"),
        (names_no_column, "ColumnNotFoundError in line"),
        (leaves_the_schema, "rows that break the schema; expected rows that a request could send"),
        (exits, "ZeroDivisionError in line"),
    ],
)
def test_a_function_that_fails_is_a_finding(planted: Planted, function: Any, words: str) -> None:
    declared = ty.behaviour(function)
    found = try_behaviour(declared.behaviour, planted(constant), declared.function)
    assert words in found.finding
    assert found.finding.startswith(f"behaviour '{function.__name__.replace('_', ' ')}'")
    assert "Ada Example" not in found.finding  # what a row holds is nobody's business
    assert (found.rows, found.failed, found.failure_rate) == (0, 0, None)


def test_a_function_judges_rows_and_may_leave_some_open(planted: Planted) -> None:
    @ty.behaviour
    def faster_is_later(rows: pl.DataFrame, answer: Any) -> pl.Series:
        """A faster flight is
        no more punctual.

        More words.
        """
        now = pl.Series(answer(rows)[:, 1])
        slow = answer(rows.with_columns(speed=pl.col("speed") / 2))[:, 1]
        return pl.select(pl.when(rows["speed"] > 5).then(now > slow)).to_series()

    behaviour = faster_is_later.behaviour
    assert behaviour.says == "A faster flight is no more punctual."
    trial = planted(by_speed)
    found = try_behaviour(behaviour, trial, faster_is_later.function)
    assert found.rows == found.failed == int((trial.rows["speed"] > 5).sum())
    assert len(found.examples) == 5


def test_a_function_that_mutates_changes_no_other_behaviour(planted: Planted) -> None:
    @ty.behaviour
    def spoils(rows: pl.DataFrame, answer: Any) -> pl.Series:
        """It holds."""
        rows[0, "speed"] = 1e9
        rows.drop_in_place("remark")
        answer(rows.clear())
        return pl.Series([False] * rows.height)

    trial = planted(by_speed)
    before = trial.rows.clone()
    try_behaviour(spoils.behaviour, trial, spoils.function)
    assert trial.rows.equals(before)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda rows: 1 / 0, "found ZeroDivisionError in line"),
        (lambda rows: np.full((rows.height, 2), np.nan), "found answers that are not finite"),
        (lambda rows: np.zeros((rows.height, 3)), "found answers of shape [200, 3]"),
    ],
)
def test_a_model_that_fails_is_a_finding(planted: Planted, ask: Any, words: str) -> None:
    trial = replace(planted(constant), ask=ask)
    found = try_behaviour(ty.invariant("speed", change=1).behaviour, trial)
    assert words in found.finding


def test_a_model_that_fails_on_changed_rows_alone_is_a_finding(planted: Planted) -> None:
    def ask(rows: pl.DataFrame) -> Array:
        given = np.where(rows["seats"].is_null().to_numpy(), np.nan, 0.5)
        return np.column_stack([given, given])

    trial = replace(planted(constant), ask=ask)
    assert "not finite" in try_behaviour(ty.robust(missing="seats").behaviour, trial).finding


bounded = st.floats(-20, 20).filter(lambda by: by != 0)
changes = st.one_of(
    bounded.map(lambda by: ty.invariant("speed", change=by)),
    st.integers(-20, 20).filter(bool).map(lambda by: ty.invariant("seats", change=by)),
    st.floats(-3, 3).filter(lambda by: by != 1).map(lambda by: ty.robust("seats", factor=by)),
    st.floats(0.01, 9).map(lambda by: ty.robust("speed", noise=by)),
    st.integers(1, 50).map(lambda by: ty.invariant("remark", typos=by)),
    st.just(ty.robust(unit="speed")),
    st.just(ty.invariant("remark", swap=["late", "late " * 9])),
    st.tuples(st.floats(0.01, 30), st.floats(0.01, 30)).map(
        lambda far: ty.adversarial("speed", "seats", within=far, steps=8)
    ),
)


@given(declared=changes)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_changed_row_leaves_the_schema(planted: Planted, declared: Expectation) -> None:
    trial = planted(by_speed)
    asked: list[pl.DataFrame] = []

    def ask(rows: pl.DataFrame) -> Array:
        asked.append(rows)
        return trial.ask(rows)

    found = try_behaviour(declared.behaviour, replace(trial, ask=ask), declared.function)
    assert "found" not in found.finding
    assert found.rows + found.left_out <= ROWS
    for rows in asked:
        assert rows["speed"].is_between(0, 10).all()
        assert rows["seats"].drop_nulls().is_between(0, 9).all()
        assert rows["remark"].str.len_chars().max() <= 40  # type: ignore[operator]
        assert rows.schema == trial.rows.schema
    if declared.behaviour.kind == "adversarial":
        assert len(asked) <= 1 + 8


@given(far=st.tuples(st.floats(0.1, 5), st.floats(1, 5)))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_search_stays_within_its_bounds(planted: Planted, far: tuple[float, float]) -> None:
    declared = ty.adversarial("speed", "seats", within=far)
    found = try_behaviour(declared.behaviour, planted(by_speed))
    for one in found.examples:
        for field, most in zip(("speed", "seats"), far, strict=True):
            was, now = one.row[field], one.changed[field]
            assert isinstance(was, (int, float))
            assert isinstance(now, (int, float))
            assert abs(was - now) <= most + 1e-9
