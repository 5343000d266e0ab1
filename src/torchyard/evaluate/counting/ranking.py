"""Rows in the order of a probability: what metrics of order and calibration need, in one pass.

For one class among several, whose rows are many times resampled: one order of all rows and running
sums over it serve them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from torchyard.evaluate.counting.bins import between, cut, sum_per_bin
from torchyard.evaluate.counting.parts import running, taken
from torchyard.evaluate.counting.sample import Bools, Floats, Indices, Weights


@dataclass(frozen=True)
class Ranking:
    """What order and calibration are told by; ``...`` stands for leading axes and classes.

    Attributes:
        wins: twice the pairs of a member and another row that are ranked rightly, ``[...]``; equal
            probabilities win half.
        precisions: the sum, over the members, of the precision at their rank, ``[...]``.
        gaps: predicted less observed members in each equal-mass bin, ``[..., bins]``.
    """

    wins: Floats
    precisions: Floats
    gaps: Floats

    @classmethod
    def stacked(cls, each: Sequence[Ranking]) -> Ranking:
        """Those of several classes, the last axis but that of bins."""
        return cls(
            wins=np.stack([one.wins for one in each], axis=-1),
            precisions=np.stack([one.precisions for one in each], axis=-1),
            gaps=np.stack([one.gaps for one in each], axis=-2),
        )


@dataclass(frozen=True)
class Rank:
    """Members among all rows, ordered by their probability.

    Attributes:
        order: all rows, the least probable first, ``[rows]``.
        rising: their probabilities, likewise.
        members: the rows of the class, likewise, ``[members]``.
        first: how many rows are less probable than each member; ``last``: or equally probable.
        first_member: how many members are less probable than each member.
        tie_end: how many rows are at most as probable as each row, in their order, ``[rows]``.
        members_before: how many members are before each place of that order, ``[rows + 1]``.
    """

    order: Indices
    rising: Floats
    members: Indices
    first: Indices
    last: Indices
    first_member: Indices
    tie_end: Indices
    members_before: Indices

    @classmethod
    def of(cls, probability: Floats, is_member: Bools) -> Rank:
        """Order the rows by ``probability [rows]``."""
        order = np.argsort(probability, kind="stable")
        is_own = is_member[order]
        members = order[is_own]
        rising, own = probability[order], probability[members]
        return cls(
            order=order,
            rising=rising,
            members=members,
            first=np.searchsorted(rising, own, side="left"),
            last=np.searchsorted(rising, own, side="right"),
            first_member=np.searchsorted(own, own, side="left"),
            tie_end=np.searchsorted(rising, rising, side="right"),
            members_before=np.append(0, np.cumsum(is_own)),
        )

    def sums(self, weights: Weights) -> Ranking:
        """Counted with ``weights [..., rows]``."""
        sorted_weights, own = taken(weights, self.order), taken(weights, self.members)
        up_to, own_up_to = running(sorted_weights), running(own)
        less, equal = up_to[..., self.first], up_to[..., self.last]
        # Among themselves the rows of the class are ranked half rightly, whatever their order.
        wins = np.vecdot(own, less + equal) - np.square(own_up_to[..., -1])
        hits = own_up_to[..., -1:] - own_up_to[..., self.first_member]
        precision = hits / np.maximum(up_to[..., -1:] - less, np.finfo(np.float64).tiny)
        return Ranking(
            np.asarray(wins, np.float64),
            np.asarray(np.vecdot(own, precision), np.float64),
            self._gaps(sorted_weights, up_to, own_up_to),
        )

    def _gaps(self, sorted_weights: Weights, up_to: Weights, own_up_to: Weights) -> Floats:
        edges = cut(up_to[..., 1:])
        if self.tie_end.size:  # rows of one probability are never parted
            edges[..., 1:] = self.tie_end[edges[..., 1:] - 1]
        predicted = sum_per_bin(sorted_weights * self.rising, edges)
        return predicted - between(own_up_to, self.members_before[edges])
