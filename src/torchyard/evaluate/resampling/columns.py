"""What each row adds to a sum: numbers side by side, or one number at one of several places.

Kept small, for there are many of them; multiplied with weights a few rows at a time, in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from torchyard.evaluate.counting.sample import Floats, Indices

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

    def totals(self) -> Floats:
        """The sums over all rows, ``[width]``."""
        sums = np.bincount(self.places, weights=self.values, minlength=self.width)
        return sums.astype(np.float64)


Column = Dense | Spread


@dataclass(frozen=True)
class Columns:
    """All columns of a model, those of either sort together: each sort is one product.

    Attributes:
        dense: the dense ones.
        spread: the others.
        order: where each number, in the order asked for, is among those of both.
    """

    dense: tuple[Dense, ...]
    spread: tuple[Spread, ...]
    order: Indices

    @classmethod
    def of(cls, columns: Sequence[Column]) -> Columns:
        """Columns in the order asked for."""
        is_dense = np.array([isinstance(one, Dense) for one in columns], np.bool_)
        widths = np.array([one.width for one in columns], np.intp)
        sorted_order = np.repeat(~is_dense, widths).argsort(kind="stable")
        return cls(
            dense=tuple(one for one in columns if isinstance(one, Dense)),
            spread=tuple(one for one in columns if isinstance(one, Spread)),
            order=np.argsort(sorted_order, kind="stable"),
        )

    @property
    def width(self) -> int:
        """How many numbers they have together."""
        return self.order.size

    @property
    def means(self) -> Floats:
        """What was taken off each number, those of either sort together."""
        columns: tuple[Column, ...] = (*self.dense, *self.spread)
        return np.concatenate([np.zeros(0), *(one.means for one in columns)])

    def sums(self, rows: Rows, weights: Blocks) -> Blocks:
        """Sums over some rows, those of either sort together, ``[width, resamples]``.

        Args:
            rows: which.
            weights: how often each of them counts, ``[rows, resamples]``.
        """
        found = [weights[:0]]
        if self.dense:
            block = np.concatenate([one.values[rows] for one in self.dense], axis=1)
            found.append(block.T @ weights)
        if self.spread:
            found.append(self._placed(rows, weights.shape[0]) @ weights)
        return np.concatenate(found)

    def _placed(self, rows: Rows, count: int) -> Any:
        """Numbers at their places, one of each column in each row: ``[width, rows]``, sparse."""
        from scipy.sparse import csc_array

        widths = [one.width for one in self.spread]
        values = np.stack([one.values[rows] for one in self.spread], axis=1)
        places = np.stack([one.places[rows] for one in self.spread], axis=1).astype(np.int32)
        places += np.cumsum([0, *widths[:-1]], dtype=np.int32)
        ends = np.arange(count + 1, dtype=np.int32) * np.int32(len(widths))
        return csc_array((values.ravel(), places.ravel(), ends), shape=(sum(widths), count))
