from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests.evaluate.samples import LATE
from torchyard.core.errors import BadData
from torchyard.evaluate.counting.sample import Bools, Floats, Sample
from torchyard.evaluate.metrics.kinds import compute
from torchyard.evaluate.rivals.baselines import Linear, Majority, fit_linear, fit_majority
from torchyard.evaluate.rivals.design import Features


def rows(count: int, *, seed: int = 0) -> tuple[dict[str, np.ndarray], Bools]:
    generator = np.random.default_rng(seed)
    numbers = generator.normal(3.0, 20.0, (count, 2)).astype(np.float32)
    carrier = generator.integers(0, 5, count)
    logits = 0.05 * numbers[:, 0] - 0.02 * numbers[:, 1] + np.array([0, 1, -1, 2, 0])[carrier]
    truth = generator.random(count) < 1.0 / (1.0 + np.exp(-logits))
    return {"numbers": numbers, "carrier": carrier}, truth


def of(name: str, truth: Bools, probabilities: Floats) -> float | None:
    return compute(name, Sample(task=LATE, truth=truth, outputs=probabilities))


def fitted(features: Features, truth: Bools) -> Linear:
    model = fit_linear(features, truth, LATE, seed=0)
    assert isinstance(model, Linear)
    return model


def test_the_line_is_that_of_the_library_that_fits_it() -> None:
    features, truth = rows(800)
    numbers = features["numbers"].astype(np.float64)
    scaled = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    matrix = np.hstack([scaled, np.eye(5)[features["carrier"]]])
    peer = LogisticRegression(max_iter=200).fit(matrix, truth).predict_proba(matrix)[:, 1]
    found = fitted(features, truth).predict(features)
    assert found[:, 1] == pytest.approx(peer, abs=1e-3)
    assert found.sum(axis=1) == pytest.approx(1.0)


def test_weights_come_back_in_the_units_of_the_numbers() -> None:
    features, truth = rows(60_000)
    model = fitted(features, truth)
    assert model.numbers["numbers"] == pytest.approx([0.05, -0.02], rel=0.1)
    contrast = model.integers["carrier"] - model.integers["carrier"][0]
    assert contrast == pytest.approx([0, 1, -1, 2, 0], abs=0.15)


def test_the_line_beats_the_majority_on_other_rows() -> None:
    (features, truth), (others, outcomes) = rows(4000), rows(4000, seed=1)
    losses = [
        of("log_loss", outcomes, model.predict(others))
        for model in (fitted(features, truth), fit_majority(truth, LATE))
    ]
    assert losses[0] is not None
    assert losses[1] is not None
    assert losses[0] < losses[1] - 0.05


def test_values_never_seen_count_nothing() -> None:
    features, truth = rows(500)
    model = fitted(features, truth)
    unseen = {"numbers": np.zeros((2, 2), np.float32), "carrier": np.array([-1, 99])}
    plain = 1.0 / (1.0 + np.exp(-model.intercept))
    assert model.predict(unseen)[:, 1] == pytest.approx([plain, plain])


def test_constant_columns_and_integers_alone_are_fitted() -> None:
    _, truth = rows(300)
    constant: Features = {"numbers": np.ones((300, 1), np.float32)}
    assert fitted(constant, truth).predict(constant)[:, 1] == pytest.approx(truth.mean(), abs=1e-3)
    integers: Features = {"carrier": np.where(truth, 1, 0)}
    assert of("auroc", truth, fitted(integers, truth).predict(integers)) == 1


def test_same_rows_same_line() -> None:
    features, truth = rows(500)
    one, other = fitted(features, truth), fitted(features, truth)
    assert (one.predict(features) == other.predict(features)).all()


def test_the_majority_answers_every_row_alike() -> None:
    model = fit_majority(np.array([True, False, False, False]), LATE)
    assert model == Majority(answer=(0.75, 0.25))
    assert model.predict({"numbers": np.zeros((3, 2), np.float32)}).tolist() == [[0.75, 0.25]] * 3


def test_one_class_leaves_only_the_majority() -> None:
    features, _ = rows(20)
    found = fit_linear(features, np.ones(20, dtype=bool), LATE, seed=0)
    assert found == Majority(answer=(0.0, 1.0))


def test_no_rows_are_refused() -> None:
    for refuse in (
        lambda: fit_majority(np.zeros(0, dtype=bool), LATE),
        lambda: fit_linear({}, np.ones(3, dtype=bool), LATE, seed=0),
        lambda: Majority(answer=(0.5, 0.5)).predict({}),
    ):
        with pytest.raises(BadData) as refused:
            refuse()
        assert str(refused.value) == (
            "baseline: found no rows or no feature tensors; expected at least one of both. "
            "Check the training split's size."
        )


def test_numbers_that_are_not_finite_are_refused() -> None:
    features, truth = rows(50)
    features["numbers"][3, 1] = np.nan
    with pytest.raises(
        BadData, match="feature tensor 'numbers': found 1 numbers that are not finite"
    ):
        fit_linear(features, truth, LATE, seed=0)


def test_a_missing_tensor_is_refused() -> None:
    features, truth = rows(50)
    model = fitted(features, truth)
    with pytest.raises(BadData) as refused:
        model.predict({"numbers": features["numbers"]})
    assert str(refused.value).startswith(
        "linear baseline: found tensors numbers; expected tensor 'carrier', on which it was fitted."
    )
