"""What abstaining costs and brings: coverage, and quality on the rows that are answered.

El-Yaniv and Wiener 2010: of a classifier that may abstain two numbers are told together, coverage,
the share of rows that it answers, and selective risk, its risk on these rows alone. Which rows are
answered is said by whoever serves; here it is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from torchyard.evaluate.counting.sample import Sample
from torchyard.evaluate.metrics.kinds import kind_of
from torchyard.evaluate.resampling.bootstrap import measure
from torchyard.evaluate.resampling.intervals import as_share
from torchyard.records.abstaining import SelectiveQuality
from torchyard.records.measures import Measured
from torchyard.records.schema import Task, TaskKind

_METRICS: Mapping[TaskKind, tuple[str, ...]] = {
    "binary_classification": ("accuracy", "log_loss"),
    "multiclass_classification": ("accuracy", "log_loss"),
    "multilabel_classification": ("subset_accuracy", "log_loss"),
    "regression": ("mae", "rmse", "interval_coverage"),
}


def selective_metrics(task: Task) -> tuple[str, ...]:
    """The metrics that are taken of the answered rows alone."""
    return _METRICS[task.kind]


def measure_selective(
    sample: Sample, reasons: Sequence[str | None], *, seed: int = 0
) -> SelectiveQuality:
    """Coverage and quality of a model that abstains.

    Args:
        sample: all rows, with the answers to those that are not answered, too.
        reasons: why each row is not answered, None where it is.
        seed: of the draws for intervals.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> yes = np.where(np.arange(400) < 100, 0.55, 0.9)
        >>> rows = Sample(task=late, truth=np.arange(400) % 100 >= 20,
        ...               outputs=np.stack([1 - yes, yes], axis=1))
        >>> found = measure_selective(rows, ["unsure"] * 100 + [None] * 300)
        >>> found.coverage.value, found.abstained, round(found.answered["accuracy"].value, 2)
        (0.75, {'unsure': 100}, 0.8)
    """
    answered = np.flatnonzero([reason is None for reason in reasons])
    counted = Counter(reason for reason in reasons if reason is not None)
    return SelectiveQuality(
        abstained=dict(sorted(counted.items())),
        coverage=as_share(answered.size / sample.rows, trials=sample.rows, rows=sample.rows),
        answered=_measured(sample.of(answered), seed) if answered.size else {},
        everything=_measured(sample, seed),
    )


def outside_share(outside: Sequence[bool]) -> Measured:
    """The share of rows that are answered with a value that the task does not allow."""
    rows = len(outside)
    return as_share(sum(outside) / rows, trials=rows, rows=rows)


def _measured(sample: Sample, seed: int) -> dict[str, Measured]:
    if kind_of(sample.task).too_small(sample.rows, sample.classes):
        return {}
    return measure(
        sample, generator=np.random.default_rng(seed), metrics=selective_metrics(sample.task)
    )
