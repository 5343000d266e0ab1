"""Live quality: what the metrics are on the rows whose labels have arrived."""

from __future__ import annotations

from typing import cast

import numpy as np

from torchyard.evaluate import Sample, measure
from torchyard.evaluate.counting.sample import Truth
from torchyard.evaluate.metrics.kinds import kind_of
from torchyard.monitor.windows import Traffic
from torchyard.pages.numbers import shown_number
from torchyard.records.measures import Measured
from torchyard.records.schema import Task

FEWEST_LABELS = 50


def live_quality(
    traffic: Traffic, task: Task, *, resamples: int, generator: np.random.Generator
) -> dict[str, Measured]:
    """Metrics with 95 % intervals of a window's labelled rows, those that the task's kind watches.

    Empty with fewer than 50 labels or, where labels are classes, with one class only (of several
    labels, where all rows have all of them or none): what could be computed from those would
    mislead.

    Args:
        traffic: the window.
        task: what is predicted.
        resamples: of the bootstrap.
        generator: draws the resamples.
    """
    if labelled_rows(traffic) < FEWEST_LABELS:
        return {}
    truth = cast(Truth, np.concatenate(traffic.truths))
    if not task.is_regression and np.unique(truth).size < 2:
        return {}
    sample = Sample(task=task, truth=truth, outputs=np.concatenate(traffic.outputs))
    return measure(sample, generator=generator, resamples=resamples, metrics=kind_of(task).live)


def worse_than(*, current: Measured, reference: Measured, metric: str, task: Task) -> bool:
    """Whether the whole interval lies on the worse side of the reference's whole interval.

    False where either has no interval or the metric has no better direction.
    """
    higher_is_better = kind_of(task).metrics[metric].higher_is_better
    if current.low is None or current.high is None:
        return False
    if reference.low is None or reference.high is None or higher_is_better is None:
        return False
    if higher_is_better:
        return current.high < reference.low
    return current.low > reference.high


def told(measured: Measured) -> str:
    """A number and its interval, for reading.

    Example:
        >>> told(Measured(value=12345.6, low=0.81, high=20000.0, rows=9, method="bootstrap"))
        '12,346 (0.81 to 20,000)'
    """
    value = shown_number(measured.value)
    if measured.low is None or measured.high is None:
        return value
    return f"{value} ({shown_number(measured.low)} to {shown_number(measured.high)})"


def labelled_rows(traffic: Traffic) -> int:
    """Rows whose label has arrived."""
    return sum(piece.shape[0] for piece in traffic.truths)
