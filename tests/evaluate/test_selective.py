"""Coverage and quality of what is answered, as counted by hand; and gates on them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from torchyard.core.errors import BadProject
from torchyard.evaluate import Sample, check_gate, evaluate, judge, measure_selective, outside_share
from torchyard.evaluate.selective import selective_metrics
from torchyard.records.evidence import Report
from torchyard.records.schema import Task
from torchyard.records.verdicts import Gate

LATE = Task(kind="binary_classification", label="late", classes=("no", "yes"))
DELAY = Task(kind="regression", label="delay", classes=(), ge=0.0)
TODAY = date(2026, 11, 25)


def sample() -> Sample:
    """1,000 rows: the first 400 are answered with 0.6 and half are right, the others with 0.9."""
    sure = np.arange(1000) >= 400
    yes = np.where(sure, 0.9, 0.6)
    truth = np.where(sure, np.arange(1000) % 10 != 0, np.arange(1000) % 2 == 0)
    return Sample(task=LATE, truth=truth, outputs=np.stack([1 - yes, yes], axis=1))


REASONS = ["unsure"] * 300 + ["outside_training"] * 100 + [None] * 600


def test_coverage_and_quality_are_told_together() -> None:
    found = measure_selective(sample(), REASONS)
    assert found.abstained == {"outside_training": 100, "unsure": 300}
    assert found.coverage.value == 0.6
    assert found.coverage.low is not None
    assert found.coverage.low < 0.6 < (found.coverage.high or 0)
    assert tuple(found.answered) == tuple(found.everything) == selective_metrics(LATE)
    assert found.answered["accuracy"].value == pytest.approx(0.9)
    assert found.answered["accuracy"].rows == 600
    assert found.everything["accuracy"].value == pytest.approx(0.74)


def test_what_is_not_answered_at_all_has_no_quality() -> None:
    found = measure_selective(sample(), ["unsure"] * 1000)
    assert (found.coverage.value, found.coverage.low, found.answered) == (0.0, 0.0, {})
    few = measure_selective(sample(), ["unsure"] * 990 + [None] * 10)
    assert few.answered == {}


def test_the_same_rows_give_the_same_numbers() -> None:
    assert measure_selective(sample(), REASONS, seed=3) == measure_selective(
        sample(), REASONS, seed=3
    )


def test_the_share_outside_of_the_domain() -> None:
    found = outside_share([False] * 99 + [True])
    assert (found.value, found.rows) == (0.01, 100)
    assert outside_share([False] * 100).low == 0.0


@pytest.fixture(name="report")
def _report() -> Report:
    plain = evaluate(sample(), model="m", split="test", groups={}, slices={}, baselines={})
    return replace(plain, selective=measure_selective(sample(), REASONS))


@pytest.mark.parametrize(
    ("gate", "outcome"),
    [
        (Gate(metric="coverage", at_least=0.5), "pass"),
        (Gate(metric="coverage", at_least=0.7), "fail"),
        (Gate(metric="coverage", at_least=0.6), "inconclusive"),
        (Gate(metric="selective_accuracy", at_least=0.85), "pass"),
        (Gate(metric="selective_accuracy", at_least=0.95), "fail"),
    ],
)
def test_gates_limit_what_abstaining_costs_and_brings(
    report: Report, gate: Gate, outcome: str
) -> None:
    (verdict,) = judge([gate], report=report, variant=None, today=TODAY)
    assert verdict.outcome == outcome
    (open_,) = judge([gate], report=replace(report, selective=None), variant=None, today=TODAY)
    assert open_.outcome == "inconclusive"
    assert "not measured" in open_.reason


def test_a_gate_limits_values_outside_of_the_domain(report: Report) -> None:
    gate = Gate(metric="outside_domain", at_most=0.05)
    of_numbers = replace(report, task=DELAY)
    for share, outcome in (([False] * 400, "pass"), ([True] * 200 + [False] * 200, "fail")):
        seen = replace(of_numbers, outside_domain=outside_share(share))
        (verdict,) = judge([gate], report=seen, variant=None, today=TODAY)
        assert verdict.outcome == outcome
    (verdict,) = judge([gate], report=of_numbers, variant=None, today=TODAY)
    assert (verdict.outcome, verdict.reason) == (
        "inconclusive",
        "answers were not held against the domain",
    )


@pytest.mark.parametrize(
    ("gate", "task", "said"),
    [
        (Gate(metric="selective_auroc", at_least=0.5), LATE, "metric 'selective_auroc'"),
        (Gate(metric="selective_mae", at_most=0.5), LATE, "metric 'selective_mae'"),
        (Gate(metric="outside_domain", at_most=0.1), LATE, "a task that allows every value"),
        (
            Gate(metric="coverage", at_least=0.5, per_slice="carrier"), LATE,
            "found per_slice; expected at most one of per_slice and against, with a metric of rows",
        ),
    ],
)  # fmt: skip
def test_a_gate_that_cannot_be_judged_is_refused(gate: Gate, task: Task, said: str) -> None:
    with pytest.raises(BadProject, match=said):
        check_gate(gate, task)
