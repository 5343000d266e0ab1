"""How the rows of each class are answered: counts, three metrics, what is mistaken for what.

Only of tasks with many classes: a binary report's own metrics are those of its second class, and a
regression has none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from torchyard.evaluate.counting.sample import Sample, answers
from torchyard.evaluate.metrics.kinds import kind_of
from torchyard.evaluate.metrics.multiclass import Counted, f1s, precisions, recalls
from torchyard.evaluate.resampling.bootstrap import Resampled, Vector
from torchyard.evaluate.resampling.intervals import as_share, by_resamples
from torchyard.records.evidence import ClassResult
from torchyard.records.measures import Measured
from torchyard.records.schema import Task

MOST_CONFUSED = 50  # classes; a larger matrix is more than a report should carry


def class_vectors(task: Task) -> dict[str, Vector]:
    """What to take of a sample's resamples so that ``class_results`` can be told."""
    return {"f1": f1s} if kind_of(task).tells_classes else {}


def class_results(task: Task, tally: Any, sample: Resampled) -> tuple[ClassResult, ...]:
    """Precision, recall and F1 of every class of a resampled sample, where its kind tells them.

    Precision and recall have exact intervals, F1 one by the resamples. What is undefined for a
    class (no row has it, or none is answered with it) is absent.

    Args:
        task: what is predicted.
        tally: of the sample, as its kind counts it.
        sample: its resamples, with ``class_vectors``.
    """
    if not kind_of(task).tells_classes:
        return ()
    return tuple(
        ClassResult(
            name=name,
            rows=round(float(tally.members[place])),
            answered=round(float(tally.answered[place])),
            metrics=_metrics(sample, tally, place),
        )
        for place, name in enumerate(task.classes)
    )


def confusion(sample: Sample) -> tuple[tuple[int, ...], ...]:
    """How many rows of each class (down) are answered with each class (across).

    Empty with more than 50 classes, and where a row has no one class: its labels are not mistaken
    for one another, and a number is none.

    Example:
        >>> task = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> confusion(Sample(task=task, truth=np.array([True, True, False]), outputs=np.array(
        ...     [[.1, .9], [.8, .2], [.7, .3]])))
        ((1, 0), (1, 1))
    """
    classes = len(sample.task.classes)
    if classes > MOST_CONFUSED or not kind_of(sample.task).has_confusion:
        return ()
    answered = answers(sample.task, sample.outputs).astype(np.int64)
    cells = sample.truth.astype(np.int64) * classes + answered
    counts = np.bincount(cells, minlength=classes * classes).reshape(classes, classes)
    return tuple(tuple(int(rows) for rows in row) for row in counts)


def _metrics(sample: Resampled, tally: Counted, place: int) -> dict[str, Measured]:
    found = {
        name: as_share(float(share[place]), trials=float(trials[place]), rows=sample.rows)
        for name, share, trials in (
            ("precision", precisions(tally), tally.answered),
            ("recall", recalls(tally), tally.members),
        )
        if trials[place] > 0
    }
    f1, drawn = float(sample.vectors["f1"][place]), sample.vector_samples["f1"][:, place]
    if not np.isnan(f1):
        measured = by_resamples(
            f1, drawn, rows=sample.rows, bounds=(0.0, 1.0), biased=0.0, drawn=sample.method
        )
        if measured is not None:
            found["f1"] = measured
    return found
