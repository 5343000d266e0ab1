from __future__ import annotations

import numpy as np
import pytest

from tests.evaluate.samples import binary, draw
from torchyard.core.errors import BadData, BadModel
from torchyard.evaluate.calibration import (
    HIGHEST,
    LOWEST,
    apply_temperature,
    fit_temperature,
)
from torchyard.evaluate.kinds import compute
from torchyard.evaluate.sample import Bools, Floats


def overconfident(rows: int, *, times: float, seed: int = 0) -> tuple[Bools, Floats]:
    truth, probability = draw(rows, seed=seed)
    return truth, times * (np.log(probability) - np.log1p(-probability))


@pytest.mark.parametrize("times", [0.25, 1.5, 4.0])
def test_finds_the_temperature_that_was_applied(times: float) -> None:
    truth, logits = overconfident(40_000, times=times)
    found = fit_temperature(truth=truth, logits=logits)
    assert found.temperature == pytest.approx(times, rel=0.05)
    assert found.rows == 40_000


def test_lowers_the_loss_to_a_minimum() -> None:
    truth, logits = overconfident(2000, times=3.0)
    found = fit_temperature(truth=truth, logits=logits)
    assert found.log_loss_after < found.log_loss_before

    def loss(temperature: float) -> float | None:
        probability = 1.0 / (1.0 + np.exp(-logits / temperature))
        return compute("log_loss", binary(truth, probability))

    assert loss(1.0) == pytest.approx(found.log_loss_before)
    assert loss(found.temperature) == pytest.approx(found.log_loss_after)
    for nearby in (0.98, 1.02):
        assert (loss(nearby * found.temperature) or 0.0) > found.log_loss_after


def test_applied_probabilities_are_the_scaled_ones_and_keep_their_order() -> None:
    truth, logits = overconfident(500, times=3.0)
    found = fit_temperature(truth=truth, logits=logits)
    probabilities = apply_temperature(logits, found)
    assert probabilities.dtype == np.float64
    assert probabilities.sum(axis=1) == pytest.approx(1.0)
    probability = probabilities[:, 1]
    assert probability == pytest.approx(1.0 / (1.0 + np.exp(-logits / found.temperature)))
    assert (np.argsort(probability) == np.argsort(logits)).all()
    assert apply_temperature(np.array([-1e4, 1e4]), found).tolist() == [
        [1.0, 0.0],
        [0.0, 1.0],
    ]


def test_logits_that_say_nothing_keep_their_temperature() -> None:
    found = fit_temperature(truth=np.array([True, False]), logits=np.zeros(2))
    assert found.temperature == 1.0
    assert found.log_loss_before == found.log_loss_after == pytest.approx(np.log(2))


def test_the_temperature_stays_in_its_range() -> None:
    truth = np.array([True, False] * 10)
    perfect = fit_temperature(truth=truth, logits=np.where(truth, 2.0, -2.0))
    wrong = fit_temperature(truth=truth, logits=np.where(truth, -2.0, 2.0))
    assert (perfect.temperature, wrong.temperature) == pytest.approx((LOWEST, HIGHEST))


def test_float32_logits_are_fitted_in_float64() -> None:
    truth, logits = overconfident(1000, times=2.0)
    narrow = fit_temperature(truth=truth, logits=logits.astype(np.float32))
    assert narrow.temperature == pytest.approx(
        fit_temperature(truth=truth, logits=logits).temperature, rel=1e-5
    )


@pytest.mark.parametrize(("truth", "text"), [([], "0 positive of 0"), ([True], "1 positive of 1")])
def test_one_class_cannot_be_calibrated_on(truth: list[bool], text: str) -> None:
    with pytest.raises(BadData) as refused:
        fit_temperature(truth=np.array(truth, dtype=bool), logits=np.zeros(len(truth)))
    assert str(refused.value) == (
        f"calibration, validation split: found {text} rows; expected rows of both classes. "
        "Make the validation split larger."
    )


def test_logits_of_another_shape_are_refused() -> None:
    with pytest.raises(BadData, match=r"found bool labels \[2\], logits \[2, 1\]"):
        fit_temperature(truth=np.array([True, False]), logits=np.zeros((2, 1)))


def test_logits_that_are_not_finite_are_refused() -> None:
    with pytest.raises(BadModel, match="the model's logits: found 1 of 2 not finite"):
        fit_temperature(truth=np.array([True, False]), logits=np.array([np.inf, 0.0]))
