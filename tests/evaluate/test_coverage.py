"""Intervals hold the truth as often as they claim, in simulated samples of which it is known.

An interval claims 95 %. That of a bootstrap is a large-sample one: of some hundred rows it may hold
the truth up to a point less often (Efron 1987). So the number of hits among ``sets`` samples must
be one that a binomial of 94 % shows at least once in a thousand tries and, where an interval is not
meant to be cautious, one of 96 %: 91.7 to 97.9 % of 1,000 sets, 86.7 to 100 % of 120.
Seeds are fixed, so what holds once holds always.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

from tests.evaluate.samples import binary, draw, labels, many, numbers
from torchyard.evaluate.counting.sample import Floats, Sample
from torchyard.evaluate.metrics.kinds import compute, kind_of
from torchyard.evaluate.resampling.bootstrap import LARGE, measure
from torchyard.evaluate.resampling.differences import differences_against
from torchyard.records.measures import Measured

SMALL_ROWS, LARGE_ROWS = 300, LARGE + 104
POPULATION_ROWS = 300_000  # whose error is a thirtieth of that of 300 rows, an eighth of 4,200


@dataclass(frozen=True)
class Simulated:
    """Samples of one kind, and the metrics whose intervals are held."""

    draw: Callable[[int, int], Sample]
    metrics: tuple[str, ...]


def lopsided(rows: int, seed: int) -> Sample:
    """Predictions with errors of one side and intervals that are too narrow."""
    sample = numbers(rows, seed=seed)
    noise = np.random.default_rng(seed + 10**7).exponential(1.0, rows)
    value, low, high = sample.outputs.T
    width = 1.0 + np.abs(value - 20.0) / 10.0
    outputs = np.stack([value, value - 0.5 * width * (value - low), high], axis=1)
    return replace(sample, truth=np.asarray(sample.truth, np.float64) + noise, outputs=outputs)


KINDS: Mapping[str, Simulated] = {
    "binary": Simulated(
        lambda rows, seed: binary(*draw(rows, seed=seed), threshold=0.3),
        (
            "auroc",
            "average_precision",
            "log_loss",
            "brier",
            "f1",
            "matthews_correlation",
            "accuracy",
            "precision",
            "recall",
            "selection_rate",
        ),
    ),
    "multiclass": Simulated(
        lambda rows, seed: many(rows, seed=seed),
        (
            "balanced_accuracy",
            "macro_f1",
            "macro_auroc",
            "macro_average_precision",
            "log_loss",
            "cohens_kappa",
            "brier",
            "accuracy",
        ),
    ),
    "multilabel": Simulated(
        lambda rows, seed: labels(rows, seed=seed),
        (
            "micro_f1",
            "macro_f1",
            "macro_auroc",
            "macro_average_precision",
            "log_loss",
            "label_ranking_average_precision",
            "hamming_loss",
            "subset_accuracy",
        ),
    ),
    "regression": Simulated(
        lopsided,
        (
            "mae",
            "rmse",
            "r2",
            "median_absolute_error",
            "mean_error",
            "mape",
            "pinball_loss",
            "mean_interval_width",
            "interval_coverage",
        ),
    ),
}


def hits_allowed(sets: int, *, claimed: float = 0.95, within: float = 0.01) -> range:
    """Numbers of hits that are no sign of another coverage than about the claimed one."""
    least = int(binom.ppf(0.001, sets, claimed - within))
    most = int(binom.ppf(0.999, sets, min(1.0, claimed + within)))
    return range(least, most + 1)


@cache
def true_values(name: str) -> dict[str, float]:
    simulated = KINDS[name]
    population = simulated.draw(POPULATION_ROWS, 10**6)
    found = {metric: compute(metric, population) for metric in simulated.metrics}
    return {metric: value for metric, value in found.items() if value is not None}


def holds(one: Measured, value: float) -> bool:
    assert one.low is not None
    assert one.high is not None
    return one.low <= value <= one.high


def covered(
    samples: Callable[[int, int], Sample],
    truths: Mapping[str, float],
    *,
    rows: int,
    sets: int,
    resamples: int,
) -> Counter[str]:
    """How many intervals hold the true value, per metric."""
    hits: Counter[str] = Counter()
    for seed in range(sets):
        found = measure(
            samples(rows, seed),
            generator=np.random.default_rng(seed),
            resamples=resamples,
            metrics=tuple(truths),
        )
        hits.update(name for name, value in truths.items() if holds(found[name], value))
    return hits


def check_kind(name: str, *, rows: int, sets: int, resamples: int) -> None:
    truths = true_values(name)
    hits = covered(KINDS[name].draw, truths, rows=rows, sets=sets, resamples=resamples)
    kind = kind_of(KINDS[name].draw(1, 0).task)
    for metric in truths:
        allowed = hits_allowed(sets)
        # An exact interval promises 95 % at least, of whatever share.
        most = sets if kind.metrics[metric].share_of else allowed[-1]
        assert allowed[0] <= hits[metric] <= most, (metric, hits[metric] / sets)


@pytest.mark.parametrize("name", KINDS)
def test_small_samples(name: str) -> None:
    check_kind(name, rows=SMALL_ROWS, sets=120, resamples=200)


@pytest.mark.parametrize("name", ["binary", "regression"])
def test_large_samples(name: str) -> None:
    check_kind(name, rows=LARGE_ROWS, sets=100, resamples=100)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_small_samples_a_thousand_times(name: str) -> None:
    check_kind(name, rows=SMALL_ROWS, sets=1000, resamples=400)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_large_samples_a_thousand_times(name: str) -> None:
    check_kind(name, rows=LARGE_ROWS, sets=1000, resamples=200)


def blurred(sample: Sample, seed: int) -> Floats:
    """The answers of a model that sees less: honest ones, half drowned in noise."""
    noise = np.random.default_rng(seed + 10**7).random(sample.rows)
    yes = 0.6 * sample.outputs[:, 1] + 0.4 * noise
    return np.stack([1.0 - yes, yes], axis=1)


COMPARED = ("auroc", "average_precision", "log_loss", "brier", "accuracy", "f1")


def check_differences(*, rows: int, sets: int, resamples: int) -> None:
    hits = covered_differences(rows=rows, sets=sets, resamples=resamples)
    for metric in COMPARED:
        assert hits[metric] in hits_allowed(sets), (metric, hits[metric] / sets)


def covered_differences(*, rows: int, sets: int, resamples: int) -> Counter[str]:
    """How many intervals hold the true difference of the two models, per metric."""
    population = KINDS["binary"].draw(POPULATION_ROWS, 10**6)
    truths = _differences(population, blurred(population, 10**6))
    hits: Counter[str] = Counter()
    for seed in range(sets):
        sample = KINDS["binary"].draw(rows, seed)
        found = differences_against(
            sample,
            {"blurred": blurred(sample, seed)},
            generator=np.random.default_rng(seed),
            resamples=resamples,
            metrics=COMPARED,
        )["blurred"]
        hits.update(name for name in COMPARED if holds(found[name], truths[name]))
    return hits


def _differences(sample: Sample, rival: Floats) -> dict[str, float]:
    """How much worse the sample's answers are."""
    found = {}
    for name in COMPARED:
        own, other = compute(name, sample), compute(name, replace(sample, outputs=rival))
        assert own is not None
        assert other is not None
        sign = -1.0 if kind_of(sample.task).metrics[name].higher_is_better else 1.0
        found[name] = sign * (own - other)
    return found


