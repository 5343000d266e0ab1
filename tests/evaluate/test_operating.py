"""The threshold that a rule chooses, against trying every threshold by hand, and judged on test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.samples import LATE, binary, draw
from torchyard.core.errors import BadProject, Refused
from torchyard.evaluate import evaluate
from torchyard.evaluate.counting.sample import Floats, Sample
from torchyard.evaluate.judging.operating import (
    CHOICES,
    check_operating,
    choose_threshold,
    judge_operating,
)
from torchyard.evaluate.metrics.kinds import compute
from torchyard.records.evidence import Report
from torchyard.records.schema import OperatingRule

COSTS = OperatingRule(false_positive=1.0, false_negative=5.0)
FIND = OperatingRule(metric="precision", subject_to="recall", at_least=0.8)


def cost(sample: Sample, threshold: float, rule: OperatingRule = COSTS) -> float:
    chosen = sample.outputs[:, 1] >= threshold
    truth = sample.truth.astype(np.bool_)
    alarms, misses = (chosen & ~truth).sum(), (~chosen & truth).sum()
    total = alarms * (rule.false_positive or 0) + misses * (rule.false_negative or 0)
    return float(total / sample.rows)


def at(sample: Sample, threshold: float, metric: str) -> float | None:
    task = replace(sample.task, threshold=threshold)
    return compute(metric, replace(sample, task=task))


def tried(sample: Sample) -> Floats:
    """Thresholds that part the rows in every possible way, and none that parts them twice."""
    values = np.unique(sample.outputs[:, 1])
    return np.append(values[values > 0], np.nextafter(1.0, 0.0))


@given(rows=st.integers(2, 60), seed=st.integers(0, 200), decimals=st.sampled_from([1, 2, None]))
@settings(max_examples=60, deadline=None)
def test_no_threshold_is_cheaper(rows: int, seed: int, decimals: int | None) -> None:
    sample = binary(*draw(rows, seed=seed, decimals=decimals))
    point = choose_threshold(sample, COSTS)
    assert 0.0 < point.threshold < 1.0
    assert point.validation["cost"] == pytest.approx(cost(sample, point.threshold))
    assert point.validation["cost"] <= min(cost(sample, one) for one in tried(sample)) + 1e-12


@given(
    rows=st.integers(2, 60), seed=st.integers(0, 200), decimals=st.sampled_from([1, 2, None]),
    metric=st.sampled_from([name for name in CHOICES if name != "recall"]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_no_threshold_that_meets_the_constraint_is_better(
    rows: int, seed: int, decimals: int | None, metric: str
) -> None:
    sample = binary(*draw(rows, seed=seed, decimals=decimals))
    rule = replace(FIND, metric=metric, at_least=0.5)
    able = [one for one in tried(sample) if (at(sample, one, "recall") or 0.0) >= 0.5]
    values = [value for one in able if (value := at(sample, one, metric)) is not None]
    if not values:
        with pytest.raises(Refused):
            choose_threshold(sample, rule)
        return
    point = choose_threshold(sample, rule)
    assert point.validation[metric] == pytest.approx(max(values))
    assert point.validation == pytest.approx(
        {name: at(sample, point.threshold, name) for name in (metric, "recall")}
    )
    assert point.validation["recall"] >= 0.5


def test_with_honest_probabilities_the_cheapest_threshold_is_the_textbook_one() -> None:
    point = choose_threshold(binary(*draw(200_000, seed=3)), COSTS)
    assert point.threshold == pytest.approx(1 / 6, abs=0.03)


def test_of_equally_cheap_thresholds_the_textbook_one_is_taken() -> None:
    truth, yes = np.array([False, False, True]), np.array([0.3, 0.1, 0.9])
    assert choose_threshold(binary(truth, yes), replace(COSTS, false_negative=1.0)).threshold == 0.6


def test_neighbouring_floats_are_told_apart() -> None:
    low = 0.5
    high = float(np.nextafter(low, 1.0))
    point = choose_threshold(binary(np.array([False, True]), np.array([low, high])), COSTS)
    assert point.threshold == high


@pytest.mark.parametrize("yes", [0.0, 1.0])
def test_probabilities_at_the_ends_leave_a_threshold_between_them(yes: float) -> None:
    sample = binary(np.array([True, False]), np.full(2, yes))
    assert 0.0 < choose_threshold(sample, COSTS).threshold < 1.0


def test_what_cannot_be_reached_is_refused_with_the_best_that_can_be_had() -> None:
    yes = np.repeat([0.2, 0.8], 200)
    truth = np.arange(400) % 4 == 0
    truth[200:] = ~truth[200:]
    with pytest.raises(Refused) as refused:
        choose_threshold(
            binary(truth, yes),
            OperatingRule(metric="recall", subject_to="precision", at_least=0.999),
        )
    assert str(refused.value) == (
        "operating point: found precision of at most 0.7500 on 400 validation rows, at threshold "
        "0.5; expected a threshold with precision at least 0.999. Ask for no more than can be had, "
        "or improve the model."
    )
    with pytest.raises(Refused, match="2 validation rows on which recall is undefined"):
        choose_threshold(binary(np.zeros(2, np.bool_), np.array([0.2, 0.4])), FIND)


def judged(rule: OperatingRule, *, validation_rows: int, test_rows: int) -> Report:
    task = replace(LATE, operating=rule)
    chosen = choose_threshold(replace(binary(*draw(validation_rows, seed=11)), task=task), rule)
    sample = replace(
        binary(*draw(test_rows, seed=12)), task=replace(task, threshold=chosen.threshold)
    )
    report = evaluate(
        sample, model="fp32", split="test", groups={}, slices={}, baselines={}, resamples=40
    )
    return judge_operating(report, sample, chosen, seed=0)


def test_a_cost_on_test_has_its_interval() -> None:
    point = judged(COSTS, validation_rows=3_000, test_rows=4_000).operating
    assert point is not None
    measured = point.test["cost"]
    assert (measured.low or 9) < measured.value < (measured.high or 0)
    assert measured.rows == 4_000
    assert point.says.startswith(f"Threshold {point.threshold:.4g} is the cheapest on 3,000 valid")
    assert "a false alarm costs 1 and a miss 5" in point.says
    assert point.outcome is None


def test_the_interval_of_a_cost_holds_the_true_cost_19_times_in_20() -> None:
    everyone = binary(*draw(100_000, seed=20), threshold=0.2)
    task = replace(everyone.task, operating=COSTS)
    chosen = replace(choose_threshold(everyone, COSTS), threshold=0.2)
    truth, generator, held = cost(everyone, 0.2), np.random.default_rng(0), 0
    for number in range(300):
        rows = generator.integers(0, everyone.rows, 500)
        sample = replace(everyone.of(rows), task=task)
        bare = Report(
            model="", split="test", task=task, rows=500, classes=(), metrics={}, baselines={},
            fairness={}, groups=(), slices=(), reliability=(),
        )  # fmt: skip
        point = judge_operating(bare, sample, chosen, seed=number).operating
        assert point is not None
        found = point.test["cost"]
        held += (found.low or 0.0) <= truth <= (found.high or 0.0)
    assert 0.91 <= held / 300 <= 0.985


def test_a_constraint_that_test_rows_do_not_show_is_inconclusive() -> None:
    point = judged(FIND, validation_rows=3_000, test_rows=300).operating
    assert point is not None
    assert point.outcome == "inconclusive"
    assert point.validation["recall"] >= 0.8
    assert point.test.keys() == {"precision", "recall"}
    assert point.says.endswith("that recall holds there is not shown (inconclusive).")


def test_a_report_without_a_rule_is_left_alone() -> None:
    sample = binary(*draw(300))
    report = evaluate(
        sample, model="fp32", split="test", groups={}, slices={}, baselines={}, resamples=40
    )
    assert judge_operating(report, sample, choose_threshold(sample, COSTS), seed=0) == report


@pytest.mark.parametrize("name", ["auroc", "false_positive_rate", "selection_rate", "recal"])
def test_a_rule_of_what_is_no_decision_is_refused(name: str) -> None:
    with pytest.raises(BadProject) as refused:
        check_operating(replace(LATE, operating=replace(FIND, metric=name)))
    assert str(refused.value).startswith(
        f"threshold of late: found metric '{name}'; expected a metric of decisions of which more "
        "is better. "
    )
    check_operating(replace(LATE, operating=FIND))
    check_operating(replace(LATE, operating=COSTS))
