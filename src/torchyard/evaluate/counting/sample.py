"""A sample: labelled rows and what a model answers to them, ready to be counted.

The truth of a row is its class, the classes it has, or a number. Everything that metrics know of a
sample is how much weight lies in each of its cells; what a cell is, is the task's own matter: see
``tally.py`` for two classes, ``class_tally.py`` for many, ``label_tally.py`` for any number of them
at once and ``regression_tally.py`` for numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from torchyard.core.errors import BadData
from torchyard.records.schema import Task, TaskKind

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Truth = npt.NDArray[np.bool_] | npt.NDArray[np.int64] | npt.NDArray[np.float64]
Weights = npt.NDArray[np.float64] | npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]

TallyType = TypeVar("TallyType")

_UNITY = 1e-3  # float32 sums of many classes are off by less, another model's logits by more


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Labelled rows and what a model answers to them.

    Attributes:
        task: what is predicted.
        truth: of each row. Binary: ``bool [rows]``, true is the second class. Multiclass:
            ``int64 [rows]``, an index into the task's classes. Multilabel: ``bool [rows,
            classes]``, which of them it has. Regression: ``float64 [rows]``, in the task's unit.
        outputs: ``float64 [rows, outputs]``. Calibrated probabilities of the classes, adding up to
            1 in each row but for multilabel tasks; or value, low and high of a regression, in its
            unit, the value within its interval.

    Raises:
        BadData: shapes differ, a label is no class or no finite number, a probability is none, or
            an interval does not hold its value.

    Example:
        >>> from torchyard.records.schema import Task
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> seen = Sample(task=late, truth=np.array([True, False, False]),
        ...               outputs=np.array([[.1, .9], [.8, .2], [.7, .3]]))
        >>> seen.rows, seen.classes
        (3, (2, 1))
    """

    task: Task
    truth: Truth
    outputs: Floats

    def __post_init__(self) -> None:
        _check_type(self.task, self.truth)
        _check_shapes(self.task, self.truth, self.outputs)
        if self.task.is_regression:
            _check_numbers(self.truth, self.outputs)
        else:
            _check_classes(self.task, self.truth)
            _check_probabilities(self.task, self.outputs)

    @property
    def rows(self) -> int:
        """How many rows."""
        return int(self.truth.shape[0])

    @property
    def classes(self) -> tuple[int, ...]:
        """How many rows have each class, in the task's order; empty for a regression."""
        return count_classes(self.task, self.truth)

    def of(self, rows: Indices) -> Sample:
        """Some of its rows, by number."""
        return replace(self, truth=self.truth[rows], outputs=self.outputs[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet(Generic[TallyType]):
    """A sample made ready to be counted under any weights of its rows.

    Attributes:
        places: the cell in which each row counts, ``[rows]``.
        cells: how many cells there are.
        tally: makes the tally of some weights, ``[..., cells]``; ``...`` stands for any leading
            axes, usually none (a sample) or one (its resamples).
    """

    places: Indices
    cells: int
    tally: Callable[[Any], TallyType]

    def whole(self, weights: Floats | None = None) -> TallyType:
        """The tally of the sample itself, each row once or ``weights [rows]`` times."""
        ones = np.ones(self.places.size) if weights is None else weights
        return self.tally(np.bincount(self.places, weights=ones, minlength=self.cells))


def strata(task: Task, truth: Truth) -> tuple[Indices, tuple[int, ...]]:
    """The strata that resamples keep: row numbers, the last stratum first, and rows of each.

    Strata are the classes, in the task's order, where each row has one; else all rows are one.
    """
    if truth.ndim == 1 and not task.is_regression:
        return by_class(truth), count_classes(task, truth)
    return np.arange(truth.shape[0]), (int(truth.shape[0]),)


def by_class(truth: Truth) -> Indices:
    """Row numbers class by class, the last class first, ``[rows]``."""
    return np.argsort(-truth.astype(np.int64), kind="stable")


def count_classes(task: Task, truth: Truth) -> tuple[int, ...]:
    """How many rows have each class, in the task's order; empty for a regression."""
    if task.is_regression:
        return ()
    if task.is_multilabel:
        counts = truth.sum(axis=0)
    else:
        counts = np.bincount(truth.astype(np.int64), minlength=len(task.classes))
    return tuple(int(rows) for rows in counts)


def answers(task: Task, outputs: Floats) -> npt.NDArray[Any]:
    """What each row is answered with.

    Binary: ``int64 [rows]``, 1 for the second class, from the threshold on. Multiclass: ``int64
    [rows]``, the index of the most probable class, the first of equals. Multilabel: ``bool [rows,
    classes]``, those from the threshold on. Regression: ``float64 [rows]``, the value.
    """
    if task.is_binary:
        return np.asarray(outputs[:, 1] >= task.threshold, dtype=np.int64)
    if task.is_multilabel:
        return np.asarray(outputs >= task.threshold)
    if task.is_regression:
        return np.asarray(outputs[:, 0], dtype=np.float64)
    return np.asarray(outputs.argmax(axis=1), dtype=np.int64)


_TYPES: dict[TaskKind, tuple[type[np.generic], str, str]] = {
    "binary_classification": (
        np.bool_,
        "true or false",
        "Compare the label column with its positive value.",
    ),
    "multiclass_classification": (
        np.int64,
        "whole numbers, each the index of a class",
        "Look each label up in the task's classes.",
    ),
    "multilabel_classification": (
        np.bool_,
        "true or false for each class",
        "Say of each class whether the row has it.",
    ),
    "regression": (
        np.float64,
        "numbers of type float64",
        "Convert the label column with numpy's astype.",
    ),
}


def _check_type(task: Task, truth: Truth) -> None:
    known, expected, remedy = _TYPES[task.kind]
    if truth.dtype != known:
        raise BadData(
            where="labels",
            found=f"values of type {truth.dtype}",
            expected=expected,
            remedy=remedy,
        )


def _check_shapes(task: Task, truth: Truth, outputs: Floats) -> None:
    width = len(task.outputs)
    labels = (width,) if task.is_multilabel else ()
    rows = truth.shape[0] if truth.ndim else 0
    if truth.shape == (rows, *labels) and outputs.shape == (rows, width):
        return
    if task.is_regression:
        where, each = "labels and predictions", "one number, and value, low and high"
        remedy = "Give low and high as the value itself where there is no interval."
    else:
        where = "labels and probabilities"
        each = f"{'a label of each class' if labels else 'one label'} and {width} probabilities"
        remedy = "Give a probability of every class, in the task's order."
    sides = ", ".join(["rows", *map(str, labels)])
    raise BadData(
        where=where,
        found=f"shapes {list(truth.shape)} and {list(outputs.shape)}",
        expected=f"{each} per row, [{sides}] and [rows, {width}]",
        remedy=remedy,
    )


def _check_classes(task: Task, truth: Truth) -> None:
    wrong = truth[(truth < 0) | (truth >= max(2, len(task.classes)))]
    if wrong.size:
        raise BadData(
            where="labels",
            found=f"{wrong.size} outside the classes, for example {wrong[:5].tolist()}",
            expected=f"indices from 0 to {len(task.classes) - 1}",
            remedy="Look each label up in the task's classes.",
        )


def _check_probabilities(task: Task, probabilities: Floats) -> None:
    inside = (probabilities >= 0.0) & (probabilities <= 1.0)
    if not inside.all():
        wrong = probabilities[~inside]
        raise BadData(
            where="probabilities",
            found=f"{wrong.size} outside 0 to 1, for example {wrong[:5].tolist()}",
            expected="numbers from 0 to 1",
            remedy="Give calibrated probabilities, not logits.",
        )
    if task.is_multilabel:
        return
    sums = probabilities.sum(axis=1)
    off = np.abs(sums - 1.0) > _UNITY
    if off.any():
        raise BadData(
            where="probabilities",
            found=f"{int(off.sum())} rows that add up to something else, for example "
            f"{sums[off][:5].tolist()}",
            expected="rows that add up to 1",
            remedy="Give the softmax of the logits.",
        )


def _check_numbers(truth: Truth, outputs: Floats) -> None:
    for where, numbers in (("labels", truth), ("predictions", outputs)):
        wrong = numbers[~np.isfinite(numbers)]
        if wrong.size:
            raise BadData(
                where=where,
                found=f"{wrong.size} that are not finite, for example {wrong[:5].tolist()}",
                expected="finite numbers",
                remedy="Leave out rows without a label."
                if where == "labels"
                else "Find what makes the model diverge; torchyard train names the layer.",
            )
    value, low, high = outputs.T
    outside = (value < low) | (value > high)
    if outside.any():
        example = outputs[outside][0].tolist()
        raise BadData(
            where="predictions",
            found=f"{int(outside.sum())} rows whose interval does not hold their value, for "
            f"example value {example[0]:g}, low {example[1]:g}, high {example[2]:g}",
            expected="low at most the value, and the value at most high",
            remedy="Give the columns in the order value, low, high.",
        )
