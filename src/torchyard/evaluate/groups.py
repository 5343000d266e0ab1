"""Rows parted by the value of a field, each part measured alone.

A part that is too small is named but not measured: an interval from a handful of rows claims more
than they know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from torchyard.core.errors import BadData
from torchyard.evaluate.bootstrap import Resampled, bootstrap, measured
from torchyard.evaluate.metrics import METRICS
from torchyard.evaluate.tally import Bools, Floats, Indices, check_pair
from torchyard.records.evidence import GroupResult

Texts = npt.NDArray[np.str_]

MIN_ROWS = 100
MIN_PER_CLASS = 10


@dataclass(frozen=True, kw_only=True)
class Group:
    """The rows of one value. ``sample`` is None when they are too few; ``reason`` says so."""

    value: str
    rows: int
    positive: int
    sample: Resampled | None
    reason: str

    def result(self, field: str) -> GroupResult:
        """The group as a record, without metrics when it was too small to measure."""
        return GroupResult(
            field=field,
            value=self.value,
            rows=self.rows,
            positive=self.positive,
            metrics={} if self.sample is None else measured(self.sample),
        )


def part(
    *,
    truth: Bools,
    probability: Floats,
    threshold: float,
    labels: Texts,
    generator: Callable[[str], np.random.Generator],
    resamples: int,
    metrics: Sequence[str] = tuple(METRICS),
) -> tuple[Group, ...]:
    """Measure the rows of each value of a field.

    Args:
        truth: the labels, ``bool [rows]``.
        probability: of the positive class, ``[rows]``, from 0 to 1.
        threshold: rows at or above it are answered with the positive class.
        labels: the field's value in each row, ``str [rows]``.
        generator: makes the source of the draws for a value, so that one value's interval does not
            depend on which others there are.
        resamples: how many times each group's rows are drawn.
        metrics: which to measure.

    Returns:
        One group per value, in the values' order.

    Raises:
        BadData: labels, probabilities and values do not fit.
    """
    check_pair(truth=truth, probability=probability)
    _check_values(labels, truth)
    values, places = np.unique(labels, return_inverse=True)
    ends = np.cumsum(np.bincount(places, minlength=values.size))
    members = np.split(np.argsort(places, kind="stable"), ends[:-1]) if values.size else []

    def sample(value: str, rows: Indices) -> Resampled:
        return bootstrap(
            truth=truth[rows],
            probability=probability[rows],
            threshold=threshold,
            generator=generator(value),
            resamples=resamples,
            metrics=metrics,
        )

    return tuple(
        _group(str(value), truth[rows], partial(sample, str(value), rows))
        for value, rows in zip(values.tolist(), members, strict=True)
    )


def _group(value: str, truth: Bools, sample: Callable[[], Resampled]) -> Group:
    positive = int(truth.sum())
    reason = too_small(rows=truth.size, positive=positive)
    return Group(
        value=value,
        rows=truth.size,
        positive=positive,
        sample=None if reason else sample(),
        reason=reason,
    )


def too_small(*, rows: int, positive: int) -> str:
    """Why a group is too small to be measured, empty when it is not.

    Example:
        >>> too_small(rows=80, positive=20), too_small(rows=500, positive=50)
        ('80 rows', '')
    """
    if rows < MIN_ROWS:
        return f"{rows} rows"
    if positive < MIN_PER_CLASS:
        return f"{positive} positive rows"
    if rows - positive < MIN_PER_CLASS:
        return f"{rows - positive} negative rows"
    return ""


def _check_values(labels: Texts, truth: Bools) -> None:
    if labels.shape != truth.shape:
        raise BadData(
            where="group or slice values",
            found=f"shape {list(labels.shape)} beside {list(truth.shape)} labels",
            expected="one value per row",
            remedy="Take the values from the same rows as the labels.",
        )
