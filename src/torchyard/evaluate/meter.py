"""Metrics of rows that come in pieces, from several machines, and are never held together.

A meter keeps what rows add up to, not rows: its size has a bound, and two meters make the one that
saw the rows of both. For intervals, which need rows, see ``bootstrap.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from torchyard.core.errors import BadUsage
from torchyard.evaluate.counting.meter_state import read_record, read_totals, write_totals
from torchyard.evaluate.counting.metered import METERED
from torchyard.evaluate.counting.sample import Sample, Truth
from torchyard.evaluate.counting.slack import slack_of
from torchyard.evaluate.counting.totals import Totals
from torchyard.evaluate.metrics.kinds import find, kind_of
from torchyard.records.schema import Task, TaskKind


class Meter:
    """The metrics of a task, computed over chunks and over workers.

    The same rows give the same numbers to the last bit, in whatever chunks and order they come and
    in whatever order meters are merged: sums are kept without rounding (``exact_sums``).

    They are those of ``kinds.compute`` but for its rounding (a relative 1e-12 or so): of losses,
    errors, decisions and coverage always. What depends on the order of rows is the same as long as
    there are at most ``ProbabilityGrid.most`` distinct probabilities (47,109 of each class up to
    16 classes, fewer of each beyond) or ``SizeGrid.most`` distinct sizes of errors (260,097). More
    fall together into that many cells: probabilities within 2^-10 of the lesser of ``p`` and
    ``1 - p`` count as equal (2^-4 from 1,024 classes on), and a median error is known to 2^-10 of
    itself. ``slack`` says of each metric how far it can be off for that: typically 1e-4 of an
    AUROC, 4e-4 of an average precision and 0.006 of an expected calibration error, of which it is
    usually off by less than a quarter.

    Its size: 32 bytes for each cell at most, so 1.5 MB for a binary task and for each class of
    others up to 16 classes, 30 MB up to a thousand and 24 kB for each class beyond, and 4.2 MB for
    a regression; and while it takes rows, some copies of that chunk.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> meters = [Meter(late), Meter(late)]
        >>> for meter, yes in zip(meters, (0.9, 0.2)):
        ...     meter.update(Sample(task=late, truth=np.array([yes > 0.5]),
        ...                         outputs=np.array([[1 - yes, yes]])))
        >>> meters[0].values(["accuracy"])
        {'accuracy': 1.0}
        >>> meters[0].merge(Meter.from_json(meters[1].to_json()))
        >>> meters[0].rows, meters[0].values(["auroc", "accuracy"])
        (2, {'auroc': 1.0, 'accuracy': 1.0})
    """

    def __init__(self, task: Task) -> None:
        """A meter that has seen no row."""
        self._task = task
        self._totals = METERED[task.kind].count(_no_rows(task))
        self._rows = 0

    @property
    def task(self) -> Task:
        """What is predicted."""
        return self._task

    @property
    def rows(self) -> int:
        """How many rows it saw."""
        return self._rows

    def update(self, sample: Sample) -> None:
        """Add rows.

        Raises:
            BadUsage: they are of another task.
            BadData: a number of a regression is beyond 1e38.
        """
        self._check_task(sample.task, what="rows")
        self._add(METERED[self._task.kind].count(sample), sample.rows)

    def merge(self, other: Meter) -> None:
        """Add the rows that another meter saw.

        Raises:
            BadUsage: it is of another task.
        """
        self._check_task(other._task, what="a meter")
        self._add(other._totals, other._rows)

    def values(self, metrics: Sequence[str] | None = None) -> dict[str, float]:
        """The metrics of all rows so far; one that is undefined on them is absent.

        Args:
            metrics: which; all of the task's kind when left out.

        Raises:
            BadProject: there is no such metric.
        """
        tally = self._tally()
        found = {
            name: float(find(name, task=self._task, where="metric").function(tally))
            for name in (kind_of(self._task).metrics if metrics is None else metrics)
        }
        return {name: value for name, value in found.items() if not np.isnan(value)}

    def slack(self, metrics: Sequence[str] | None = None) -> dict[str, float]:
        """How far each value can be from that of the rows themselves, 0 where it is exact.

        Arguments and refusals as of ``values``.
        """
        values = self.values(metrics)
        return {
            name: slack_of(name, value, totals=self._totals, tally=self._tally(), task=self._task)
            for name, value in values.items()
        }

    def to_json(self) -> dict[str, Any]:
        """What it knows as plain JSON values; counts and sums of rows, no row."""
        return write_totals(self._task, rows=self._rows, totals=self._totals)

    @staticmethod
    def from_json(value: Any) -> Meter:
        """The meter that ``to_json`` wrote, here or elsewhere.

        Raises:
            BadRecord: it is none, or what it counts does not fit together.
        """
        record = read_record(value)
        meter = Meter(record.task)
        meter._add(read_totals(record, empty=meter._totals), record.rows)
        return meter

    def _add(self, totals: Totals, rows: int) -> None:
        self._totals = self._totals.merged(totals)
        self._rows += rows

    def _tally(self) -> Any:
        return METERED[self._task.kind].tally(self._totals, self._task)

    def _check_task(self, task: Task, *, what: str) -> None:
        if task != self._task:
            raise BadUsage(
                where="meter",
                found=f"{what} of another task: {_differing(task, self._task)}",
                expected=f"the task that it was made for, '{self._task.label}'",
                remedy="Make a meter for each task, and for each threshold.",
            )


def _no_rows(task: Task) -> Sample:
    width = len(task.outputs)
    truths: dict[TaskKind, Truth] = {
        "binary_classification": np.empty(0, np.bool_),
        "multiclass_classification": np.empty(0, np.int64),
        "multilabel_classification": np.empty((0, width), np.bool_),
        "regression": np.empty(0, np.float64),
    }
    return Sample(task=task, truth=truths[task.kind], outputs=np.empty((0, width)))


def _differing(found: Task, expected: Task) -> str:
    """The first thing in which two tasks differ."""
    names = [one.name for one in fields(Task)]
    name = next(name for name in names if getattr(found, name) != getattr(expected, name))
    return f"{name} {getattr(found, name)!r}"
