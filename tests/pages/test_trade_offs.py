from __future__ import annotations

import re

import numpy as np
import pytest

from tests.evaluate.samples import binary, many
from torchyard.evaluate import evaluate
from torchyard.pages.trade_offs import trade_offs
from torchyard.records.evidence import Report


def report_of(rates: dict[str, float], *, rows: int = 1000, seed: int = 0) -> Report:
    """Groups with so many of the second class each, answered by a model that knows a little."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(list(rates), rows)
    truth = np.concatenate([np.arange(rows) < round(rate * rows) for rate in rates.values()])
    probability = np.clip(0.2 + 0.4 * truth + generator.normal(0, 0.25, truth.size), 0, 1)
    return evaluate(
        binary(truth, probability), model="m", split="test",
        groups={"sex": labels, "all": np.full(truth.size, "one")}, slices={}, baselines={},
        resamples=40,
    )  # fmt: skip


def test_different_base_rates_forbid_that_all_criteria_hold() -> None:
    (told,) = trade_offs(report_of({"f": 0.1, "m": 0.3}))
    assert told.startswith(
        "Of the rows where sex is f, 10.0% are 'late', where it is m, 30.0%: "
        "16.6 to 23.4 points apart."
    )
    assert "Kleinberg et al. 2016 and Chouldechova 2017" in told
    assert "nearest to holding" in told
    assert "gate the one whose breach does harm" in told


def test_the_forced_error_rates_are_those_of_the_identity() -> None:
    """At those rates each group has exactly that precision: counts solve the equation."""
    report = report_of({"f": 0.1, "m": 0.3})
    (told,) = trade_offs(report)
    said_of = re.findall(r"(0\.\d+) for [fm]", told)
    for rate, said in zip((0.1, 0.3), said_of, strict=True):
        recall, precision = (report.metrics[name].value for name in ("recall", "precision"))
        chosen = rate * recall, (1 - rate) * float(said)
        assert chosen[0] / sum(chosen) == pytest.approx(precision, abs=0.01)


def test_equal_base_rates_forbid_nothing() -> None:
    (told,) = trade_offs(report_of({"f": 0.2, "m": 0.22}))
    assert "no further apart than chance explains" in told
    assert "Kleinberg" not in told


def test_chance_is_allowed_for_every_pair_of_groups() -> None:
    """0.2 and 0.24 differ among two groups of 1,000, but not as the furthest of twelve."""
    two = {"a": 0.2, "b": 0.2401}
    assert "points apart" in trade_offs(report_of(two))[0]
    twelve = {**two, **{f"c{number}": 0.22 for number in range(10)}}
    assert "no further apart" in trade_offs(report_of(twelve))[0]


def test_one_group_small_groups_and_other_tasks_say_nothing() -> None:
    assert trade_offs(report_of({"f": 0.3})) == ()
    assert trade_offs(report_of({"f": 0.3, "m": 0.3}, rows=60)) == ()
    sample = many(400)
    labels = np.where(np.arange(400) % 2, "a", "b")
    several = evaluate(sample, model="m", split="test", groups={"sex": labels}, slices={},
                       baselines={}, resamples=40)  # fmt: skip
    assert trade_offs(several) == ()
