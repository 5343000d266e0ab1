"""What each row adds to a sum: numbers side by side, or one number at one of several places.

Kept small while there are many of them, and made into a block of ``float32`` a few rows at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from torchyard.evaluate.sample import Floats, Indices

Blocks = npt.NDArray[np.float32]
Rows = Indices | slice


@dataclass(frozen=True)
class Dense:
    """Numbers of rows about their means, so that float32 rounds what varies and no more.

    Attributes:
        values: number less its mean, ``float32 [rows, numbers]``.
        means: ``float64 [numbers]``.
    """

    values: Blocks
    means: Floats

    @classmethod
    def of(cls, numbers: Floats) -> Dense:
        """Numbers of each row, ``[rows, numbers]``."""
        means = numbers.mean(axis=0) if numbers.shape[0] else np.zeros(numbers.shape[1])
        return cls((numbers - means).astype(np.float32), means)

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return int(self.values.shape[1])

    def put(self, rows: Rows, into: Blocks) -> None:
        """Write some rows ``into [rows, width]``."""
        into[:] = self.values[rows]

    def totals(self) -> Floats:
        """The sums over all rows, ``[width]``."""
        rows = self.values.shape[0]
        return np.asarray(self.values.sum(axis=0, dtype=np.float64) + rows * self.means)


@dataclass(frozen=True)
class Spread:
    """One number of each row, at the row's place among several; 0 at the others.

    Attributes:
        values: ``float32 [rows]``.
        places: ``int [rows]``, each below ``width``.
        width: how many places there are.
    """

    values: Blocks
    places: npt.NDArray[np.integer[Any]]
    width: int

    @property
    def means(self) -> Floats:
        """Nothing is taken off: most numbers are 0."""
        return np.zeros(self.width)

    def put(self, rows: Rows, into: Blocks) -> None:
        """Write some rows ``into [rows, width]``."""
        into[:] = 0.0
        into[np.arange(into.shape[0]), self.places[rows]] = self.values[rows]

    def totals(self) -> Floats:
        """The sums over all rows, ``[width]``."""
        sums = np.bincount(self.places, weights=self.values, minlength=self.width)
        return sums.astype(np.float64)


Column = Dense | Spread
