"""Intervals around numbers: they hold the truth as often as they say, and no wider than need be."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from torchyard.core.errors import BadData
from torchyard.evaluate.calibrating.calibration import (
    apply_calibration,
    fit_calibration,
    label_scale,
)
from torchyard.evaluate.calibrating.conformal import fit_interval, interval_score
from torchyard.evaluate.counting.sample import Floats
from torchyard.records.calibration import AS_TRAINED, Calibration, Scale
from torchyard.records.schema import Task

TASK = Task(kind="regression", label="minutes", classes=(), unit="min")
SCALE = Scale(mean=30.0, deviation=10.0)


def drawn(rows: int, *, seed: int, noise: str = "even") -> tuple[Floats, Floats]:
    """Truths in minutes, and a module's numbers of mean 0 and deviation 1."""
    generator = np.random.default_rng(seed)
    number = generator.normal(size=rows)
    error = {
        "even": lambda: generator.normal(0.0, 4.0, size=rows),
        "skewed": lambda: generator.exponential(6.0, size=rows) - 2.0,
        "growing": lambda: generator.normal(size=rows) * np.exp(number),
    }[noise]()
    return 30.0 + 10.0 * number + error, number


def fitted(rows: int, *, seed: int = 0, noise: str = "even") -> Calibration:
    truth, number = drawn(rows, seed=seed, noise=noise)
    return fit_calibration(TASK, truth=truth, logits=number, scale=SCALE, seed=seed)


def held(calibration: Calibration, *, seed: int, noise: str) -> float:
    truth, number = drawn(4000, seed=seed, noise=noise)
    _, low, high = apply_calibration(number, calibration, TASK).T
    return float(np.mean((low <= truth) & (truth <= high)))


@pytest.mark.parametrize(("rows", "noise"), [
    (50, "even"), (500, "even"), (500, "skewed"), (500, "growing"),
])  # fmt: skip
def test_nine_of_ten_truths_lie_inside(rows: int, noise: str) -> None:
    shares = [
        held(fitted(rows, seed=seed, noise=noise), seed=10_000 + seed, noise=noise)
        for seed in range(60)
    ]
    error = np.std(shares, ddof=1) / np.sqrt(60)
    assert 0.9 - 3 * error <= np.mean(shares) <= 0.9 + 1.0 / (rows // 2) + 3 * error


def test_rows_that_are_not_exchangeable_are_missed_more_often() -> None:
    """What is promised is promised of rows like those of validation: here errors have doubled."""
    truth, number = drawn(20_000, seed=1)
    value, low, high = apply_calibration(number, fitted(2000), TASK).T
    later = value + 2.0 * (truth - value)
    assert 0.88 < np.mean((low <= truth) & (truth <= high)) < 0.92
    assert 0.5 < np.mean((low <= later) & (later <= high)) < 0.7


@pytest.mark.parametrize(
    ("noise", "kind"), [("even", "symmetric"), ("skewed", "asymmetric"), ("growing", "normalised")]
)
def test_the_kind_follows_the_errors(noise: str, kind: str) -> None:
    chosen = Counter(
        found.interval.kind
        for seed in range(12)
        if (found := fitted(2000, seed=seed, noise=noise)).interval is not None
    )
    assert chosen[kind] >= 10  # type: ignore[index]


def test_the_factor_is_the_corrected_quantile() -> None:
    errors = np.arange(1.0, 100.0)  # of 99 rows: the 90th, which is what 90 of 100 lie within
    found = fit_interval(errors, np.zeros(99), scale=Scale(), coverage=0.9, seed=0)
    assert found.interval is not None
    assert (found.interval.lower, found.interval.upper, found.interval.rows) == (90.0, 90.0, 99)


def test_values_are_in_the_unit_and_lie_inside() -> None:
    found = fitted(2000, noise="skewed")
    answers = apply_calibration(np.array([[0.0], [1.0]]), found, TASK)
    assert answers.shape == (2, 3)
    assert answers[:, 0].tolist() == [30.0, 40.0]
    assert (answers[:, 1] <= answers[:, 0]).all()
    assert (answers[:, 0] <= answers[:, 2]).all()
    assert found.log_loss_before is None
    trained = apply_calibration(np.array([1.0]), replace(AS_TRAINED, scale=SCALE), TASK)
    assert trained.tolist() == [[40.0, 40.0, 40.0]]


def test_the_same_rows_give_the_same_interval() -> None:
    assert fitted(900) == fitted(900)
    assert [one.method for one in fitted(900).tried] == ["symmetric", "asymmetric", "normalised"]
    assert fitted(300).tried == ()


def test_a_module_that_never_errs_has_an_interval_of_no_width() -> None:
    number = np.random.default_rng(0).normal(size=900)
    found = fit_calibration(TASK, truth=30.0 + 10.0 * number, logits=number, scale=SCALE)
    assert found.interval is not None
    assert (found.interval.lower, found.interval.upper) == pytest.approx((0.0, 0.0), abs=1e-9)


def test_the_score_is_least_for_true_quantiles() -> None:
    error = np.random.default_rng(0).normal(size=50_000)

    def score(far: float) -> float:
        ends = np.full(1, far)
        return float(interval_score(error, -ends, ends, coverage=0.9).mean())

    assert score(1.645) < min(score(1.4), score(1.9))


def test_labels_are_scaled_where_the_module_learns_standardized_ones() -> None:
    labels = np.array([1.0, 3.0])
    assert label_scale(TASK, labels) == Scale(mean=2.0, deviation=1.0)
    assert label_scale(TASK, np.full(3, 7.0)) == Scale(mean=7.0, deviation=1.0)
    assert label_scale(replace(TASK, standardized=False), labels) == Scale()


@pytest.mark.parametrize(("coverage", "least"), [(0.9, 9), (0.99, 99)])
def test_too_few_rows_are_refused(coverage: float, least: int) -> None:
    task = replace(TASK, coverage=coverage)
    values = np.arange(float(least))
    assert fit_calibration(task, truth=values, logits=values[:, None]).interval is not None
    with pytest.raises(BadData) as refused:
        fit_calibration(task, truth=values[1:], logits=values[1:])
    assert str(refused.value) == (
        f"calibration, validation split: found {least - 1} rows; expected at least {least}, for an "
        f"interval that holds {coverage:.0%} of truths. Make the validation split larger, or lower "
        "the task's coverage."
    )
