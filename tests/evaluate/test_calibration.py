"""Calibration: known distortions are found, noise is refused, and what cannot be fitted is told."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logsumexp, softmax

from torchyard.core.errors import BadData, BadModel
from torchyard.evaluate.calibrating.calibrated import log_odds
from torchyard.evaluate.calibrating.calibration import apply_calibration, fit_calibration
from torchyard.evaluate.calibrating.calibrators import (
    HIGHEST,
    LOWEST,
    fit_beta,
    fit_platt,
    fit_temperature,
    fit_vector,
)
from torchyard.evaluate.counting.sample import Bools, Floats, Truth
from torchyard.records.calibration import Calibration
from torchyard.records.schema import Task

BINARY = Task(kind="binary_classification", label="late", classes=("no", "yes"))
MANY = Task(kind="multiclass_classification", label="kind", classes=("a", "b", "c", "d"))
LABELS = Task(kind="multilabel_classification", label="tags", classes=("a", "b", "c", "d"))


def honest(task: Task, rows: int, *, seed: int = 0) -> tuple[Truth, Floats]:
    """Logits that mean what they say, and truths drawn from them."""
    generator = np.random.default_rng(seed)
    if task.is_binary:
        z = generator.normal(0.3, 2.0, size=rows)
        return generator.random(rows) < expit(z), z
    z = generator.normal(0.0, 2.0, size=(rows, len(task.classes)))
    if task.is_multilabel:
        return generator.random(z.shape) < expit(z), z
    return (z + generator.gumbel(size=z.shape)).argmax(axis=1).astype(np.int64), z


def log_loss(task: Task, truth: Truth, answers: Floats) -> float:
    if task.is_binary or not task.is_multilabel:
        own = np.take_along_axis(answers, truth.astype(np.int64)[:, None], axis=1)
        return float(-np.log(own).mean())
    return float(-np.log(np.where(truth, answers, 1.0 - answers)).mean())


@pytest.mark.parametrize("task", [BINARY, MANY, LABELS], ids=lambda task: task.kind)
@pytest.mark.parametrize("times", [0.3, 3.0])
def test_finds_the_temperature_that_was_applied(task: Task, times: float) -> None:
    truth, logits = honest(task, 4000)
    found = fit_calibration(task, truth=truth, logits=times * logits)
    assert found.method == "temperature"
    temperatures = 1.0 / np.array(found.slopes) if found.slopes else np.array([found.temperature])
    assert temperatures == pytest.approx(times, rel=0.1)
    assert found.rows == 4000
    assert found.log_loss_after is not None
    answers = apply_calibration(times * logits, found, task)
    assert log_loss(task, truth, answers) == pytest.approx(found.log_loss_after)
    before = apply_calibration(times * logits, Calibration(method="none"), task)
    assert log_loss(task, truth, before) == pytest.approx(found.log_loss_before)
    assert found.log_loss_after < log_loss(task, truth, before)


@pytest.mark.parametrize(
    "task",
    [BINARY, *(pytest.param(task, marks=pytest.mark.slow) for task in (MANY, LABELS))],
    ids=lambda task: task.kind,
)
def test_what_helps_no_more_than_noise_is_refused(task: Task) -> None:
    chosen = Counter(
        fit_calibration(task, truth=truth, logits=logits).method
        for truth, logits in (honest(task, 600, seed=seed) for seed in range(30))
    )
    assert chosen["none"] >= 25


def test_a_slope_and_a_shift_are_found_by_platt() -> None:
    truth, z = honest(BINARY, 20_000)
    found = fit_calibration(BINARY, truth=truth, logits=(z - 1.0) / 0.5)
    assert found.method == "platt"
    assert (found.slopes[0], found.shifts[0]) == pytest.approx((0.5, 1.0), abs=0.05)


def test_slopes_and_shifts_of_classes_are_found_by_vector_scaling() -> None:
    truth, z = honest(MANY, 20_000)
    slopes, shifts = np.array([0.5, 1.0, 2.0, 1.0]), np.array([1.0, 0.0, -1.0, 0.0])
    found = fit_calibration(MANY, truth=truth, logits=(z - shifts) / slopes)
    assert found.method == "vector"
    assert found.slopes == pytest.approx(slopes, rel=0.1)
    assert found.shifts == pytest.approx(shifts, abs=0.1)


def test_two_slopes_are_found_by_beta() -> None:
    truth, z = honest(BINARY, 40_000)
    found = fit_beta(truth[:, None], z[:, None])
    assert (found.slopes[0], found.slopes_above[0]) == pytest.approx((1.0, 1.0), abs=0.07)
    # the inverse of a map with slopes 0.4 below even odds and 1.6 above
    bent = np.linspace(-60.0, 60.0, 200_001)
    straight = 1.6 * np.logaddexp(0.0, bent) - 0.4 * np.logaddexp(0.0, -bent)
    chosen = fit_calibration(BINARY, truth=truth, logits=np.interp(z, straight, bent))
    assert chosen.method == "beta"
    assert (chosen.slopes[0], chosen.slopes_above[0]) == pytest.approx((0.4, 1.6), abs=0.1)


@pytest.mark.parametrize("task", [BINARY, LABELS], ids=lambda task: task.kind)
def test_steps_are_found_by_isotonic(task: Task) -> None:
    generator = np.random.default_rng(0)
    z = generator.normal(size=(6000, 1 if task.is_binary else 4))
    rates = np.select([z < -0.5, z < 0.1, z < 1.0], [0.05, 0.5, 0.55], 0.98)
    truth = generator.random(z.shape) < rates
    found = fit_calibration(task, truth=truth[:, 0] if task.is_binary else truth, logits=z)
    assert found.method == "isotonic"
    answers = apply_calibration(z, found, task)
    assert np.abs((answers[:, 1:] if task.is_binary else answers) - rates).mean() < 0.03


def test_steps_in_one_class_of_many_are_found() -> None:
    generator = np.random.default_rng(1)
    z = generator.normal(0.0, 2.0, size=(20_000, 3))
    odds = log_odds(z)
    rates = np.select([odds < -1.0, odds < 2.0], [0.02, 0.4], 0.97)
    rates /= rates.sum(axis=1, keepdims=True)
    truth = (np.log(rates) + generator.gumbel(size=z.shape)).argmax(axis=1).astype(np.int64)
    task = Task(kind="multiclass_classification", label="kind", classes=("a", "b", "c"))
    found = fit_calibration(task, truth=truth, logits=z)
    assert found.method == "isotonic"
    answers = apply_calibration(z, found, task)
    assert answers.sum(axis=1) == pytest.approx(1.0)
    assert np.abs(answers - rates).mean() < 0.03


def test_the_record_says_what_was_tried() -> None:
    truth, z = honest(BINARY, 2000)
    found = fit_calibration(BINARY, truth=truth, logits=3.0 * z)
    names = [one.method for one in found.tried]
    assert names == ["none", "temperature", "platt", "beta", "isotonic"]
    losses = {one.method: one.loss or 0.0 for one in found.tried}
    best = min(found.tried, key=lambda one: one.loss or 0.0)
    assert (best.excess, best.error) == (0.0, 0.0)
    for one in found.tried:
        assert one.excess == pytest.approx((one.loss or 0.0) - losses[best.method])
    none, chosen = found.tried[:2]
    assert none.excess > none.error > 0.0
    assert chosen.method == found.method
    assert chosen.excess <= chosen.error
    assert found == fit_calibration(BINARY, truth=truth, logits=3.0 * z)
    assert found != fit_calibration(BINARY, truth=truth, logits=3.0 * z, seed=1)


def test_platt_is_that_of_scikit_learn() -> None:
    from sklearn.calibration import _SigmoidCalibration

    truth, z = honest(BINARY, 500)
    theirs = _SigmoidCalibration().fit(z, truth)
    ours = fit_platt(truth[:, None], z[:, None])
    assert ours.slopes[0] == pytest.approx(-theirs.a_, rel=1e-4)
    assert ours.shifts[0] == pytest.approx(-theirs.b_, abs=1e-4)
    expected = theirs.predict(z)
    assert apply_calibration(z, ours, BINARY)[:, 1] == pytest.approx(expected, abs=1e-5)


def test_vector_scaling_is_where_the_loss_is_least() -> None:
    truth, z = honest(MANY, 1000)
    found = fit_vector(truth, z)

    def loss(slopes: Any, shifts: Any) -> float:
        scores = z * slopes + shifts
        return float(
            np.mean(logsumexp(scores, axis=1) - scores[np.arange(1000), truth.astype(int)])
        )

    slopes, shifts = np.array(found.slopes), np.array(found.shifts)
    least = loss(slopes, shifts)
    for step in 0.01 * np.eye(4):
        for sign in (-1.0, 1.0):
            assert loss(slopes + sign * step, shifts) > least
            assert loss(slopes, shifts + sign * step) > least


def test_the_temperature_stays_in_its_range() -> None:
    truth = np.array([[True], [False]] * 10)
    perfect = fit_temperature(truth, np.where(truth, 2.0, -2.0))
    wrong = fit_temperature(truth, np.where(truth, -2.0, 2.0))
    assert (perfect.temperature, wrong.temperature) == pytest.approx((LOWEST, HIGHEST))


def test_two_classes_are_the_softmax_of_many() -> None:
    truth, z = honest(BINARY, 500)
    both = np.stack([np.zeros(500), 3.0 * z], axis=1)
    task = Task(kind="multiclass_classification", label="late", classes=("no", "yes"))
    one = fit_calibration(BINARY, truth=truth, logits=3.0 * z)
    other = fit_calibration(task, truth=truth.astype(np.int64), logits=both)
    assert one.method == other.method == "temperature"
    assert other.temperature == pytest.approx(one.temperature)
    expected = apply_calibration(3.0 * z, one, BINARY)
    assert apply_calibration(both, other, task) == pytest.approx(expected)


def test_odds_of_the_largest_of_many_are_not_drowned() -> None:
    odds = log_odds(np.array([[40.0, 0.0, -1.0], [7.0, 7.0, 7.0], [1e4, 1e4, -1e4]]))
    assert odds[0, 0] == pytest.approx(40.0 - np.log(1.0 + np.exp(-1.0)))
    assert odds[1] == pytest.approx([-np.log(2.0)] * 3)
    assert odds[2, :2] == pytest.approx([0.0, 0.0])
    z = np.random.default_rng(0).normal(size=(50, 4))
    chances = softmax(z, axis=1)
    assert log_odds(z) == pytest.approx(np.log(chances) - np.log1p(-chances))


@pytest.mark.parametrize("value", [0.0, 4.0, -1e4])
def test_logits_that_say_nothing_are_no_trouble(value: float) -> None:
    truth = np.arange(300) % 10 < 3
    found = fit_calibration(BINARY, truth=truth, logits=np.full(300, value))
    answers = apply_calibration(np.full(9, value), found, BINARY)
    assert np.isfinite(answers).all()
    assert found.log_loss_after <= (found.log_loss_before or 0.0)  # type: ignore[operator]
    if found.method == "platt":
        assert answers[:, 1] == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("task", [BINARY, MANY, LABELS], ids=lambda task: task.kind)
@pytest.mark.parametrize("rows", [4, 9, 25])
def test_few_rows_end_in_no_calibration_or_a_plain_one(task: Task, rows: int) -> None:
    truth, logits = honest(task, rows, seed=4)
    found = fit_calibration(task, truth=truth, logits=logits)
    assert found.method in ("none", "temperature", "platt")
    assert np.isfinite(apply_calibration(1e4 * logits, found, task)).all()


def test_a_class_that_hardly_occurs_has_no_parameters_of_its_own() -> None:
    truth, logits = honest(MANY, 2000)
    common: Bools = truth != 3
    found = fit_calibration(MANY, truth=truth[common], logits=2.0 * logits[common])
    untried = {one.method: one.why for one in found.tried if one.loss is None}
    assert set(untried) == {"vector", "beta", "isotonic"}
    assert untried["vector"] == "fewer than 10 rows with or without: d"


def test_a_label_that_hardly_occurs_is_left_as_it_is() -> None:
    truth, logits = honest(LABELS, 3000)
    truth[:, 2] = False
    truth[:3, 2] = True
    found = fit_calibration(LABELS, truth=truth, logits=3.0 * logits)
    assert found.method == "temperature"
    assert found.slopes[2] == 1.0
    assert np.delete(found.slopes, 2) == pytest.approx(1 / 3, rel=0.15)
    assert [one.method for one in found.tried if one.why] == ["isotonic"]


def test_curves_of_very_many_classes_are_not_tried() -> None:
    task = Task(
        kind="multilabel_classification", label="tags", classes=tuple(f"t{n}" for n in range(40))
    )
    truth, logits = honest(task, 200)
    found = fit_calibration(task, truth=truth, logits=logits)
    assert [one.why for one in found.tried if one.why] == ["more than 32 classes"]


@pytest.mark.parametrize(("truth", "text"), [([], "0 positive of 0"), ([True], "1 positive of 1")])
def test_one_class_cannot_be_calibrated_on(truth: list[bool], text: str) -> None:
    with pytest.raises(BadData) as refused:
        fit_calibration(BINARY, truth=np.array(truth, dtype=bool), logits=np.zeros(len(truth)))
    assert str(refused.value) == (
        f"calibration, validation split: found {text} rows; expected rows of both classes. "
        "Make the validation split larger."
    )


def test_one_class_of_many_cannot_be_calibrated_on() -> None:
    with pytest.raises(BadData, match="found 9 rows of 1 classes; expected rows of at least two"):
        fit_calibration(MANY, truth=np.ones(9, dtype=np.int64), logits=np.zeros((9, 4)))


@pytest.mark.parametrize(
    ("task", "truth", "logits", "text"),
    [
        (BINARY, [True, False], np.zeros((2, 2)), r"bool labels \[2\], logits \[2, 2\]"),
        (MANY, [0, 2], np.zeros(2), r"int64 labels \[2\], logits \[2\]"),
        (LABELS, [True, False], np.zeros((2, 4)), r"bool labels \[2\], logits \[2, 4\]"),
    ],
)
def test_other_shapes_are_refused(task: Task, truth: Any, logits: Floats, text: str) -> None:
    with pytest.raises(BadData, match=f"calibration: found {text}"):
        fit_calibration(task, truth=np.array(truth), logits=logits)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_logits_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(BadModel, match="the model's logits: found 1 of 2 not finite"):
        fit_calibration(BINARY, truth=np.array([True, False]), logits=np.array([value, 0.0]))
