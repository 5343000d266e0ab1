"""Losses by the form of labels: in PyTorch, in numpy, and against their plain definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import torchyard as ty
from torchyard.core.errors import BadData, BadModel
from torchyard.records.schema import Task
from torchyard.records.training import FeatureGraph, FeatureTensor
from torchyard.train.faults import outside_classes
from torchyard.train.feed import Examples
from torchyard.train.loop import train
from torchyard.train.losses import least_constant_loss, loss_of, mean_loss_of
from torchyard.train.preflight_trial import Trial
from torchyard.train.probe import probe

TOPICS = ty.multilabel_classification("on", classes=["sport", "money", "war"])
DELAY = ty.regression("delay")
FORMS = ("binary", "multiclass", "multilabel", "regression")


def labels_of(form: str, rows: int, draw: np.random.Generator) -> np.ndarray[Any, Any]:
    if form == "binary":
        return draw.random(rows) < 0.4
    if form == "multiclass":
        return draw.integers(0, 3, rows)
    if form == "multilabel":
        return draw.random((rows, 3)) < [0.5, 0.2, 0.1]
    return draw.normal(size=(rows, 1)).astype(np.float32)


def plain_loss(answers: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> float:
    """Row by row, as a textbook has it."""
    losses = []
    for row, label in zip(answers, labels, strict=True):
        if labels.dtype.kind == "i":
            losses.append(-np.log(np.exp(row[label]) / np.exp(row).sum()))
        elif labels.dtype == np.bool_:
            for z, y in zip(np.atleast_1d(row), np.atleast_1d(label), strict=True):
                p = 1 / (1 + np.exp(-z))
                losses.append(-np.log(p if y else 1 - p))
        else:
            losses.append((row - label[0]) ** 2)
    return float(np.mean(losses))


@given(st.sampled_from(FORMS), st.integers(1, 30), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_both_losses_are_what_a_textbook_says(form: str, rows: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    labels = labels_of(form, rows, draw)
    shape = (rows, 3) if form.startswith("multi") else (rows,)
    answers = draw.normal(size=shape) * 3
    expected = plain_loss(answers, labels)
    assert mean_loss_of(answers, labels) == pytest.approx(expected, rel=1e-9)
    batch = Examples.from_arrays({}, labels)
    given = torch.from_numpy(answers)
    # in float32, which steps by 6e-8 below 1: a loss near 0 is right to some steps
    near = pytest.approx(expected, rel=1e-5, abs=5e-7)
    assert float(loss_of(given, batch.labels)) == near
    if answers.ndim == 1:  # a layer of one output gives [rows, 1]
        assert float(loss_of(given[:, None], batch.labels)) == near


@pytest.mark.parametrize("form", FORMS)
def test_no_constant_answer_has_a_lower_loss(form: str) -> None:
    draw = np.random.default_rng(1)
    labels = labels_of(form, 400, draw)
    least = least_constant_loss(labels)
    width = 3 if form.startswith("multi") else 1
    best = np.inf
    for _ in range(300):
        answer = draw.normal(size=width) * 2
        answers = np.repeat(answer[None] if width > 1 else answer, 400, axis=0)
        best = min(best, mean_loss_of(answers, labels))
    assert least <= best
    assert best - least < 0.1
    one = labels[:1].repeat(5, axis=0)
    assert least_constant_loss(one) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "classes", "said"),
    [
        (torch.tensor([[0.5], [torch.inf]]), 0, "1 of 2 labels that are not finite numbers, such"),
        (
            torch.tensor([[0.0, 1.0], [2.0, 1.0]]),
            2,
            "1 of 4 labels that are not 0 and 1",
        ),
        (torch.tensor([[0.0, 1.0], [1.0, 1.0]]), 2, ""),
        (torch.tensor([[-3.5], [9.0]]), 0, ""),
    ],
)
def test_labels_that_cannot_be_are_named(labels: torch.Tensor, classes: int, said: str) -> None:
    assert outside_classes(labels, classes).startswith(said)
    assert bool(outside_classes(labels, classes)) == bool(said)


# training


class Net(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.layers(x)
        return made


_X = FeatureTensor(
    name="x", dtype="float32", shape=(4,), cardinality=0, fields=("x",), operation="o"
)
GRAPH = FeatureGraph(digest="sha256:0", inputs=("x",), tensors=(_X,), fitted_rows=1)


def rows_of(form: str, rows: int = 256) -> Examples:
    draw = np.random.default_rng(7)
    x = draw.normal(size=(rows, 4)).astype(np.float32)
    labels: np.ndarray[Any, Any] = (
        x[:, :3] + 0.1 * draw.normal(size=(rows, 3)) > 0
        if form == "multilabel"
        else (x @ [1.0, -1.0, 0.5, 0.0]).astype(np.float32)[:, None]
    )
    return Examples.from_arrays({"x": x}, labels)


@pytest.mark.parametrize(("form", "outputs"), [("multilabel", 3), ("regression", 1)])
def test_the_loop_learns_several_classes_and_numbers(form: str, outputs: int) -> None:
    table = rows_of(form)
    settings_ = ty.Training(max_epochs=25, batch_size=32, learning_rate=1e-2, warmup=0.0)
    trained = train(lambda: Net(outputs), training=table, validation=table, settings=settings_)
    losses = [epoch.validation_loss for epoch in trained.curve]
    assert min(losses) < 0.5 * losses[0]
    assert min(losses) < 0.3 * least_constant_loss(table.truth())


@pytest.mark.parametrize("form", ["multilabel", "regression"])
def test_eight_rows_have_labels_as_different_as_can_be(form: str) -> None:
    table = rows_of(form)
    trial = Trial(
        lambda: Net(3), training=table, settings=ty.Training(), device=torch.device("cpu")
    )
    labels = trial.eight().truth()
    assert len(np.unique(labels, axis=0)) == 8
    if form == "regression":
        assert labels.min() == table.truth().min()
        assert labels.max() == table.truth().max()


@pytest.mark.parametrize(
    ("task", "outputs", "said"),
    [
        (
            TOPICS, 1,
            "found for 2 rows an answer of shape [2, 1]; expected a logit of each of the 3 classes "
            "per row, shape [2, 3]. End forward with a layer of 3 outputs, without a sigmoid.",
        ),
        (
            DELAY, 3,
            "found for 2 rows an answer of shape [2, 3]; expected one number per row, shape [2] or "
            "[2, 1]. End forward with a layer of one output.",
        ),
    ],
)  # fmt: skip
def test_answers_of_another_shape_are_refused(task: Task, outputs: int, said: str) -> None:
    table = rows_of("multilabel" if task.is_multilabel else "regression")
    probe(Net(len(task.classes) or 1), GRAPH, table, task)
    with pytest.raises(BadModel) as refused:
        probe(Net(outputs), GRAPH, table, task)
    assert said in str(refused.value)


def test_numbers_that_32_bits_do_not_hold_are_refused() -> None:
    table = rows_of("regression")
    table.labels[3] = torch.inf
    with pytest.raises(BadData) as refused:
        probe(Net(1), GRAPH, table, DELAY)
    assert str(refused.value) == (
        "label 'delay', training rows: found 1 of 256 labels that are not finite numbers, such as "
        "inf, first in row 3; expected finite numbers that 32 bits hold. Correct the labels; then "
        "run the features stage again: rm -r .torchyard/stages/features"
    )
