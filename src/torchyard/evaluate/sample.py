"""A sample: labelled rows and what a model answers to them, ready to be counted.

The truth of a row is its class: false or true in a binary task, an index otherwise. Everything
that metrics know of a sample is how much weight lies in each of its cells; what a cell is, is the
task's own matter: see ``tally.py`` for two classes and ``class_tally.py`` for many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from torchyard.core.errors import BadData
from torchyard.records.schema import Task

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Truth = npt.NDArray[np.bool_] | npt.NDArray[np.int64]
Weights = npt.NDArray[np.float64] | npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]

TallyType = TypeVar("TallyType")

_UNITY = 1e-3  # float32 sums of many classes are off by less, another model's logits by more


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Labelled rows and what a model answers to them.

    Attributes:
        task: what is predicted.
        truth: the class of each row: ``bool [rows]`` for a binary task (true is the second class),
            ``int64 [rows]`` otherwise, an index into the task's classes.
        outputs: calibrated probabilities, ``float64 [rows, classes]``, each row adding up to 1.

    Raises:
        BadData: shapes differ, a label is no class, or a probability is none.

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
        _check_truth(self.task, self.truth)
        _check_probabilities(self.task, self.truth, self.outputs)

    @property
    def rows(self) -> int:
        """How many rows."""
        return int(self.truth.size)

    @property
    def classes(self) -> tuple[int, ...]:
        """How many rows each class has, in the task's order."""
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


def by_class(truth: Truth) -> Indices:
    """Row numbers class by class, the last class first, ``[rows]``."""
    return np.argsort(-truth.astype(np.int64), kind="stable")


def count_classes(task: Task, truth: Truth) -> tuple[int, ...]:
    """How many rows each class has, in the task's order."""
    counts = np.bincount(truth.astype(np.int64), minlength=len(task.classes))
    return tuple(int(rows) for rows in counts)


def answers(task: Task, probabilities: Floats) -> npt.NDArray[np.int64]:
    """The class each row is answered with, ``int64 [rows]``, an index into the task's classes.

    Binary: the second one from the threshold on. Otherwise the most probable, the first of equals.
    """
    if task.is_binary:
        return np.asarray(probabilities[:, 1] >= task.threshold, dtype=np.int64)
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def _check_truth(task: Task, truth: Truth) -> None:
    if task.is_binary:
        fits, expected = truth.dtype == np.bool_, "true or false"
        remedy = "Compare the label column with its positive value."
    else:
        fits, expected = truth.dtype == np.int64, "whole numbers, each the index of a class"
        remedy = "Look each label up in the task's classes."
    if not fits:
        raise BadData(
            where="labels",
            found=f"values of type {truth.dtype}",
            expected=expected,
            remedy=remedy,
        )
    wrong = truth[(truth < 0) | (truth >= len(task.classes))]
    if wrong.size:
        raise BadData(
            where="labels",
            found=f"{wrong.size} outside the classes, for example {wrong[:5].tolist()}",
            expected=f"indices from 0 to {len(task.classes) - 1}",
            remedy="Look each label up in the task's classes.",
        )


def _check_probabilities(task: Task, truth: Truth, probabilities: Floats) -> None:
    classes = len(task.classes)
    if truth.ndim != 1 or probabilities.shape != (truth.size, classes):
        raise BadData(
            where="labels and probabilities",
            found=f"shapes {list(truth.shape)} and {list(probabilities.shape)}",
            expected=f"one label and {classes} probabilities per row, [rows] and [rows, {classes}]",
            remedy="Give a probability of every class, in the task's order.",
        )
    inside = (probabilities >= 0.0) & (probabilities <= 1.0)
    if not inside.all():
        wrong = probabilities[~inside]
        raise BadData(
            where="probabilities",
            found=f"{wrong.size} outside 0 to 1, for example {wrong[:5].tolist()}",
            expected="numbers from 0 to 1",
            remedy="Give calibrated probabilities, not logits.",
        )
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
