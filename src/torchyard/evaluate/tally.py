"""Rows counted by what was predicted: all that any metric needs to know of a sample.

A metric does not care which rows it sees, only how much weight of either class lies at each
distinct probability. Sorting happens once; a resample of the rows is another pair of weights over
the same probabilities. Here are counts and sums, no metric.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from torchyard.core.errors import BadData

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Weights = npt.NDArray[np.float64] | npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]


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
        positive: weight of the positive rows, ``[..., cells]``, not negative.
        negative: weight of the negative rows, likewise.
    """

    scores: Scores
    positive: Weights
    negative: Weights

    @cached_property
    def positives(self) -> Floats:
        """Weight of all positive rows, ``[...]``."""
        return np.asarray(self.positive_before[..., -1], dtype=np.float64)

    @cached_property
    def negatives(self) -> Floats:
        """Weight of all negative rows, ``[...]``."""
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
        return _running(self.positive)

    @cached_property
    def negative_before(self) -> Weights:
        """Weight of the negative rows likewise, ``[..., cells + 1]``."""
        return _running(self.negative)

    @cached_property
    def rows_before(self) -> Weights:
        """Weight of the rows likewise, ``[..., cells + 1]``."""
        return self.positive_before + self.negative_before

    @cached_property
    def selected_positives(self) -> Floats:
        """Weight of the positive rows at or above the threshold, ``[...]``."""
        return self.positives - self.positive_before[..., self.scores.first_selected]

    @cached_property
    def selected_negatives(self) -> Floats:
        """Weight of the negative rows at or above the threshold, ``[...]``."""
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
        positive, negative = self._as_floats
        return np.asarray(positive @ if_positive + negative @ if_negative)

    @cached_property
    def _as_floats(self) -> tuple[Floats, Floats]:
        """Both weights as floats, which alone multiply fast."""
        return np.asarray(self.positive, np.float64), np.asarray(self.negative, np.float64)


def count(
    *, truth: Bools, probability: Floats, threshold: float = 0.5, weights: Floats | None = None
) -> Tally:
    """Count a sample.

    Args:
        truth: the labels, ``bool [rows]``.
        probability: of the positive class, ``[rows]``, from 0 to 1.
        threshold: rows at or above it are answered with the positive class.
        weights: how often each row counts, ``[rows]``, not negative; once when left out.

    Raises:
        BadData: shapes differ, labels are not boolean, or a probability is not one.

    Example:
        >>> seen = count(truth=np.array([True, False, True]), probability=np.array([.9, .2, .9]))
        >>> seen.scores.values.tolist(), seen.positive.tolist(), seen.negative.tolist()
        ([0.2, 0.9], [0.0, 2.0], [1.0, 0.0])
    """
    check_pair(truth=truth, probability=probability)
    scores, cells = sort(probability, threshold=threshold)
    size = scores.values.size
    ones = np.ones(truth.size) if weights is None else np.asarray(weights, dtype=np.float64)
    return Tally(
        scores=scores,
        positive=np.bincount(cells[truth], weights=ones[truth], minlength=size),
        negative=np.bincount(cells[~truth], weights=ones[~truth], minlength=size),
    )


def sort(probability: Floats, *, threshold: float) -> tuple[Scores, Indices]:
    """The distinct probabilities, rising, and the index of each row's among them, ``[rows]``."""
    values, cells = np.unique(np.asarray(probability, dtype=np.float64), return_inverse=True)
    return Scores(values=values, threshold=threshold), cells


def _running(weights: Weights) -> Weights:
    """Sums of everything before each place, and of everything: one more than ``weights``."""
    sums = np.zeros((*weights.shape[:-1], weights.shape[-1] + 1), dtype=weights.dtype)
    np.cumsum(weights, axis=-1, out=sums[..., 1:])
    return sums


def check_pair(*, truth: Bools, probability: Floats) -> None:
    """Refuse labels and probabilities that no metric can be computed from.

    Raises:
        BadData: shapes differ, labels are not boolean, or a probability is not one.
    """
    if truth.dtype != np.bool_:
        raise BadData(
            where="labels",
            found=f"values of type {truth.dtype}",
            expected="true or false",
            remedy="Compare the label column with its positive value.",
        )
    if truth.ndim != 1 or truth.shape != probability.shape:
        raise BadData(
            where="labels and probabilities",
            found=f"shapes {list(truth.shape)} and {list(probability.shape)}",
            expected="one label and one probability per row, both [rows]",
            remedy="Give the probability of the positive class alone.",
        )
    wrong = probability[~((probability >= 0.0) & (probability <= 1.0))]
    if wrong.size:
        raise BadData(
            where="probabilities",
            found=f"{wrong.size} outside 0 to 1, for example {wrong[:5].tolist()}",
            expected="numbers from 0 to 1",
            remedy="Give calibrated probabilities, not logits.",
        )
