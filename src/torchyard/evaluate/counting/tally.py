"""Rows of two classes counted by what was predicted: all that a metric needs to know of a sample.

A metric does not care which rows it sees, only how much weight of either class lies at each
distinct probability. Sorting happens once; a resample of the rows is another pair of weights over
the same probabilities. Here are counts and sums, no metric.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np

from torchyard.evaluate.counting.bins import between, cut, sum_per_bin
from torchyard.evaluate.counting.parts import running
from torchyard.evaluate.counting.sample import Floats, Indices, Sample, Sheet, Weights
from torchyard.evaluate.resampling.first_order import FirstOrder
from torchyard.evaluate.resampling.pending import Pending


class Scored(Protocol):
    """What metrics know of probabilities, rising: see ``Scores``."""

    @property
    def values(self) -> Floats:
        """The probabilities, ``[cells]``."""

    @property
    def first_selected(self) -> int:
        """The index of the lowest one that is at least the threshold."""

    @property
    def is_selected(self) -> Floats:
        """1 from the threshold on, else 0, at each."""

    @property
    def surprise_if_positive(self) -> Floats:
        """Nats lost by a positive row at each."""

    @property
    def surprise_if_negative(self) -> Floats:
        """Nats lost by a negative row at each."""

    @property
    def square_if_positive(self) -> Floats:
        """Squared error of a positive row at each."""

    @property
    def square_if_negative(self) -> Floats:
        """Squared error of a negative row at each."""


@dataclass(frozen=True)
class Scores:
    """The distinct probabilities of a sample, rising, and what is computed from them once.

    Attributes:
        values: ``float64 [cells]``, each from 0 to 1.
        threshold: rows at or above it are answered with the positive class.
    """

    values: Floats
    threshold: float

    @cached_property
    def first_selected(self) -> int:
        """The index of the lowest probability that is at least the threshold."""
        return int(np.searchsorted(self.values, self.threshold, side="left"))

    @cached_property
    def is_selected(self) -> Floats:
        """1 from the threshold on, else 0, at each probability."""
        return np.asarray(self.values >= self.threshold, dtype=np.float64)

    @cached_property
    def surprise_if_positive(self) -> Floats:
        """Nats lost by a positive row at each probability, clipped as scikit-learn does."""
        return -np.log(np.clip(self.values, np.finfo(np.float64).eps, 1.0))

    @cached_property
    def surprise_if_negative(self) -> Floats:
        """Nats lost by a negative row at each probability."""
        return -np.log(np.clip(1.0 - self.values, np.finfo(np.float64).eps, 1.0))

    @cached_property
    def square_if_positive(self) -> Floats:
        """Squared error of a positive row at each probability."""
        return np.square(1.0 - self.values)

    @cached_property
    def square_if_negative(self) -> Floats:
        """Squared error of a negative row at each probability."""
        return np.square(self.values)


@dataclass(frozen=True)
class Tally:
    """How much weight of either class lies at each probability.

    ``...`` stands for any leading axes, usually none (a sample) or one (its resamples). Resamples
    count in integers, whose running sums are several times faster than those of floats.

    Attributes:
        scores: the probabilities.
        positive: weight of the positive rows, ``[..., cells]``, not negative, or pending.
        negative: weight of the negative rows, likewise.
    """

    scores: Scored
    positive: Any
    negative: Any

    @cached_property
    def ahead(self) -> FirstOrder | None:
        """Its sums to first order where its weights are pending; else None."""
        if isinstance(self.positive, Pending) and isinstance(self.negative, Pending):
            # Not bound to this tally: a circle would keep its arrays long after their use.
            return FirstOrder(self.positive, self.negative, partial(Tally, self.scores))
        return None

    @cached_property
    def positives(self) -> Floats:
        """Weight of all positive rows, ``[...]``."""
        if self.ahead:
            return self.ahead.positives
        return np.asarray(self.positive_before[..., -1], dtype=np.float64)

    @cached_property
    def negatives(self) -> Floats:
        """Weight of all negative rows, ``[...]``."""
        if self.ahead:
            return self.ahead.negatives
        return np.asarray(self.negative_before[..., -1], dtype=np.float64)

    @cached_property
    def rows(self) -> Floats:
        """Weight of all rows, ``[...]``."""
        return self.positives + self.negatives

    @cached_property
    def positive_before(self) -> Weights:
        """Weight of the positive rows below each probability and, last, of all of them.

        ``[..., cells + 1]``; from index 1 on, the weight at or below each probability.
        """
        return running(self.positive)

    @cached_property
    def negative_before(self) -> Weights:
        """Weight of the negative rows likewise, ``[..., cells + 1]``."""
        return running(self.negative)

    @cached_property
    def rows_before(self) -> Weights:
        """Weight of the rows likewise, ``[..., cells + 1]``."""
        return self.positive_before + self.negative_before

    @cached_property
    def selected_positives(self) -> Floats:
        """Weight of the positive rows at or above the threshold, ``[...]``."""
        if self.ahead:
            return self.ahead.positive @ self.scores.is_selected
        return self.positives - self.positive_before[..., self.scores.first_selected]

    @cached_property
    def selected_negatives(self) -> Floats:
        """Weight of the negative rows at or above the threshold, ``[...]``."""
        if self.ahead:
            return self.ahead.negative @ self.scores.is_selected
        return self.negatives - self.negative_before[..., self.scores.first_selected]

    @cached_property
    def selected(self) -> Floats:
        """Weight of the rows at or above the threshold, ``[...]``."""
        return self.selected_positives + self.selected_negatives

    def total(self, *, if_positive: Floats, if_negative: Floats) -> Floats:
        """The sum over rows of a number that depends on class and probability, ``[...]``.

        Args:
            if_positive: the number of a positive row at each probability, ``[cells]``.
            if_negative: that of a negative row, ``[cells]``.
        """
        if self.ahead:
            return self.ahead.total(if_positive, if_negative)
        positive, negative = self._as_floats
        return np.asarray(positive @ if_positive + negative @ if_negative)

    @cached_property
    def twice_the_wins(self) -> Floats:
        """Twice the pairs of a positive and a negative row that are ranked rightly, ``[...]``.

        Equal probabilities win half.
        """
        if self.ahead:
            return self.ahead.twice_the_wins()
        before = self.negative_before
        return np.asarray(np.vecdot(self.positive, before[..., :-1] + before[..., 1:]), np.float64)

    @cached_property
    def precisions(self) -> Floats:
        """The sum, over the positive rows, of the precision at their probability, ``[...]``."""
        if self.ahead:
            return self.ahead.precisions()
        return np.asarray(np.vecdot(self.positive, self.precision_at), np.float64)

    @cached_property
    def precision_at(self) -> Floats:
        """Of the rows at or above each probability the share that is positive, ``[..., cells]``."""
        hits = self.positive_before[..., -1:] - self.positive_before[..., :-1]
        chosen = self.rows_before[..., -1:] - self.rows_before[..., :-1]
        # Where nothing is chosen there are no hits; the smallest float makes that 0, not 0/0.
        return np.asarray(hits / np.maximum(chosen, np.finfo(np.float64).tiny))

    @cached_property
    def gaps(self) -> Floats:
        """Predicted less observed positives in each of 15 equal-mass bins, ``[..., bins]``.

        Rows of one probability are never parted. Pending weights keep the sample's bins.
        """
        values = self.scores.values
        if self.ahead:
            return self.ahead.per_bin(values - 1.0, values)
        predicted = sum_per_bin((self.positive + self.negative) * values, self.edges)
        return predicted - between(self.positive_before, self.edges)

    @cached_property
    def bin_weights(self) -> Floats:
        """Weight of the rows in each of those bins, ``[..., bins]``."""
        if self.ahead:
            ones = np.ones_like(self.scores.values)
            return self.ahead.per_bin(ones, ones)
        return between(self.rows_before, self.edges)

    @cached_property
    def edges(self) -> Indices:
        """Where those bins begin and end among the probabilities, ``[..., bins + 1]``."""
        return cut(self.rows_before[..., 1:])

    @cached_property
    def _as_floats(self) -> tuple[Floats, Floats]:
        """Both weights as floats, which alone multiply fast."""
        return np.asarray(self.positive, np.float64), np.asarray(self.negative, np.float64)


def sheet(sample: Sample) -> Sheet[Tally]:
    """A binary sample made ready to be counted by its probabilities of the second class.

    Example:
        >>> from torchyard.records.schema import Task
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> seen = sheet(Sample(task=late, truth=np.array([True, False, True]),
        ...                     outputs=np.array([[.1, .9], [.8, .2], [.1, .9]]))).whole()
        >>> seen.scores.values.tolist(), seen.positive.tolist(), seen.negative.tolist()
        ([0.2, 0.9], [0.0, 2.0], [1.0, 0.0])
    """
    scores, cells = sort(sample.outputs[:, 1], threshold=sample.task.threshold)
    size = scores.values.size
    places = np.where(sample.truth, cells, cells + size)

    def tally(weights: Any) -> Tally:
        if isinstance(weights, Pending):
            return Tally(scores, weights.part(0, size), weights.part(size, 2 * size))
        return Tally(scores, weights[..., :size], weights[..., size:])

    return Sheet(places=places, cells=2 * size, tally=tally)


def sort(probability: Floats, *, threshold: float) -> tuple[Scores, Indices]:
    """The distinct probabilities, rising, and the index of each row's among them, ``[rows]``."""
    values, cells = np.unique(np.asarray(probability, dtype=np.float64), return_inverse=True)
    return Scores(values=values, threshold=threshold), cells
