"""What each row lost, held against scikit-learn's means."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss, mean_absolute_error

from tests.evaluate.samples import binary, draw, many
from torchyard.evaluate.counting.losses import row_losses, wrong_rows
from torchyard.evaluate.counting.sample import Sample
from torchyard.records.schema import Task


def numbers(rows: int) -> Sample:
    generator = np.random.default_rng(0)
    value = generator.normal(size=rows)
    task = Task(kind="regression", label="delay", classes=())
    truth = value + generator.normal(size=rows)
    return Sample(task=task, truth=truth, outputs=np.stack([value, value - 1, value + 1], axis=1))


def labels(rows: int) -> Sample:
    generator = np.random.default_rng(0)
    outputs = generator.random((rows, 3))
    task = Task(kind="multilabel_classification", label="tags", classes=("a", "b", "c"))
    return Sample(task=task, truth=generator.random((rows, 3)) < outputs, outputs=outputs)


def test_means_are_those_of_scikit_learn() -> None:
    two, classes, number, several = binary(*draw(500)), many(500), numbers(500), labels(500)
    samples = {"two": two, "many": classes, "number": number, "labels": several}
    means = {name: float(row_losses(sample)[1].mean()) for name, sample in samples.items()}
    assert means["two"] == pytest.approx(log_loss(two.truth, two.outputs))
    assert means["many"] == pytest.approx(
        log_loss(classes.truth, classes.outputs, labels=[0, 1, 2, 3])
    )
    assert means["number"] == pytest.approx(mean_absolute_error(number.truth, number.outputs[:, 0]))
    assert means["labels"] == pytest.approx(np.mean([
        log_loss(several.truth[:, one], several.outputs[:, one]) for one in range(3)
    ]))  # fmt: skip
    assert row_losses(number)[0] == "mae"
    assert row_losses(several)[0] == "log_loss"


def test_a_sure_mistake_costs_a_finite_loss() -> None:
    _, lost = row_losses(binary(np.array([True, False]), np.array([0.0, 1.0])))
    assert lost == pytest.approx([36.04, 36.04], abs=0.01)


def test_wrong_rows_are_those_answered_otherwise_or_the_worst_tenth() -> None:
    assert wrong_rows(binary(np.array([True, False]), np.array([0.4, 0.4]))).tolist() == [
        True,
        False,
    ]
    number = numbers(500)
    assert wrong_rows(number).sum() == 50
    _, lost = row_losses(number)
    assert lost[wrong_rows(number)].min() > lost[~wrong_rows(number)].max()
    several = labels(500)
    right = ((several.outputs >= 0.5) == several.truth).all(axis=1)
    assert (wrong_rows(several) == ~right).all()
    classes = many(500)
    assert (wrong_rows(classes) == (classes.outputs.argmax(axis=1) != classes.truth)).all()
