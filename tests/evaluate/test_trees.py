"""Trees and lines on every kind of task: they learn what is there, the same thing every time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.evaluate.samples import LATE, task_of
from torchyard.core.errors import BadData
from torchyard.evaluate.counting.sample import Sample, Truth
from torchyard.evaluate.metrics.kinds import compute
from torchyard.evaluate.rivals import trees as module
from torchyard.evaluate.rivals.baselines import Majority, fit_linear, fit_majority
from torchyard.evaluate.rivals.design import Features
from torchyard.evaluate.rivals.trees import Trees, fit_trees
from torchyard.records.schema import Task

LABELS = Task(kind="multilabel_classification", label="tags", classes=("a", "b", "never"))
PRICE = Task(kind="regression", label="price", classes=(), unit="EUR")
HEADLINE = {
    "binary_classification": ("log_loss", False),
    "multiclass_classification": ("log_loss", False),
    "multilabel_classification": ("micro_f1", True),
    "regression": ("mae", False),
}


def rows(task: Task, *, count: int = 900, seed: int = 0) -> tuple[Features, Truth]:
    """Labels that hang on a number, on whether another lies in the middle, and on a category."""
    generator = np.random.default_rng(seed)
    number = generator.normal(size=(count, 3)).astype(np.float32)
    category = generator.integers(0, 40, count)
    tokens = generator.integers(0, 30, (count, 4))
    signal = 4.0 * (np.abs(number[:, 0]) < 0.7) - 2.0 + (category % 2) + 2.0 * number[:, 1]
    noise = generator.normal(size=count)
    truth: Any
    if task.is_binary:
        truth = signal + noise > 0
    elif task.is_multilabel:
        truth = np.stack([signal + noise > 0, (tokens == 3).any(axis=1), noise > 99], axis=1)
    elif task.is_regression:
        truth = 10.0 * signal + noise
    else:
        truth = np.digitize(signal + noise, [-1.0, 1.5]).astype(np.int64)
    return {"number": number, "category": category, "tokens": tokens}, truth


@pytest.mark.parametrize("task", [LATE, task_of(4), LABELS, PRICE], ids=lambda task: task.kind)
def test_trees_beat_what_is_simpler_on_every_kind_of_task(task: Task) -> None:
    (features, truth), (others, outcomes) = rows(task), rows(task, seed=1)
    name, rises = HEADLINE[task.kind]
    sign = -1.0 if rises else 1.0
    scores = {}
    for baseline, model in {
        "trees": fit_trees(features, truth, task, seed=0),
        "linear": fit_linear(features, truth, task, seed=0),
        "majority": fit_majority(truth, task),
    }.items():
        outputs = model.predict(others)
        assert outputs.shape == (900, len(task.outputs))
        assert outputs.dtype == np.float64
        value = compute(name, Sample(task=task, truth=outcomes, outputs=outputs))
        assert value is not None
        scores[baseline] = sign * value
    assert scores["trees"] < scores["linear"]
    assert scores["linear"] <= scores["majority"]


@pytest.mark.parametrize("task", [LATE, PRICE], ids=lambda task: task.kind)
def test_the_same_rows_grow_the_same_trees(task: Task) -> None:
    features, truth = rows(task, count=2_500)
    found = [fit_trees(features, truth, task, seed=3).predict(features) for _ in range(2)]
    assert (found[0] == found[1]).all()


def test_intervals_of_numbers_hold_the_coverage_on_other_rows() -> None:
    (features, truth), (others, outcomes) = rows(PRICE, count=3_000), rows(PRICE, seed=1)
    for model in (
        fit_trees(features, truth, PRICE, seed=0),
        fit_linear(features, truth, PRICE, seed=0),
        fit_majority(truth, PRICE),
    ):
        value, low, high = model.predict(others).T
        assert (low <= value).all()
        assert (value <= high).all()
        assert 0.85 < ((low <= outcomes) & (outcomes <= high)).mean() < 0.96  # 0.9 is promised


def test_a_class_without_rows_gets_no_probability() -> None:
    features, truth = rows(task_of(4))
    found = fit_trees(features, truth, task_of(4), seed=0).predict(features)
    assert (found[:, 3] == 0.0).all()
    assert found.sum(axis=1) == pytest.approx(1.0)
    labels = fit_trees(*rows(LABELS), LABELS, seed=0).predict(features)
    assert (labels[:, 2] == 0.0).all()
    assert (fit_linear(*rows(LABELS), LABELS, seed=0).predict(features)[:, 2] == 0.0).all()


def test_what_was_not_seen_in_training_is_missing() -> None:
    features, truth = rows(LATE)
    model = fit_trees(features, truth, LATE, seed=0)
    strange = {**features, "category": np.full(900, 77_777), "tokens": np.full((900, 4), -5)}
    assert np.isfinite(model.predict(strange)).all()


def test_pictures_and_more_rows_than_can_be_afforded(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    truth = generator.random(600) < 0.5
    pictures = (
        generator.normal(size=(600, 1, 20, 20)).astype(np.float32) + truth[:, None, None, None]
    )
    seen: list[int] = []
    table = module._Columns.table

    def watched(self: Any, features: Features) -> Any:
        seen.append(len(next(iter(features.values()))))
        return table(self, features)

    monkeypatch.setattr(module, "MOST_CELLS", 49 * 200)
    monkeypatch.setattr(module._Columns, "table", watched)
    model = fit_trees({"picture": pictures}, truth, LATE, seed=0)
    assert isinstance(model, Trees)
    assert 200 <= max(seen) <= 202
    right = model.predict({"picture": pictures}).argmax(axis=1) == truth
    assert right.mean() > 0.95


def test_labels_that_are_all_alike_are_the_majority() -> None:
    features, _ = rows(LATE)
    assert isinstance(fit_trees(features, np.ones(900, np.bool_), LATE, seed=0), Majority)
    same = fit_trees(features, np.full(900, 7.0), PRICE, seed=0)
    assert same.predict(features)[0].tolist() == [7.0, 7.0, 7.0]


@pytest.mark.parametrize("features", [{}, {"number": np.zeros((0, 2), np.float32)}])
def test_no_rows_are_refused(features: Features) -> None:
    with pytest.raises(BadData, match="no rows or no feature tensors"):
        fit_trees(features, np.zeros(0, np.bool_), LATE, seed=0)


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("task", [LATE, task_of(4), LABELS, PRICE], ids=lambda task: task.kind)
def test_a_handful_of_rows_will_do(task: Task, count: int) -> None:
    features, truth = rows(task, count=count)
    for fit in (fit_trees, fit_linear):
        assert np.isfinite(fit(features, truth, task, seed=0).predict(features)).all()
