"""Whether a variant decides as the module in PyTorch does, row by row.

A metric can stay as it is while many single answers change; whoever compares an answer with
yesterday's sees the change, not the metric.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from torchyard.core.errors import BadData
from torchyard.evaluate.counting.sample import Floats, Truth, answers
from torchyard.evaluate.judging.wording import number_text
from torchyard.evaluate.resampling.intervals import as_share
from torchyard.records.measures import Measured
from torchyard.records.schema import Task

TOLERANCE = 0.01  # of the labels' standard deviation: how far apart two numbers may be


def agreement(task: Task, *, outputs: Floats, yardstick: Floats, truth: Truth) -> Measured:
    """The share of rows that are answered alike, with its exact interval.

    The same class; of several labels a row, all of them; of a number, a value within a hundredth of
    the labels' standard deviation.

    Args:
        task: what is predicted.
        outputs: a variant's answers, ``float64 [rows, outputs]``.
        yardstick: those of the module in PyTorch to the same rows.
        truth: the labels of these rows; only their deviation counts, and only for numbers.

    Raises:
        BadData: there are no rows, or the two answer different ones.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> one = np.array([[0.2, 0.8], [0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
        >>> other = np.array([[0.3, 0.7], [0.9, 0.1], [0.4, 0.6], [0.3, 0.7]])
        >>> agreement(late, outputs=other, yardstick=one, truth=np.array([True] * 4)).value
        0.75
    """
    if outputs.shape != yardstick.shape or not len(outputs):
        raise BadData(
            where="agreement",
            found=f"answers of shapes {list(outputs.shape)} and {list(yardstick.shape)}",
            expected="answers of both to the same rows, one row at least",
            remedy="Let both models answer the same rows.",
        )
    rows = len(outputs)
    if task.is_regression:
        within = TOLERANCE * float(np.std(truth))
        alike = np.abs(outputs[:, 0] - yardstick[:, 0]) <= within
        share = as_share(float(alike.mean()), trials=rows, rows=rows)
        unit = f" {task.unit}" if task.unit else ""
        return replace(share, method=f"{share.method}, within {number_text(within)}{unit}")
    same = answers(task, outputs) == answers(task, yardstick)
    alike = same.reshape(rows, -1).all(axis=1)
    return as_share(float(alike.mean()), trials=rows, rows=rows)
