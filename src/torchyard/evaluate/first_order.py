"""Counts of two classes whose weights are pending: the order of rows as sums over them.

What depends on the order of all probabilities is no sum over rows. Its derivative by the weight of
each row is known, though, and moves with the weights as it does but for terms that vanish with the
number of rows: of the AUROC the placements of DeLong et al. 1988, of precisions the influence of a
row on every precision below it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from torchyard.evaluate.pending import Pending
from torchyard.evaluate.sample import Floats, Indices

if TYPE_CHECKING:
    from torchyard.evaluate.tally import Tally


@dataclass(frozen=True)
class FirstOrder:
    """Pending weights of a tally, and the tally of the sample itself.

    Attributes:
        positive: weights of the positive rows at each probability.
        negative: those of the negative rows.
        sample: what is resampled.
    """

    positive: Pending
    negative: Pending
    sample: Tally

    def total(self, if_positive: Floats, if_negative: Floats) -> Floats:
        """The sum over rows of numbers of each probability, ``[cells]``: one column for both."""
        return self.positive.ledger.total(
            lambda: self.positive.of_rows(if_positive) + self.negative.of_rows(if_negative)
        )

    def per_bin(self, if_positive: Floats, if_negative: Floats, edges: Indices) -> Floats:
        """The same within each bin, ``[..., bins]``; ``edges [bins + 1]`` stay the sample's."""
        bins = edges.size - 1
        bin_of = np.repeat(np.arange(bins), np.diff(edges))
        return self.positive.ledger.total(
            lambda: (
                self.positive.spread(if_positive, bin_of, bins)
                + self.negative.spread(if_negative, bin_of, bins)
            )
        )

    def twice_the_wins(self) -> Floats:
        """Twice the pairs ranked rightly, by the placement of each row among the other class."""
        sample, half = self.sample, 0.5
        below, above = sample.negative_before, sample.positives - sample.positive_before
        of_positive = half * (below[:-1] + below[1:]) / max(1.0, float(sample.negatives))
        of_negative = half * (above[:-1] + above[1:]) / max(1.0, float(sample.positives))
        pairs = float(sample.positives * sample.negatives)
        area = half * float(sample.twice_the_wins) / max(1.0, pairs)
        positives, negatives = self.positive.sum(), self.negative.sum()
        won = negatives * (self.positive @ of_positive) + positives * (self.negative @ of_negative)
        return 2.0 * (won - positives * negatives * area)

    def precisions(self) -> Floats:
        """The sum of precisions: the derivative's, which it equals in the sample (Euler)."""
        precision = self.sample.precision_at
        chosen = self.sample.rows_before[-1] - self.sample.rows_before[:-1]
        per_row = self.sample.positive / np.maximum(chosen, 1.0)
        lowered = np.cumsum(per_row * precision)
        return self.total(precision + np.cumsum(per_row) - lowered, -lowered)
