"""Predictions as clients read them, in plain JSON and as tensors: where kinds of tasks part ways.

Not here: routes and bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from torchyard.records.schema import Task
from torchyard.serve.engine import Scores

Datatype = Literal["FP32", "BOOL", "BYTES"]


class Output(NamedTuple):
    """An output tensor: its name, its datatype of the Open Inference Protocol, one row's shape."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]


def label_of(task: Task, scores: Sequence[float]) -> str:
    """The class that a row is answered with.

    Binary: by the task's threshold. Multiclass: the most probable, the first of equals.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("on time", "late"))
        >>> label_of(late, [0.5, 0.5])
        'late'
    """
    if task.is_binary:
        return task.classes[1] if scores[1] >= task.threshold else task.classes[0]
    return task.classes[scores.index(max(scores))]


def labels_of(task: Task, scores: Sequence[float]) -> list[str]:
    """The classes that a row of a multilabel task is answered with, in the task's order.

    Example:
        >>> about = Task(kind="multilabel_classification", label="about", classes=("a", "b", "c"))
        >>> labels_of(about, [0.9, 0.2, 0.5])
        ['a', 'c']
    """
    named = zip(task.classes, scores, strict=True)
    return [name for name, score in named if score >= task.threshold]


def predictions(task: Task, ids: Sequence[str], scores: Scores) -> list[dict[str, object]]:
    """What the plain JSON route answers, one object per row.

    A probability of every class with the ``label`` or, of a multilabel task, the ``labels``; of a
    number ``value``, ``low`` and ``high`` with their ``unit``, None where the task names none.

    Example:
        >>> delay = Task(kind="regression", label="delay", classes=(), unit="minutes")
        >>> predictions(delay, ["a"], [[12.5, 3.0, 30.0]])
        [{'id': 'a', 'value': 12.5, 'low': 3.0, 'high': 30.0, 'unit': 'minutes'}]
    """
    if task.is_regression:
        return [
            {"id": name, "value": value, "low": low, "high": high, "unit": task.unit}
            for name, (value, low, high) in zip(ids, scores, strict=True)
        ]
    classes = task.classes
    if task.is_multilabel:
        return [
            {
                "id": name,
                "labels": labels_of(task, row),
                "probabilities": dict(zip(classes, row, strict=True)),
            }
            for name, row in zip(ids, scores, strict=True)
        ]
    return [
        {
            "id": name,
            "label": label_of(task, row),
            "probabilities": dict(zip(classes, row, strict=True)),
        }
        for name, row in zip(ids, scores, strict=True)
    ]


def outputs_of(task: Task) -> tuple[Output, ...]:
    """The output tensors of a task's answers.

    ``probabilities`` of the classes in the task's order with ``label``, a class's name, or of a
    multilabel task ``labels``, whether a row is answered with each class. Of a number
    ``predictions``: value, low and high, in the label's unit.

    Example:
        >>> delay = Task(kind="regression", label="delay", classes=())
        >>> outputs_of(delay)
        (Output(name='predictions', datatype='FP32', shape=(3,)),)
    """
    scores = Output(task.output_name, "FP32", (len(task.outputs),))
    if task.is_regression:
        return (scores,)
    if task.is_multilabel:
        return (scores, Output("labels", "BOOL", (len(task.classes),)))
    return (scores, Output("label", "BYTES", ()))


def tensor_data(task: Task, output: Output, scores: Sequence[Sequence[float]]) -> list[object]:
    """An output tensor's elements, row after row."""
    if output.name == "label":
        return [label_of(task, row) for row in scores]
    if output.name == "labels":
        return [score >= task.threshold for row in scores for score in row]
    return [score for row in scores for score in row]
