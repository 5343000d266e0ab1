"""Rows with a number counted: what metrics of a regression are made of.

A cell is a row. Errors are computed and sorted once; a resample is another set of weights. Here are
numbers per row and sums, no metric.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np

from torchyard.evaluate.counting.sample import Floats, Indices, Sample, Sheet
from torchyard.evaluate.resampling.pending import Pending, floats

# Where the median of a resample is looked for: that many standard deviations of its rank on either
# side of the sample's, at so many sizes.
_REACH, _PLACES = 6.0, 49


@dataclass(frozen=True)
class Predictions:
    """The rows of a sample and what is computed from their predictions once.

    Attributes:
        truth: ``float64 [rows]``, in the task's unit, as are the next three.
        value: what is predicted.
        low: where its interval begins.
        high: where it ends.
        coverage: the share of truths that intervals are meant to hold.
    """

    truth: Floats
    value: Floats
    low: Floats
    high: Floats
    coverage: float

    @cached_property
    def errors(self) -> Floats:
        """Prediction less truth, ``[rows]``."""
        return self.value - self.truth

    @cached_property
    def squares(self) -> Floats:
        """The square of each error, ``[rows]``."""
        return np.square(self.errors)

    @cached_property
    def absolute(self) -> Floats:
        """The size of each error, ``[rows]``."""
        return np.abs(self.errors)

    @cached_property
    def by_size(self) -> Indices:
        """Row numbers, the smallest error first."""
        return np.argsort(self.absolute, kind="stable")

    @cached_property
    def centred(self) -> Floats:
        """Truth less its median, which keeps the digits of sums of squares, ``[rows]``."""
        return self.truth - float(np.median(self.truth) if self.truth.size else 0.0)

    @cached_property
    def centred_squares(self) -> Floats:
        """Its square, ``[rows]``."""
        return np.square(self.centred)

    @cached_property
    def is_zero(self) -> Floats:
        """1 where the truth is 0, ``[rows]``."""
        return np.asarray(self.truth == 0.0, dtype=np.float64)

    @cached_property
    def relative(self) -> Floats:
        """The size of each error over that of the truth, 0 where the truth is 0, ``[rows]``."""
        size = np.abs(self.truth)
        return np.divide(self.absolute, size, out=np.zeros_like(size), where=size > 0)

    @cached_property
    def is_covered(self) -> Floats:
        """1 where the interval holds the truth, ``[rows]``."""
        return ((self.low <= self.truth) & (self.truth <= self.high)).astype(np.float64)

    @cached_property
    def widths(self) -> Floats:
        """How wide each interval is, ``[rows]``."""
        return self.high - self.low

    @cached_property
    def pinball(self) -> Floats:
        """The mean of the three quantile losses of each row, ``[rows]``."""
        tail = (1.0 - self.coverage) / 2.0
        asked = ((tail, self.low), (0.5, self.value), (1.0 - tail, self.high))
        losses = [_pinball(self.truth - quantile, level) for level, quantile in asked]
        return np.asarray(np.mean(losses, axis=0))


@dataclass(frozen=True)
class RegressionTally:
    """How much each row of a sample weighs.

    Attributes:
        predictions: the rows.
        weights: ``[..., rows]``, not negative, or pending; ``...`` stands for any leading axes.
    """

    predictions: Predictions
    weights: Any

    @cached_property
    def rows(self) -> Floats:
        """Weight of all rows, ``[...]``."""
        return np.asarray(self._floats.sum(axis=-1))

    @cached_property
    def covered(self) -> Floats:
        """Weight of the rows whose interval holds the truth, ``[...]``."""
        return self.total(self.predictions.is_covered)

    @cached_property
    def median_size(self) -> Floats:
        """The median size of an error, ``[...]``: the mean of the middle two of an even number."""
        rising = self.predictions.absolute[self.predictions.by_size]
        if isinstance(self.weights, Pending):
            return self._median_near(self.weights, rising)
        if not rising.size:
            return np.full(self.rows.shape, np.nan)
        up_to = np.cumsum(np.take(self._floats, self.predictions.by_size, axis=-1), axis=-1)
        half = 0.5 * up_to[..., -1:]
        # The tolerance finds a half that rounding has put beside itself.
        lower = (up_to < half * (1.0 - 1e-12)).sum(axis=-1)
        upper = (up_to <= half * (1.0 + 1e-12)).sum(axis=-1)
        last = rising.size - 1
        middle = rising[np.minimum(lower, last)] + rising[np.minimum(upper, last)]
        return np.where(self.rows > 0, 0.5 * middle, np.nan)

    def _median_near(self, weights: Pending, rising: Floats) -> Floats:
        """The median of pending weights: between sizes near the sample's own, linear between."""
        spread = _REACH * np.sqrt(rising.size) * np.linspace(-0.5, 0.5, _PLACES)
        places = np.clip(rising.size / 2 + spread, 0, rising.size - 1).astype(np.intp)
        sizes = np.unique(np.append(rising[places], np.median(rising)))
        sums = weights @ (self.predictions.absolute[:, None] <= sizes).astype(np.float64)
        shares = sums / self.rows[:, None]
        return np.array([np.interp(0.5, share, sizes) for share in shares])

    def total(self, of_row: Floats) -> Floats:
        """The sum over rows of a number ``[rows]`` that each has, ``[...]``."""
        return np.asarray(self._floats @ of_row)

    @cached_property
    def _floats(self) -> Any:
        """The weights as floats, which alone multiply fast."""
        return floats(self.weights)


def regression_sheet(sample: Sample) -> Sheet[RegressionTally]:
    """A regression's sample made ready to be counted.

    Example:
        >>> from torchyard.records.schema import Task
        >>> task = Task(kind="regression", label="price", classes=(), unit="EUR")
        >>> seen = regression_sheet(Sample(task=task, truth=np.array([1.0, 5.0]),
        ...                                outputs=np.array([[2., 0., 3.], [4., 3., 4.]]))).whole()
        >>> seen.predictions.errors.tolist(), float(seen.covered), float(seen.median_size)
        ([1.0, -1.0], 1.0, 1.0)
    """
    value, low, high = sample.outputs.T
    truth = cast(Floats, sample.truth)
    predictions = Predictions(truth, value, low, high, sample.task.coverage)
    return Sheet(
        places=np.arange(sample.rows),
        cells=sample.rows,
        tally=lambda weights: RegressionTally(predictions, weights),
    )


def _pinball(above: Floats, level: float) -> Floats:
    """What a quantile loses when the truth lies ``above`` it by so much."""
    return np.maximum(level * above, (level - 1.0) * above)
