"""How far two models are apart, in the words of each kind of task."""

from __future__ import annotations

import numpy as np
import pytest

from torchyard.evaluate import Sample
from torchyard.records.schema import Task
from torchyard.yard.parting import differences

LATE = Task(kind="binary_classification", label="late", classes=("no", "yes"))
ABOUT = Task(kind="multilabel_classification", label="about", classes=("a", "b"))
DELAY = Task(kind="regression", label="delay", classes=(), unit="minutes")


def pair(task: Task, *, rows: int = 300) -> tuple[Sample, Sample]:
    """Two models' answers to the same rows; the second one's are worse."""
    draw = np.random.default_rng(0)
    if task.is_regression:
        truth = draw.normal(100.0, 20.0, rows)
        values = [truth + draw.normal(0.0, noise, rows) for noise in (1.0, 3.0)]
        outputs = [np.stack([value, value - 5.0, value + 5.0], axis=1) for value in values]
        return (
            Sample(task=task, truth=truth, outputs=outputs[0]),
            Sample(task=task, truth=truth, outputs=outputs[1]),
        )
    chances = draw.random((rows, 2))
    flat = 0.5 + 0.2 * (chances - 0.5)
    if task.is_multilabel:
        has = draw.random((rows, 2)) < chances
        return (
            Sample(task=task, truth=has, outputs=chances),
            Sample(task=task, truth=has, outputs=flat),
        )
    one = draw.random(rows) < chances[:, 1]
    both, other = (np.stack([1 - p[:, 1], p[:, 1]], axis=1) for p in (chances, flat))
    return Sample(task=task, truth=one, outputs=both), Sample(task=task, truth=one, outputs=other)


@pytest.mark.parametrize(
    ("task", "names"),
    [
        (LATE, ["validation_loss", "validation_auroc"]),
        (ABOUT, ["validation_loss", "validation_micro_f1"]),
        (DELAY, ["validation_rmse", "validation_mae"]),
    ],
)
def test_a_worse_model_is_told_in_its_kinds_loss(task: Task, names: list[str]) -> None:
    found = differences(*pair(task), seed=0)
    assert list(found) == names
    loss = found[names[0]]
    assert loss.difference is not None
    assert loss.difference.value > 0
    assert loss.within is False
    assert loss.now is not None
    assert loss.recorded is not None
    assert loss.now > loss.recorded


def test_errors_of_numbers_are_in_the_labels_unit() -> None:
    before, after = pair(DELAY)
    found = differences(before, after, seed=0)["validation_rmse"]
    errors = after.outputs[:, 0] - after.truth
    assert found.now == pytest.approx(float(np.sqrt(np.mean(errors**2))))