@pytest.mark.parametrize("rows", [SMALL_ROWS, LARGE_ROWS])
def test_differences_of_two_models(rows: int) -> None:
    check_differences(rows=rows, sets=80, resamples=100)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [SMALL_ROWS, LARGE_ROWS])
def test_differences_of_two_models_a_thousand_times(rows: int) -> None:
    check_differences(rows=rows, sets=1000, resamples=200)


CALIBRATION = ("expected_calibration_error", "classwise_calibration_error")


def overconfident(name: str) -> Callable[[int, int], Sample]:
    """Answers whose logits are half as large again as they should be."""

    def samples(rows: int, seed: int) -> Sample:
        sample = KINDS[name].draw(rows, seed)
        raised = sample.outputs**1.5
        if sample.task.is_multilabel:
            raised = raised / (raised + (1.0 - sample.outputs) ** 1.5)
        else:
            raised = raised / raised.sum(axis=1, keepdims=True)
        return replace(sample, outputs=raised)

    return samples


def of_kind(metrics: Sequence[str], name: str) -> tuple[str, ...]:
    known = kind_of(KINDS[name].draw(1, 0).task).metrics
    return tuple(metric for metric in metrics if metric in known)


def check_calibrated(name: str, *, rows: int, sets: int, resamples: int) -> None:
    """A perfectly calibrated model is off by 0, which the interval should not exclude."""
    truths = dict.fromkeys(of_kind(CALIBRATION, name), 0.0)
    hits = covered(KINDS[name].draw, truths, rows=rows, sets=sets, resamples=resamples)
    assert all(hits[metric] >= hits_allowed(sets)[0] for metric in truths), hits


def check_overconfident(name: str, *, rows: int, sets: int, resamples: int) -> None:
    """Of one that is off, the interval holds by how much: no less often than it claims."""
    samples = overconfident(name)
    population = samples(POPULATION_ROWS, 10**6)
    found = {metric: compute(metric, population) for metric in of_kind(CALIBRATION, name)}
    truths = {metric: value for metric, value in found.items() if value is not None}
    hits = covered(samples, truths, rows=rows, sets=sets, resamples=resamples)
    assert all(hits[metric] >= hits_allowed(sets)[0] for metric in truths), hits


CLASSIFIERS = ("binary", "multiclass", "multilabel")


@pytest.mark.parametrize("check", [check_calibrated, check_overconfident])
def test_calibration_errors(check: Callable[..., None]) -> None:
    check("binary", rows=SMALL_ROWS, sets=120, resamples=100)
    check("binary", rows=LARGE_ROWS, sets=60, resamples=60)


@pytest.mark.slow
@pytest.mark.parametrize("check", [check_calibrated, check_overconfident])
@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("rows", [SMALL_ROWS, LARGE_ROWS])
def test_calibration_errors_a_thousand_times(
    check: Callable[..., None], name: str, rows: int
) -> None:
    check(name, rows=rows, sets=1000, resamples=200)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_largest_gap_is_held_less_often_as_its_page_says(name: str) -> None:
    truths = {"maximum_calibration_error": 0.0}
    for rows, least in ((SMALL_ROWS, 0.85), (LARGE_ROWS, 0.92)):
        hits = covered(KINDS[name].draw, truths, rows=rows, sets=1000, resamples=200)
        assert hits["maximum_calibration_error"] >= 1000 * least, (rows, hits)
