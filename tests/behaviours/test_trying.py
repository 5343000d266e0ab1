"""Planted models that violate a behaviour are caught; those that comply pass."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import pytest

import torchyard as ty
from tests.support.planted import ROWS, Array, Planted, Rule, by_speed, constant
from torchyard.behaviours import try_behaviour
from torchyard.project.expectations import Expectation
from torchyard.records.behaviours import BehaviourResult


def tried(planted: Planted, rule: Rule, declared: Expectation, **others: Any) -> BehaviourResult:
    return try_behaviour(declared.behaviour, planted(rule, **others), declared.function)


def by_seats(frame: pl.DataFrame) -> Array:
    return frame["seats"].is_null().to_numpy() * 0.8 + 0.1


def by_carrier(frame: pl.DataFrame) -> Array:
    return np.where(frame["carrier"] == "UA", 0.9, 0.1)


def by_word(frame: pl.DataFrame) -> Array:
    return np.where(frame["remark"].str.contains(r"\bhe\b"), 0.9, 0.1)


def by_spelling(frame: pl.DataFrame) -> Array:
    return np.where(frame["remark"].str.contains("late|waits|fine"), 0.9, 0.1)


@pytest.mark.parametrize(
    ("declared", "violates", "fails"),
    [
        (ty.invariant("speed", change=0.1, tolerance=0.005), by_speed, True),
        (ty.invariant("speed", change=0.1, tolerance=0.02), lambda f: by_speed(f) / 3, False),
        (ty.invariant("speed", factor=0.5), by_speed, True),
        (ty.invariant("carrier", swap=["UA", "B6"]), by_carrier, True),
        (ty.invariant("carrier", swap=["DL", "B6"]), by_carrier, False),
        (ty.invariant("remark", swap=["he", "she"]), by_word, True),
        (ty.invariant("remark", typos=9), by_spelling, True),
        (ty.directional("speed", change=1, expect="down"), by_speed, True),
        (ty.directional("speed", change=1, expect="up"), by_speed, False),
        (ty.directional("speed", change=1, expect="any"), by_speed, False),
        (ty.directional("speed", change=1, expect="any"), constant, True),
        (ty.directional("speed", change=1, expect="down", of="not late"), by_speed, False),
        (ty.robust(missing="seats"), by_seats, True),
        (ty.robust(missing="every optional field"), by_seats, True),
        (ty.robust(unit="speed"), by_speed, True),
        (ty.robust("speed", noise=1.0), by_speed, True),
        (ty.adversarial("speed", within=1), by_speed, True),
        (ty.adversarial("seats", within=3), by_speed, False),
    ],
    ids=lambda value: value.behaviour.name if isinstance(value, Expectation) else None,
)  # fmt: skip
def test_what_violates_is_caught_and_what_complies_passes(
    planted: Planted, declared: Expectation, violates: Rule, fails: bool
) -> None:
    found = tried(planted, violates, declared)
    assert found.finding == ""
    assert found.rows > 30
    assert (found.failed > 0) is fails
    assert found.failure_rate is not None
    assert found.failure_rate.value == found.failed / found.rows
    assert found.failure_rate.low <= found.failure_rate.value <= found.failure_rate.high  # type: ignore[operator]
    assert len(found.examples) == min(5, found.failed)
    assert tried(planted, constant, declared).failed == (
        found.rows if declared.behaviour.options.get("expect") == "any" else 0
    )


def test_rows_that_would_break_the_schema_are_left_out_and_counted(
    planted: Planted, rows: pl.DataFrame
) -> None:
    found = tried(planted, by_speed, ty.invariant("speed", change=2.0))
    beyond = int((rows["speed"] > 8).sum())
    assert found.left_out == beyond > 10
    assert found.rows == ROWS - beyond
    assert found.worst == pytest.approx(0.2)


def test_a_swap_is_tried_only_where_it_changes_something(
    planted: Planted, rows: pl.DataFrame
) -> None:
    found = tried(planted, by_carrier, ty.invariant("carrier", swap=["UA", "B6"]))
    assert found.rows == int(rows["carrier"].is_in(["UA", "B6"]).sum())
    assert found.left_out == 0


def test_a_change_that_applies_to_no_row_says_so(planted: Planted) -> None:
    found = tried(planted, constant, ty.invariant("remark", swap=["they", "we"]))
    assert (found.rows, found.failure_rate) == (0, None)
    assert found.finding == "It applies to no row that was looked at."


def test_examples_show_the_worst_rows_and_withhold_what_is_personal(
    planted: Planted, rows: pl.DataFrame
) -> None:
    long = rows.with_columns(remark=pl.lit("x" * 30))
    found = tried(planted, by_speed, ty.directional("speed", factor=0.5, expect="up"), rows=long)
    moves = [one.before[1] - one.after[1] for one in found.examples]
    assert moves == sorted(moves, reverse=True)
    assert moves[0] == pytest.approx(found.worst)
    for one in found.examples:
        assert one.row["holder"] is None
        assert one.changed == {"speed": pytest.approx(one.row["speed"] / 2)}
    swapped = tried(
        planted, lambda f: f["holder"].str.starts_with("Ada").to_numpy() * 0.9,
        ty.invariant("holder", swap=["Ada", "Bob"]),
    )  # fmt: skip
    assert swapped.failed == ROWS
    assert "Ada Example" not in str(swapped)
    assert swapped.examples[0].changed == {"holder": None}


def test_a_missing_value_is_told_as_none(planted: Planted) -> None:
    found = tried(planted, by_seats, ty.robust(missing="seats"))
    assert found.examples[0].changed == {"seats": None}


def test_the_same_trial_gives_the_same_result(planted: Planted) -> None:
    for declared in (
        ty.robust("speed", noise=1.0), ty.invariant("remark", typos=2),
        ty.adversarial("speed", "seats", within=[1, 2]),
    ):  # fmt: skip
        once, again = (tried(planted, by_speed, declared) for _ in range(2))
        assert once == again
    other = tried(planted, by_speed, ty.robust("speed", noise=1.0), seed=2)
    assert other != tried(planted, by_speed, ty.robust("speed", noise=1.0))


def test_known_rows_are_judged_by_decision_and_by_probability(planted: Planted) -> None:
    fast = {"speed": 9.5, "carrier": "UA", "remark": "fine", "holder": "nobody"}
    slow = fast | {"speed": 0.5}
    assert tried(planted, by_speed, ty.minimum(rows=[fast], expect="late")).failed == 0
    assert tried(planted, by_speed, ty.minimum(rows=[fast, slow], expect="late")).failed == 1
    assert tried(planted, by_speed, ty.minimum(rows=[fast], expect="late", at_least=0.97)).failed
    assert not tried(planted, by_speed, ty.minimum(rows=[slow], expect="late", at_most=0.2)).failed
    given = ty.minimum(rows=lambda: pl.DataFrame([fast, slow]), expect="not late", name="given")
    assert (tried(planted, by_speed, given).rows, tried(planted, by_speed, given).failed) == (2, 1)


def test_known_rows_are_selected_among_real_ones(planted: Planted, rows: pl.DataFrame) -> None:
    found = tried(planted, by_speed, ty.minimum(where=lambda f: f["speed"] > 9, expect="late"))
    assert (found.rows, found.failed) == (int((rows["speed"] > 9).sum()), 0)
    found = tried(planted, constant, ty.minimum(where=lambda f: pl.col("speed") > 9, expect="late"))
    assert found.failed == found.rows > 0


def test_a_known_row_that_breaks_the_schema_is_a_finding(planted: Planted) -> None:
    wrong = {"speed": 99.0, "carrier": "UA", "remark": "fine", "holder": "nobody"}
    found = tried(planted, by_speed, ty.minimum(rows=[wrong], expect="late"))
    assert "1 rows that break the schema: speed: is above 10 mph" in found.finding


def test_all_four_kinds_of_task(planted: Planted) -> None:
    def three(frame: pl.DataFrame) -> Array:
        speed = by_speed(frame)
        return np.column_stack([1 - speed, speed / 2, speed / 2])

    def two_labels(frame: pl.DataFrame) -> Array:
        return np.column_stack([by_speed(frame), constant(frame)])

    def minutes(frame: pl.DataFrame) -> Array:
        value = frame["speed"].to_numpy() * 6
        return np.column_stack([value, value - 5, value + 5])

    many = ty.multiclass_classification("kind", classes=["a", "b", "c"])
    labels = ty.multilabel_classification("tags", classes=["a", "b"])
    number = ty.regression("minutes", unit="min")
    up = ty.directional("speed", change=1, expect="up", of="a")
    assert tried(planted, three, up, task=many).failed == tried(planted, three, up, task=many).rows
    assert tried(planted, two_labels, up, task=labels).failed == 0
    rising = ty.directional("speed", change=1, expect="up")
    assert tried(planted, minutes, rising, task=number).failed == 0
    still = ty.invariant("speed", change=1, tolerance=5)
    assert tried(planted, minutes, still, task=number).worst == pytest.approx(6)
    assert tried(planted, minutes, still, task=number).failed > 100
    turned = ty.adversarial("speed", within=2)
    assert 0 < tried(planted, three, turned, task=many).failed < ROWS
    assert 0 < tried(planted, two_labels, turned, task=labels).failed < ROWS
    moved = dataclasses.replace(ty.adversarial("speed", within=1, tolerance=5))
    assert tried(planted, minutes, moved, task=number).failed > 100
    known = ty.minimum(where=lambda f: f["speed"] > 9, expect=60, tolerance=7)
    assert tried(planted, minutes, known, task=number).failed == 0
    tagged = ty.minimum(where=lambda f: f["speed"] > 9, expect="a")
    assert tried(planted, two_labels, tagged, task=labels).failed == 0
    assert tried(planted, three, tagged, task=many).failed > 0
