"""Counts of two classes whose weights are pending: the order of rows as sums over them.

What depends on the order of all probabilities is no sum over rows. Its derivative by the weight of
each row is known, though, and moves with the weights as it does but for terms that vanish with the
number of rows: of the AUROC the placements of DeLong et al. 1988, of precisions the influence of a
row on every precision below it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from torchyard.evaluate.counting.bins import BINS
from torchyard.evaluate.counting.sample import Floats, Indices
from torchyard.evaluate.resampling.pending import Pending, spread

if TYPE_CHECKING:
    from torchyard.evaluate.counting.tally import Tally


@dataclass(frozen=True)
class FirstOrder:
    """Pending weights of a tally.

    Attributes:
        positive: weights of the positive rows at each probability.
        negative: those of the negative rows.
        counted: makes a tally of weights of the positive and the negative rows.
    """

    positive: Pending
    negative: Pending
    counted: Callable[[Floats, Floats], Tally]

    @cached_property
    def sample(self) -> Tally:
        """The tally of what is resampled."""
        return self.counted(self.positive.counts, self.negative.counts)

    @cached_property
    def positives(self) -> Floats:
        """Weight of all positive rows, ``[...]``."""
        return self.positive.sum()

    @cached_property
    def negatives(self) -> Floats:
        """Weight of all negative rows, ``[...]``."""
        return self.negative.sum()

    def total(self, if_positive: Floats, if_negative: Floats) -> Floats:
        """The sum over rows of numbers of each probability, ``[cells]``: one column for both."""
        return self._total(lambda: (if_positive, if_negative))

    def per_bin(self, if_positive: Floats, if_negative: Floats) -> Floats:
        """The same within each equal-mass bin of the sample, ``[..., bins]``."""

        def bin_of() -> Indices:
            return np.repeat(np.arange(BINS), np.diff(self.sample.edges))

        return self.positive.ledger.total(
            lambda: spread(
                ((self.positive, if_positive), (self.negative, if_negative)), bin_of(), BINS
            )
        )

    def twice_the_wins(self) -> Floats:
        """Twice the pairs ranked rightly, by the placement of each row among the other class."""
        area = self.positive.ledger.once(self._area)
        below, above = self.positive.total(self._below), self.negative.total(self._above)
        won = self.negatives * below + self.positives * above
        return 2.0 * (won - self.positives * self.negatives * area)

    def precisions(self) -> Floats:
        """The sum of precisions: the derivative's, which it equals in the sample (Euler)."""
        return self._total(self._influence)

    def _total(self, numbers: Callable[[], tuple[Floats, Floats]]) -> Floats:
        def column() -> Floats:
            if_positive, if_negative = numbers()
            return self.positive.of_rows(if_positive) + self.negative.of_rows(if_negative)

        return self.positive.ledger.total(column)

    def _below(self) -> Floats:
        """The share of the negative rows below each probability, ties counting half."""
        before = self.sample.negative_before
        return np.asarray(0.5 * (before[:-1] + before[1:])) / max(1.0, float(self.sample.negatives))

    def _above(self) -> Floats:
        """The share of the positive rows above each probability, ties counting half."""
        after = self.sample.positives - self.sample.positive_before
        return 0.5 * (after[:-1] + after[1:]) / max(1.0, float(self.sample.positives))

    def _area(self) -> float:
        pairs = float(self.sample.positives * self.sample.negatives)
        return 0.5 * float(self.sample.twice_the_wins) / max(1.0, pairs)

    def _influence(self) -> tuple[Floats, Floats]:
        """How far one row more, positive or negative, moves the sum of precisions."""
        precision = self.sample.precision_at
        chosen = self.sample.rows_before[-1] - self.sample.rows_before[:-1]
        per_row = self.sample.positive / np.maximum(chosen, 1.0)
        lowered: Floats = np.cumsum(per_row * precision)
        raised: Floats = precision + np.cumsum(per_row)
        return np.asarray(raised - lowered), np.asarray(-lowered)
