from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.samples import binary, draw
from torchyard.evaluate.counting.sample import Bools, Floats
from torchyard.evaluate.parting.crossing import MOST_CELLS, crossings, with_crossings
from torchyard.evaluate.report import evaluate
from torchyard.records.evidence import Report


def report_of(truth: Bools, probability: Floats, **groups: object) -> Report:
    return evaluate(
        binary(truth, probability),
        model="m",
        split="test",
        groups={name: np.asarray(values) for name, values in groups.items()},
        slices={},
        baselines={},
        resamples=40,
    )


def test_two_fields_are_crossed_once_and_one_not_at_all() -> None:
    assert crossings(["sex"]) == ()
    assert crossings(["sex", "race"]) == (("sex", "race"),)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(*[st.sampled_from("abc")] * 3), min_size=1, max_size=60))
def test_cells_are_the_values_joined_in_the_order_of_the_fields(
    rows: list[tuple[str, str, str]],
) -> None:
    columns = {
        name: np.array(column) for name, column in zip("xyz", zip(*rows, strict=True), strict=True)
    }
    crossed = with_crossings(columns)
    assert list(crossed) == ["x", "y", "z", "x, y", "x, z", "y, z", "x, y, z"]
    assert crossed["x, z"].tolist() == [f"{x}, {z}" for x, _, z in rows]
    assert crossed["x, y, z"].tolist() == [", ".join(row) for row in rows]


def test_no_rows_have_no_cells() -> None:
    nothing = np.array([], dtype=str)
    assert with_crossings({"x": nothing, "y": nothing})["x, y"].size == 0


def test_of_too_many_cells_the_largest_stay_and_the_rest_is_counted() -> None:
    sizes = np.arange(130) + 1
    names = np.repeat([f"{cell:03d}" for cell in range(130)], sizes)
    crossed = with_crossings({"x": names, "y": np.full(names.size, "b")})["x, y"]
    values, rows = np.unique(crossed, return_counts=True)
    assert values.size == MOST_CELLS + 1
    assert values[0] == "(30 smaller intersections)"
    assert rows[0] == sizes[:30].sum()


def test_the_rest_is_in_the_report_without_being_measured() -> None:
    truth, probability = draw(20_000)
    parts = np.random.default_rng(0).integers(0, 12, (2, 20_000)).astype(str)
    report = report_of(truth, probability, x=parts[0], y=parts[1])
    rest = next(one for one in report.groups if one.value == "(44 smaller intersections)")
    assert rest.field == "x, y"
    assert rest.rows > 4000
    assert rest.small == "beyond the 100 largest"
    assert rest.metrics == {}
    assert sum(one.rows for one in report.groups if one.field == "x, y") == 20_000


def test_a_harm_that_only_an_intersection_shows_is_found() -> None:
    """Women and men, old and young, are each selected alike: only their crossing is not."""
    rows = 8000
    truth, _ = draw(rows)
    women, old = np.random.default_rng(1).random((2, rows)) < 0.5
    chosen = np.where(women ^ old, 0.9, 0.1)
    fair = np.random.default_rng(2).random(rows) < 0.5
    probability = np.where(fair, 0.9 - 0.8 * (np.random.default_rng(3).random(rows) < 0.5), chosen)
    report = report_of(
        truth, probability, sex=np.where(women, "w", "m"), age=np.where(old, "old", "young")
    )
    name = "demographic_parity_difference"
    alone = [report.fairness[field][name] for field in ("sex", "age")]
    assert all(one.low is not None and one.low < 0.01 for one in alone)
    together = report.fairness["sex, age"][name]
    assert together.low is not None
    assert together.low > 0.4


def test_small_cells_are_named_and_left_out_of_the_differences() -> None:
    truth, probability = draw(3000)
    sex = np.where(np.arange(3000) % 2, "w", "m")
    race = np.where(np.arange(3000) < 150, "rare", "common")
    report = report_of(truth, probability, sex=sex, race=race)
    small = {
        one.value: one.small for one in report.groups if one.field == "sex, race" and one.small
    }
    assert small == {"m, rare": "75 rows", "w, rare": "75 rows"}
    method = report.fairness["sex, race"]["equalized_odds_difference"].method
    assert method.endswith("2 groups; left out: m, rare (75 rows), w, rare (75 rows)")


@pytest.mark.parametrize("rows", [0, 80])
def test_all_cells_small_have_no_differences(rows: int) -> None:
    truth, probability = draw(max(rows, 1))
    labels = np.full(truth.size, "a")
    report = report_of(truth, probability, x=labels, y=labels)
    assert report.fairness == {"x": {}, "y": {}, "x, y": {}}
    assert all(one.small for one in report.groups)


def test_the_order_of_rows_does_not_matter() -> None:
    truth, probability = draw(2000, decimals=2)
    x, y = np.random.default_rng(0).integers(0, 2, (2, 2000)).astype(str)
    other = np.random.default_rng(1).permutation(2000)
    first = report_of(truth, probability, x=x, y=y)
    second = report_of(truth[other], probability[other], x=x[other], y=y[other])
    values = [
        [(g.field, g.value, g.rows, g.classes) for g in report.groups] for report in (first, second)
    ]
    assert values[0] == values[1]
