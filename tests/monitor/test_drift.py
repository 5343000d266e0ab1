"""Drift: quiet without a change, loud with one, and right about what changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tests.monitor.traffic import LOGGED, draw, reference
from torchyard.data.profile import profile
from torchyard.monitor.drift import (
    EXPECTED_ROWS,
    Judgement,
    Limits,
    cells,
    judge,
    population_stability_index,
)
from torchyard.records.dataset import FieldProfile

Change = Callable[[pl.DataFrame], pl.DataFrame]


def judged(frame: pl.DataFrame, limits: Limits | None = None) -> dict[str, Judgement]:
    known = {field.name: field for field in reference().inputs.fields}
    current = profile(frame, LOGGED, reference=reference().inputs)
    origin = frame["origin"].drop_nulls()
    unseen = origin.filter(~origin.is_in(["EWR", "JFK", "LGA"])).value_counts(name="rows")
    found = judge(
        [(known[field.name], field) for field in current.fields],
        unseen={"origin": dict(unseen.iter_rows())},
        limits=limits or Limits(),
    )
    return {judgement.drift.name: judgement for judgement in found}


@pytest.mark.parametrize("rows", [1, 5, 10, 20, 50, 150, 500, 3_000])
def test_false_alarms_are_rarer_than_promised(rows: int) -> None:
    random = np.random.default_rng(rows)
    windows = 150
    alarms = sum(
        any(item.drift.drifted for item in judged(draw(rows, random)).values())
        for _ in range(windows)
    )
    # At most 1 % of windows: 1.5 expected, and 6 or more in under 1 % of runs.
    assert alarms <= 5


def test_p_values_are_those_of_no_change() -> None:
    """Corrected p-values below 5 % in about 5 % of windows, or fewer."""
    random = np.random.default_rng(1)
    smallest = [
        min(item.drift.p_value for item in judged(draw(400, random)).values()) for _ in range(300)
    ]
    assert 0 < np.mean(np.array(smallest) < 0.05) < 0.09


def test_psi_has_no_excess_without_a_change() -> None:
    random = np.random.default_rng(2)
    psi = [judged(draw(300, random))["wind_speed"].drift.psi for _ in range(200)]
    assert np.mean(psi) < 0.02  # uncorrected: 19/300 = 0.063
    assert np.mean(np.array(psi) == 0) > 0.4


CHANGES: dict[str, tuple[str, Change, str, str]] = {
    "a shift": (
        "wind_speed",
        lambda rows: rows.with_columns(pl.col("wind_speed") + 6),
        "values",
        "mph, was 9.17 mph",
    ),
    "another unit": (
        "wind_speed",
        lambda rows: rows.with_columns(pl.col("wind_speed") * 0.44704),
        "unit",
        "values look like m/s instead of mph (about 0.447 times the reference)",
    ),
    "missing values": (
        "wind_speed",
        lambda rows: rows.with_columns(
            wind_speed=pl.when(pl.int_range(pl.len()) % 3 == 0).then(None).otherwise("wind_speed")
        ),
        "missing",
        "of rows, was 1.8 %",
    ),
    "a new value": (
        "origin",
        lambda rows: rows.with_columns(
            origin=pl.when(pl.int_range(pl.len()) % 8 == 0).then(pl.lit("XX")).otherwise("origin")
        ),
        "unseen",
        "new value 'XX' in 1",
    ),
    "other shares": (
        "origin",
        lambda rows: rows.with_columns(
            origin=pl.when(pl.col("origin") == "EWR").then(pl.lit("LGA")).otherwise("origin")
        ),
        "values",
        "of present rows, was",
    ),
    "other hours": (
        "scheduled",
        lambda rows: rows.with_columns(pl.col("scheduled").dt.offset_by("5h")),
        "unseen",
        "hours that were never seen before in",
    ),
    "a flag": (
        "express",
        lambda rows: rows.with_columns(pl.lit(True).alias("express")),
        "values",
        "true in 100 % of present rows, was 30 %",
    ),
    "a constant": (
        "stops",
        lambda rows: rows.with_columns(pl.lit(1, dtype=pl.Int64).alias("stops")),
        "values",
        "of present rows, was",
    ),
}


@pytest.mark.parametrize("rows", [150, 5_000])
@pytest.mark.parametrize("name", CHANGES)
def test_a_planted_change_is_found_named_and_explained(name: str, rows: int) -> None:
    field, change, cause, words = CHANGES[name]
    found = judged(change(draw(rows, np.random.default_rng(30))))
    assert found[field].drift.drifted
    assert found[field].cause == cause
    if name != "a constant":
        assert words in found[field].drift.explanation
    assert [name for name, item in found.items() if item.drift.drifted] == [field]
    assert all(
        item.drift.explanation == "no clear change" and item.cause is None
        for other, item in found.items()
        if other != field
    )


def test_a_large_sample_does_not_cry_wolf() -> None:
    rows = draw(60_000, np.random.default_rng(4)).with_columns(pl.col("wind_speed") * 1.03)
    found = judged(rows)["wind_speed"].drift
    assert found.p_value < 1e-4
    assert found.psi < 0.05
    assert not found.drifted


def test_a_handful_of_rows_is_not_enough() -> None:
    rows = draw(12, np.random.default_rng(5)).with_columns(
        origin=pl.when(pl.int_range(pl.len()) < 4).then(pl.lit("XX")).otherwise("origin")
    )
    assert not judged(rows)["origin"].drift.drifted


def test_limits_are_those_given() -> None:
    rows = draw(5_000, np.random.default_rng(6)).with_columns(pl.col("wind_speed") + 6)
    assert not judged(rows, Limits(psi=100.0))["wind_speed"].drift.drifted
    assert judged(rows, Limits(p_value=1e-300))["wind_speed"].drift.psi > 0.2


def test_psi_by_hand() -> None:
    """Two bins of 500 and 500 against 800 and 200, half a row added to each."""
    before = FieldProfile(
        name="x", kind="number", rows=1000, missing=0, edges=(0.0,), counts=(500, 500)
    )
    after = replace(before, counts=(800, 200))
    p, q = np.array([800.5, 200.5]) / 1001, np.array([0.5, 0.5])
    expected = ((p - q) * np.log(p / q)).sum() - 2 / 1000
    assert population_stability_index(before, after) == pytest.approx(expected, rel=1e-12)
    assert population_stability_index(before, before) == 0.0


def test_thin_bins_are_pooled_with_their_neighbours() -> None:
    before = FieldProfile(
        name="x",
        kind="number",
        rows=100,
        missing=0,
        edges=(1.0, 2.0, 3.0, 4.0),
        counts=(40, 3, 3, 50, 4),
    )
    known, now = cells(before, before)
    assert known.tolist() == now.tolist() == [40, 6, 54]
    assert known.min() >= EXPECTED_ROWS
    categories = FieldProfile(
        name="x",
        kind="category",
        rows=100,
        missing=0,
        values=("a", "b", "c", "d"),
        counts=(50, 40, 3, 3),
        other=4,
    )
    assert cells(categories, categories)[0].tolist() == [50, 40, 10]


def test_nothing_to_compare_is_no_change() -> None:
    rows = draw(200, np.random.default_rng(7))
    found = judged(rows.head(0))
    assert {item.drift.p_value for item in found.values()} == {1.0}
    assert not any(item.drift.drifted for item in found.values())


def test_a_field_that_was_always_missing_and_appears() -> None:
    absent = FieldProfile(name="x", kind="number", rows=1000, missing=1000, counts=(0,))
    present = replace(
        absent, rows=100, missing=10, counts=(90,), quantiles=(1.0,) * 9, minimum=1, maximum=1
    )
    (found,) = judge([(absent, present)], unseen={}, limits=Limits())
    assert found.cause == "unseen"
    assert found.drift.explanation == "values that were never seen before in 90 % of rows"


def test_everything_missing_is_told() -> None:
    rows = draw(100, np.random.default_rng(8)).with_columns(
        pl.lit(None, dtype=pl.Float64).alias("wind_speed")
    )
    found = judged(rows)["wind_speed"]
    assert found.cause == "missing"
    assert found.drift.explanation.startswith("missing in 100 % of rows, was 1.8 %")
    assert (found.drift.missing, found.drift.psi) == (1.0, 0.0)
