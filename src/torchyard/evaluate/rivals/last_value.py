"""What a model of rows in time must beat: what was true in the period before.

The forecast that any newspaper makes. It knows the labels of all earlier periods, of those that are
tested too, as whoever runs a model would by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from torchyard.core.errors import BadData
from torchyard.evaluate.calibrating.fitting import spread_of, with_spread
from torchyard.evaluate.counting.sample import Floats, Indices, Truth
from torchyard.records.schema import Task

Times = npt.NDArray[np.int64]

_DAY_US = 86_400_000_000
_PERIODS_US = tuple(days * _DAY_US for days in (1, 7, 30, 91, 365))
_ENOUGH_ROWS = 100  # of a usual period
_WEIGHT = 10.0  # rows that what is known of more rows counts like
_MISSING = np.iinfo(np.int64).min


def predict_last_value(
    task: Task, *, times: Times, truth: Truth, asked: Indices, entities: Any = None
) -> Floats:
    """Answer rows with the rates (of numbers: the mean) of the latest period before each one's.

    Periods are the shortest of a day, a week, 30, 91 and 365 days of which the usual one has 100
    rows. With ``entities`` it is the latest period that has rows of the same one. Few rows are
    drawn towards what is known of more (an entity towards everybody's last period, that towards
    all rows that are not asked), as if by ten of them.

    Args:
        task: what is predicted.
        times: of all rows, ``int64 [rows]``, microseconds; the smallest number where missing.
        truth: their labels, as in ``Sample``.
        asked: which rows are answered, by number; the others are known from the start.
        entities: what each row belongs to, ``[rows]``, for example a machine; one when left out.

    Returns:
        ``float64 [asked rows, outputs]``.

    Raises:
        BadData: there are no rows that are known from the start.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> times = np.repeat([0, 1, 2], 500) * 86_400_000_000
        >>> truth = np.arange(1500) % 10 < np.repeat([2, 8, 2], 500)
        >>> found = predict_last_value(late, times=times, truth=truth, asked=np.arange(1000, 1500))
        >>> round(float(found[0, 1]), 2)
        0.79
    """
    known = np.setdiff1d(np.arange(len(times)), asked)
    if not known.size:
        raise BadData(
            where="baseline last_value",
            found="no rows before the tested ones",
            expected="rows whose labels are known",
            remedy="Move the split's limits so that the training part holds rows.",
        )
    values = _values(task, truth)
    periods = _periods(times)
    overall = values[known].mean(axis=0)
    answers = _latest(_Keys(np.zeros_like(periods), periods), values, overall[None])
    if entities is not None:
        numbered = np.unique(entities, return_inverse=True)[1].astype(np.int64)
        answers = _latest(_Keys(numbered, periods), values, answers)
    if not task.is_regression:
        return _as_outputs(task, answers[asked])
    spread = spread_of(truth[known] - answers[known, 0], task)
    return with_spread(answers[asked, 0], spread)


@dataclass(frozen=True)
class _Keys:
    """What each row belongs to, and its period, ``int64 [rows]``."""

    entities: Times
    periods: Times

    @property
    def joined(self) -> Times:
        """One number for both, rising by entity, then by period."""
        return self.entities * (int(self.periods.max()) + 1) + self.periods


def _latest(keys: _Keys, values: Floats, prior: Floats) -> Floats:
    """The mean of the latest earlier period of the same entity, drawn towards ``prior``.

    ``[rows, numbers]``; the prior alone where there is none.
    """
    known, first, place, counts = np.unique(
        keys.joined, return_index=True, return_inverse=True, return_counts=True
    )
    sums = np.stack(
        [np.bincount(place, weights=column, minlength=known.size) for column in values.T], axis=1
    )
    before = np.maximum(place - 1, 0)
    has_one = (place > 0) & (keys.entities[first][before] == keys.entities)
    rows = np.where(has_one, counts[before], 0)[:, None]
    seen = np.where(has_one[:, None], sums[before], 0.0)
    return np.asarray((seen + _WEIGHT * prior) / (rows + _WEIGHT), dtype=np.float64)


def _periods(times: Times) -> Times:
    """The period of each row, from 0 on; a row without a time stands in the first."""
    present = times[times != _MISSING]
    start = int(present.min()) if present.size else 0
    since = np.where(times == _MISSING, 0, times - start)
    for length in _PERIODS_US:
        periods: Times = since // length
        usual = np.median(np.unique(periods, return_counts=True)[1])
        if usual >= _ENOUGH_ROWS:
            break
    return periods


def _values(task: Task, truth: Truth) -> Floats:
    """What is averaged of each row, ``[rows, numbers]``."""
    if task.is_multilabel:
        return truth.astype(np.float64)
    if task.is_binary or task.is_regression:
        return truth.astype(np.float64)[:, None]
    return np.eye(len(task.classes))[truth.astype(np.int64)]


def _as_outputs(task: Task, rates: Floats) -> Floats:
    return np.concatenate([1.0 - rates, rates], axis=1) if task.is_binary else rates
