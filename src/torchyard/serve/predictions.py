"""Predictions as clients read them, in plain JSON and as tensors: where kinds of tasks part ways.

Not here: routes and bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan, prod
from typing import Literal, NamedTuple

import msgspec

from torchyard.records.schema import Task
from torchyard.serve.abstaining import Abstained, JudgedScores
from torchyard.serve.engine import Scores

Datatype = Literal["FP32", "BOOL", "BYTES"]


class Output(NamedTuple):
    """An output tensor: its name, its datatype of the Open Inference Protocol, one row's shape."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]


ABSTAINED = Output("abstained", "BYTES", ())
EXPLANATION = Output("explanation", "BYTES", ())  # only where a request asks for it

_NOTHING: dict[Datatype, tuple[object, ...]] = {"FP32": (nan,), "BOOL": (False,), "BYTES": ("",)}


def label_of(task: Task, scores: Sequence[float]) -> str:
    """The class that a row is answered with.

    Binary: by the task's threshold. Multiclass: the most probable, the first of equals.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("on time", "late"))
        >>> label_of(late, [0.5, 0.5])
        'late'
    """
    return answered_as(task, scores)[0]


def labels_of(task: Task, scores: Sequence[float]) -> list[str]:
    """The classes that a row of a multilabel task is answered with, in the task's order.

    Example:
        >>> about = Task(kind="multilabel_classification", label="about", classes=("a", "b", "c"))
        >>> labels_of(about, [0.9, 0.2, 0.5])
        ['a', 'c']
    """
    named = zip(task.classes, scores, strict=True)
    return [name for name, score in named if score >= task.threshold]


def answered_as(task: Task, scores: Sequence[float]) -> tuple[str, float]:
    """The class that a row is answered with, and its calibrated probability: the confidence.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("on time", "late"),
        ...             threshold=0.3)
        >>> answered_as(late, [0.6, 0.4])
        ('late', 0.4)
    """
    if task.is_binary:
        first, second = scores
        return (task.classes[1], second) if second >= task.threshold else (task.classes[0], first)
    most = max(scores)
    return task.classes[scores.index(most)], most


def predictions(task: Task, ids: Sequence[str], scores: Scores) -> list[dict[str, object]]:
    """What the plain JSON route answers, one object per row.

    A probability of every class with the ``label`` and its ``confidence`` or, of a multilabel task,
    the ``labels``, each of which has its own among the probabilities; of a number ``value``,
    ``low`` and ``high`` with their ``unit``, None where the task names none.

    Where a release may abstain, ``abstained`` and ``reason`` say why a row is not answered, or are
    None. What would have been the answer is None then, probabilities and intervals included:
    whoever does not look at ``abstained`` must not act on them. The log has them.

    Example:
        >>> delay = Task(kind="regression", label="delay", classes=(), unit="minutes")
        >>> predictions(delay, ["a"], [[12.5, 3.0, 30.0]])
        [{'id': 'a', 'value': 12.5, 'low': 3.0, 'high': 30.0, 'unit': 'minutes'}]
    """
    said = [{"id": name, **_said(task, row)} for name, row in zip(ids, scores, strict=True)]
    if isinstance(scores, JudgedScores):
        for prediction, why in zip(said, scores.abstained, strict=True):
            if why is not None:
                prediction.update(_unsaid(prediction, why))
            prediction["abstained"] = None if why is None else why.code
            prediction["reason"] = None if why is None else why.sentence
    return said


def _said(task: Task, scores: Sequence[float]) -> dict[str, object]:
    if task.is_regression:
        value, low, high = scores
        return {"value": value, "low": low, "high": high, "unit": task.unit}
    probabilities = dict(zip(task.classes, scores, strict=True))
    if task.is_multilabel:
        return {"labels": labels_of(task, scores), "probabilities": probabilities}
    label, confidence = answered_as(task, scores)
    return {"label": label, "confidence": confidence, "probabilities": probabilities}


def _unsaid(prediction: Mapping[str, object], why: Abstained) -> dict[str, object]:
    """An answer without what could be acted on; of an unsure one the confidence stays."""
    kept = ("id", "unit", "confidence") if why.code == "unsure" else ("id", "unit")
    return {name: None for name in prediction if name not in kept}


def outputs_of(task: Task, *, abstains: bool = False) -> tuple[Output, ...]:
    """The output tensors of a task's answers.

    ``probabilities`` of the classes in the task's order with ``label``, a class's name, or of a
    multilabel task ``labels``, whether a row is answered with each class. Of a number
    ``predictions``: value, low and high, in the label's unit. Of a release that may abstain also
    ``abstained``, the code of the reason, or an empty text.

    Example:
        >>> delay = Task(kind="regression", label="delay", classes=())
        >>> outputs_of(delay)
        (Output(name='predictions', datatype='FP32', shape=(3,)),)
    """
    outputs = [Output(task.output_name, "FP32", (len(task.outputs),))]
    if task.is_multilabel:
        outputs.append(Output("labels", "BOOL", (len(task.classes),)))
    elif not task.is_regression:
        outputs.append(Output("label", "BYTES", ()))
    return (*outputs, ABSTAINED) if abstains else tuple(outputs)


def tensor_data(task: Task, output: Output, scores: Scores) -> list[object]:
    """An output tensor's elements, row after row.

    Of a row that is not answered: not-a-number, which JSON writes as null, an empty text, and
    false for every class.
    """
    if isinstance(scores, JudgedScores):
        return _judged_data(task, output, scores)
    if output.name == "label":
        return [label_of(task, row) for row in scores]
    if output.name == "labels":
        return [score >= task.threshold for row in scores for score in row]
    return [score for row in scores for score in row]


def _judged_data(task: Task, output: Output, judged: JudgedScores) -> list[object]:
    if output == ABSTAINED:
        return ["" if why is None else why.code for why in judged.abstained]
    if output == EXPLANATION:
        encode = msgspec.json.encode
        return ["" if one is None else encode(one).decode() for one in judged.explanations]
    nothing = list(_NOTHING[output.datatype] * prod(output.shape))
    return [
        element
        for row, why in zip(judged.scores, judged.abstained, strict=True)
        for element in (tensor_data(task, output, [row]) if why is None else nothing)
    ]
