"""Count, extremes, mean and standard deviation of any number of values, part by part."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, sqrt

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """What is known of some finite numbers; parts are added as in Chan, Golub and LeVeque 1979.

    ``squares`` is the sum of squared differences from the mean; infinite where it is too large.

    Example:
        >>> both = moments_of(np.array([1.0, 2.0])).plus(moments_of(np.array([6.0])))
        >>> both.rows, both.mean, round(both.standard_deviation, 3)
        (3, 3.0, 2.16)
    """

    rows: int = 0
    minimum: float = inf
    maximum: float = -inf
    mean: float = 0.0
    squares: float = 0.0
    zeros: int = 0
    negative: int = 0

    def plus(self, other: Moments) -> Moments:
        """Of both sets of numbers together."""
        if not other.rows or not self.rows:
            return self if self.rows else other
        rows = self.rows + other.rows
        share = self.rows / rows
        with np.errstate(over="ignore"):
            gap = np.float64(other.mean) - np.float64(self.mean)
            between = float(gap * gap * share * other.rows)
        # Weighted, not by the gap: the difference of two huge means is infinite.
        mean = self.mean * share + other.mean * (1 - share)
        minimum, maximum = min(self.minimum, other.minimum), max(self.maximum, other.maximum)
        return Moments(
            rows=rows,
            minimum=minimum,
            maximum=maximum,
            mean=min(max(mean, minimum), maximum),
            squares=self.squares + other.squares + between,
            zeros=self.zeros + other.zeros,
            negative=self.negative + other.negative,
        )

    @property
    def standard_deviation(self) -> float | None:
        """Divided by the number of values; None without values and where it is too large."""
        if not self.rows or not isfinite(self.squares):
            return None
        return sqrt(self.squares / self.rows)


def moments_of(values: Floats) -> Moments:
    """The moments of finite numbers of any shape."""
    if not values.size:
        return Moments()
    values = values.astype(np.float64, copy=False)
    minimum, maximum = float(values.min()), float(values.max())
    # Divided before summed: the sum of huge numbers is infinite.
    mean = min(max(float((values / values.size).sum()), minimum), maximum)
    with np.errstate(over="ignore"):
        squares = float(np.square(values - mean).sum())
    return Moments(
        rows=values.size,
        minimum=minimum,
        maximum=maximum,
        mean=mean,
        squares=squares,
        zeros=int(values.size - np.count_nonzero(values)),
        negative=int(np.count_nonzero(values < 0)),
    )
