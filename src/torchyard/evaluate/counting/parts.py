"""Rows parted into numbered groups, to sum weights in each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from torchyard.evaluate.counting.sample import Indices, Weights
from torchyard.evaluate.resampling.pending import Pending

_SHORT = 1 << 15


@dataclass(frozen=True)
class Parts:
    """Rows by the group they are in.

    Attributes:
        order: row numbers group by group.
        ends: where each group begins in that order and, last, where the last one ends,
            ``[groups + 1]``.
    """

    order: Indices
    ends: Indices

    @classmethod
    def of(cls, groups: npt.NDArray[np.integer], *, count: int) -> Parts:
        """Parts by the group number of each row, ``[rows]``; negative ones are in no group."""
        # Short integers are sorted by their digits, many times faster.
        keys = groups.astype(np.int16) if count < _SHORT else groups
        order = np.argsort(keys, kind="stable")
        return cls(order, np.searchsorted(groups[order], np.arange(count + 1)))

    def sums(self, weights: Any) -> Any:
        """Sums of ``weights [..., rows]`` in each group, ``[..., groups]``."""
        if isinstance(weights, Pending):
            return weights.gathered(self.order, self.ends)
        up_to = running(taken(weights, self.order))
        return np.diff(up_to[..., self.ends], axis=-1)


def taken(weights: Weights, rows: Indices) -> Weights:
    """The weights of some rows, ``[..., rows]``, in their order."""
    return cast(Weights, np.take(weights, rows, axis=-1))


def running(weights: Weights) -> Weights:
    """Sums of everything before each place, and of everything: one more than ``weights``."""
    sums = np.zeros((*weights.shape[:-1], weights.shape[-1] + 1), dtype=weights.dtype)
    np.cumsum(weights, axis=-1, out=sums[..., 1:])
    return sums
