"""The sample release for tasks of several labels and of numbers: graphs, answers, contents.

Both answer from the sample's logit, the distance in thousands less 1, and have their answers
computed here, in plain Python.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

from tests.support.releases import GOLDEN, measured, onnx_after_logit
from torchyard.data.profile import profile_scores
from torchyard.records.schema import Task
from torchyard.release import Contents

ABOUT = Task(
    kind="multilabel_classification", label="about", classes=("delay", "price", "crew"),
    threshold=0.4,
)  # fmt: skip
DELAY = Task(kind="regression", label="delay", classes=(), unit="minutes")

_LOW, _HIGH, _MINUTES = 20.0, 30.0, 60.0


def of_labels(distance: float | None) -> tuple[float, ...]:
    """Chances of the three labels: the sigmoid of the logit, of minus the logit, and of 0."""
    logit = (distance or 0.0) / 1000 - 1
    return tuple(1 / (1 + math.exp(-one)) for one in (logit, -logit, 0.0))


def of_number(distance: float | None) -> tuple[float, ...]:
    """60 minutes per logit, 20 fewer, 30 more."""
    value = _MINUTES * ((distance or 0.0) / 1000 - 1)
    return (value, value - _LOW, value + _HIGH)


@cache
def labels_onnx() -> bytes:
    """The graph that answers as ``of_labels`` does."""
    from onnx import TensorProto, helper

    return onnx_after_logit(
        helper.make_node("Neg", ["logit"], ["other"]),
        helper.make_node("Mul", ["logit", "zero"], ["even"]),
        helper.make_node("Concat", ["logit", "other", "even"], ["logits"], axis=1),
        helper.make_node("Sigmoid", ["logits"], ["chances"]),
        helper.make_node("Cast", ["chances"], ["probabilities"], to=TensorProto.FLOAT),
        classes=3,
    )


@cache
def number_onnx() -> bytes:
    """The graph that answers as ``of_number`` does."""
    from onnx import TensorProto, helper

    def constant(name: str, value: float) -> Any:
        tensor = helper.make_tensor(name, TensorProto.DOUBLE, [1], [value])
        return helper.make_node("Constant", [], [name], value=tensor)

    return onnx_after_logit(
        constant("minutes", _MINUTES),
        constant("below", _LOW),
        constant("above", _HIGH),
        helper.make_node("Mul", ["logit", "minutes"], ["value"]),
        helper.make_node("Sub", ["value", "below"], ["low"]),
        helper.make_node("Add", ["value", "above"], ["high"]),
        helper.make_node("Concat", ["value", "low", "high"], ["all"], axis=1),
        helper.make_node("Cast", ["all"], ["predictions"], to=TensorProto.FLOAT),
        classes=3,
        output="predictions",
    )


def with_labels(contents: Contents) -> Contents:
    """The sample's contents, of the task ``ABOUT``; for a release of ``labels_onnx``."""
    return _of(contents, ABOUT, answers=tuple(of_labels(row["distance"]) for row in GOLDEN))


def with_number(contents: Contents) -> Contents:
    """The sample's contents, of the task ``DELAY``; for a release of ``number_onnx``."""
    return _of(contents, DELAY, answers=tuple(of_number(row["distance"]) for row in GOLDEN))


def _of(contents: Contents, task: Task, *, answers: tuple[tuple[float, ...], ...]) -> Contents:
    import numpy as np

    reports = tuple(
        replace(
            report,
            task=task,
            classes=(50,) * len(task.classes),
            metrics={name: measured(0.5) for name in task.headlines},
            baselines={},
            fairness={},
            groups=(),
            slices=(),
            confusion=(),
        )
        for report in contents.evidence.reports
    )
    return replace(
        contents,
        task=task,
        evidence=replace(contents.evidence, reports=reports),
        golden_answers=answers,
        reference_answers=profile_scores(np.array(answers), task),
    )
