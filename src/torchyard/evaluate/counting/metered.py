"""What is added up of the rows of each kind of task.

Sums over rows are exact, so adding them up is all there is to merging: no order and no grouping of
the rows changes a bit of them. Where rows lie among others is kept in ``cells``. Here is no metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, cast

import numpy as np

from torchyard.evaluate.counting.cells import Cells, SizeGrid, bits_for, question
from torchyard.evaluate.counting.class_tally import ClassScores
from torchyard.evaluate.counting.exact_sums import check_size, exact_squares, exact_sum
from torchyard.evaluate.counting.label_tally import LabelScores
from torchyard.evaluate.counting.regression_tally import Predictions
from torchyard.evaluate.counting.sample import Bools, Floats, Sample, TallyType
from torchyard.evaluate.counting.summed import (
    LABEL_SUMS,
    NUMBER_SUMS,
    ClassSums,
    LabelSums,
    NumberSums,
    binary_sums,
)
from torchyard.evaluate.counting.tally import sort
from torchyard.evaluate.counting.totals import Totals
from torchyard.records.schema import Task, TaskKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered(Generic[TallyType]):
    """How the rows of one kind of task are added up."""

    count: Callable[[Sample], Totals]
    tally: Callable[[Totals, Task], TallyType]


def _count_binary(sample: Sample) -> Totals:
    truth, probability = cast(Bools, sample.truth), sample.outputs[:, 1]
    scores, cells = sort(probability, threshold=sample.task.threshold)
    lost = {
        "surprise": (scores.surprise_if_positive, scores.surprise_if_negative),
        "squares": (scores.square_if_positive, scores.square_if_negative),
    }
    return Totals(
        counts={},
        sums={name: exact_sum(np.where(truth, *one)) for name, one in _at(lost, cells).items()},
        cells={"class 1": question(truth, probability, threshold=sample.task.threshold)},
    )


def _at(lost: Mapping[str, tuple[Floats, Floats]], cells: Any) -> dict[str, tuple[Floats, Floats]]:
    """What is lost at each probability, by row."""
    return {name: (yes[cells], no[cells]) for name, (yes, no) in lost.items()}


def _count_classes(sample: Sample) -> Totals:
    classes = len(sample.task.classes)
    scores = ClassScores(np.asarray(sample.truth, np.int64), np.ascontiguousarray(sample.outputs))
    columns = {
        "members": scores.truth,
        "answered": scores.answered,
        "hits": scores.truth[scores.is_right],
        "places": scores.place_of_truth,
    }
    is_class = scores.truth[:, None] == np.arange(classes)
    return Totals(
        counts={name: np.bincount(one, minlength=classes) for name, one in columns.items()},
        sums={name: exact_sum(getattr(scores, name)) for name in ("surprise", "squares")},
        cells=_questions(is_class, scores.probabilities, threshold=0.0)
        | {
            "confidence": question(scores.is_right, scores.probabilities.max(axis=1), threshold=0.0)
        },
    )


def _count_labels(sample: Sample) -> Totals:
    task = sample.task
    outputs = np.ascontiguousarray(sample.outputs)
    scores = LabelScores(cast(Bools, sample.truth), outputs, task.threshold)
    return Totals(
        counts={
            "rows": np.array([sample.rows]),
            "members": scores.truth.sum(axis=0),
            "answered": scores.answered.sum(axis=0),
            "hits": (scores.truth & scores.answered).sum(axis=0),
        },
        sums={name: exact_sum(getattr(scores, name)) for name in LABEL_SUMS},
        cells=_questions(scores.truth, outputs, threshold=task.threshold),
    )


def _count_numbers(sample: Sample) -> Totals:
    value, low, high = sample.outputs.T
    truth = cast(Floats, sample.truth)
    check_size(truth, where="labels")
    check_size(sample.outputs, where="predictions")
    rows = Predictions(truth, value, low, high, sample.task.coverage)
    ones = np.ones((sample.rows, 1), np.int64)
    flags = {"covered": rows.is_covered, "is_zero": rows.is_zero}
    return Totals(
        counts={
            "rows": np.array([sample.rows]),
            **{name: np.array([int(one.sum())]) for name, one in flags.items()},
        },
        sums={
            **{name: exact_sum(getattr(rows, name)) for name in NUMBER_SUMS},
            "squares": exact_squares(rows.errors),
            "truth": exact_sum(truth),
            "truth_squares": exact_squares(truth),
        },
        cells={"sizes": Cells.of(rows.absolute, ones, grid=SizeGrid(bits_for(1)))},
    )


def _questions(is_so: Bools, probability: Floats, *, threshold: float) -> dict[str, Cells]:
    """Each class as a question, ``[rows, classes]``."""
    classes = is_so.shape[1]
    return {
        f"class {place}": question(
            is_so[:, place], probability[:, place], threshold=threshold, classes=classes
        )
        for place in range(classes)
    }


METERED: Mapping[TaskKind, Metered[Any]] = {
    "binary_classification": Metered(count=_count_binary, tally=binary_sums),
    "multiclass_classification": Metered(
        count=_count_classes, tally=lambda totals, _: ClassSums(totals)
    ),
    "multilabel_classification": Metered(
        count=_count_labels, tally=lambda totals, task: LabelSums(totals, task.threshold)
    ),
    "regression": Metered(count=_count_numbers, tally=lambda totals, _: NumberSums(totals)),
}
