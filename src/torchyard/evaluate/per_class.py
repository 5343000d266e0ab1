"""How the rows of each class are answered: counts, three metrics, what is mistaken for what.

Only of tasks with many classes: a binary report's own metrics are those of its second class.
"""

from __future__ import annotations

import numpy as np

from torchyard.evaluate.bootstrap import Resampled, Vector, method_text
from torchyard.evaluate.class_metrics import f1s
from torchyard.evaluate.class_tally import ClassTally
from torchyard.evaluate.intervals import exact, percentile
from torchyard.evaluate.sample import Floats, Sample, answers
from torchyard.records.evidence import ClassResult, Measured
from torchyard.records.schema import Task

MOST_CONFUSED = 50  # classes; a larger matrix is more than a report should carry
_EXACT = "exact binomial (Clopper-Pearson)"


def class_vectors(task: Task) -> dict[str, Vector]:
    """What to take of a sample's resamples so that ``class_results`` can be told."""
    return {} if task.is_binary else {"f1": f1s}


def class_results(task: Task, sample: Resampled) -> tuple[ClassResult, ...]:
    """Precision, recall and F1 of every class of a resampled sample; none for a binary task.

    Precision and recall have exact intervals, F1 one by the resamples. What is undefined for a
    class (no row has it, or none is answered with it) is absent.
    """
    if task.is_binary:
        return ()
    tally: ClassTally = sample.tally
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

    Empty with more than 50 classes.

    Example:
        >>> task = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> confusion(Sample(task=task, truth=np.array([True, True, False]), probabilities=np.array(
        ...     [[.1, .9], [.8, .2], [.7, .3]])))
        ((1, 0), (1, 1))
    """
    classes = len(sample.task.classes)
    if classes > MOST_CONFUSED:
        return ()
    cells = sample.truth.astype(np.int64) * classes + answers(sample.task, sample.probabilities)
    counts = np.bincount(cells, minlength=classes * classes).reshape(classes, classes)
    return tuple(tuple(int(rows) for rows in row) for row in counts)


def _metrics(sample: Resampled, tally: ClassTally, place: int) -> dict[str, Measured]:
    hits, rows = float(tally.hits[place]), sample.rows
    found = {
        "precision": _share(hits, float(tally.answered[place]), rows),
        "recall": _share(hits, float(tally.members[place]), rows),
        "f1": _f1(sample, place),
    }
    return {name: one for name, one in found.items() if one is not None}


def _share(hits: float, trials: float, rows: int) -> Measured | None:
    if trials == 0:
        return None
    low, high = exact(hits=hits, trials=trials)
    return Measured(value=hits / trials, low=low, high=high, rows=rows, method=_EXACT)


def _f1(sample: Resampled, place: int) -> Measured | None:
    value = float(sample.vectors["f1"][place])
    if np.isnan(value):
        return None
    drawn: Floats = sample.vector_samples["f1"][:, place]
    interval = percentile(drawn, value=value, bounds=(0.0, 1.0), biased=False)
    if interval is None:
        return None
    method = method_text(sample.resamples, biased=False)
    return Measured(value=value, low=interval[0], high=interval[1], rows=sample.rows, method=method)
