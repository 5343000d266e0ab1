"""Ages, cut-offs and missed gates: from samples that grow worse by construction."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from torchyard.core.errors import BadProject
from torchyard.evaluate import Sample
from torchyard.evaluate.ageing import Aged, check_ageing_metric, cut_offs, staleness
from torchyard.records.ageing import Staleness
from torchyard.records.schema import Task
from torchyard.records.verdicts import Gate

TASK = Task(kind="binary_classification", label="late", classes=("no", "yes"))
DAY = timedelta(days=1)
START = datetime(2024, 1, 1)


def answered(right: float, rows: int = 800) -> Sample:
    """Rows of which a share is answered rightly."""
    draw = np.random.default_rng(int(100 * right))
    truth = draw.random(rows) < 0.5
    yes = np.where((draw.random(rows) < right) == truth, 0.9, 0.1)
    return Sample(task=TASK, truth=truth, outputs=np.stack([1 - yes, yes], axis=1))


def curve(rights: list[float], gates: list[Gate], metric: str = "accuracy") -> Staleness:
    """Two models: one of all ages, and one that is younger by a period."""
    aged = [
        Aged(
            trained_until=START + late * 10 * DAY, start=START + (late + age) * 10 * DAY,
            end=START + (late + age + 1) * 10 * DAY, sample=answered(right),
        )
        for late in (0, 1)
        for age, right in enumerate(rights[: len(rights) - late])
    ]  # fmt: skip
    return staleness(
        aged, metric=metric, field="at", every=10 * DAY, gates=gates,
        generator=np.random.default_rng(0),
    )  # fmt: skip


def test_points_of_an_age_are_pooled_and_the_missed_age_is_found() -> None:
    gates = [
        Gate(metric="accuracy", at_least=0.75),
        Gate(metric="accuracy", at_least=0.2),
        Gate(metric="accuracy", at_least=0.99),
        Gate(metric="accuracy", per_slice="carrier", at_least=0.99),
        Gate(metric="log_loss", at_most=0.1),
    ]
    found = curve([0.9, 0.8, 0.7, 0.6], gates)
    assert [(one.age_days, one.models, one.measured.rows) for one in found.curve] == [
        (5.0, 2, 1600), (15.0, 2, 1600), (25.0, 2, 1600), (35.0, 1, 800)
    ]  # fmt: skip
    assert found.limits == {
        "accuracy at least 0.75": 25.0,
        "accuracy at least 0.20": None,
        "accuracy at least 0.99": 5.0,
    }
    assert len(found.points) == 7
    assert found.points[0].trained_until == found.points[0].period_start == START.isoformat()


def test_a_gate_that_is_at_most_is_missed_from_above() -> None:
    found = curve([0.9, 0.5], [Gate(metric="log_loss", at_most=0.8)], metric="log_loss")
    assert found.limits == {"log_loss at most 0.80": 15.0}


def test_a_period_that_does_not_define_the_metric_is_left_out() -> None:
    one_class = Sample(task=TASK, truth=np.zeros(9, dtype=bool), outputs=np.full((9, 2), 0.5))
    aged = [Aged(trained_until=START, start=START, end=START + DAY, sample=one_class)]
    found = staleness(
        aged, metric="auroc", field="at", every=DAY, gates=[], generator=np.random.default_rng(0)
    )
    assert (found.points, found.curve) == ((), ())


def test_the_last_periods_are_whole_and_follow_each_other() -> None:
    last = datetime(2024, 6, 30, 12)
    cuts = cut_offs(START, last, every=7 * DAY, models=3, held_back=14 * DAY)
    assert [later - earlier for earlier, later in pairwise(cuts)] == [7 * DAY] * 2
    assert cuts[-1] + 7 * DAY == last + timedelta(microseconds=1)


def test_too_little_past_is_refused() -> None:
    with pytest.raises(BadProject, match="Ask for fewer models, shorter periods"):
        cut_offs(START, START + 40 * DAY, every=10 * DAY, models=3, held_back=5 * DAY)


def test_a_metric_of_other_tasks_is_refused() -> None:
    assert check_ageing_metric(None, TASK) == "auroc"
    with pytest.raises(BadProject, match="metric 'rmse'"):
        check_ageing_metric("rmse", TASK)
