"""How sure a quantile of some calls is, by their order alone."""

from __future__ import annotations

import math

import numpy as np

from torchyard.evaluate.counting.sample import Floats
from torchyard.evaluate.resampling.intervals import CONFIDENCE


def quantile_interval(values: Floats, share: float) -> tuple[float | None, float | None]:
    """The order statistics that hold a quantile with at least 95 %, whatever the distribution.

    The number of values below the quantile is binomial, so each end is a value at a binomial
    quantile (David and Nagaraja 2003, Order Statistics, section 7.1). The values must be
    independent; calls on a busy machine are so only roughly.

    Args:
        values: in any order, ``[values]``.
        share: of values below the quantile, above 0 and below 1.

    Returns:
        Its ends; None for one that so few values do not bound.

    Example:
        >>> quantile_interval(np.arange(1000.0), 0.99)
        (982.0, 996.0)
        >>> quantile_interval(np.arange(100.0), 0.99)
        (96.0, None)
    """
    from scipy.stats import binom

    ordered, rows = np.sort(values), values.size
    tail = (1.0 - CONFIDENCE) / 2.0
    # with at most `tail`, fewer than `first` values lie below it, or `last` or more
    first = int(binom.ppf(tail, rows, share))
    last = int(binom.ppf(1.0 - tail, rows, share)) + 1
    low = float(ordered[first - 1]) if first >= 1 else None
    high = float(ordered[last - 1]) if last <= rows else None
    return low, high


def least_for_quantile(share: float) -> int:
    """How few values bound a quantile above the middle from both sides.

    Example:
        >>> least_for_quantile(0.99)
        368
    """
    tail = (1.0 - CONFIDENCE) / 2.0
    return math.ceil(math.log(tail) / math.log(share))
