"""How many rows lie where on a line, in bounded memory.

Distinct places are kept as they are while they are few, and fall together into the cells of a fixed
grid once they are more than it has. Whether they did depends on the rows alone, never on the order
or the pieces in which they came. Here are counts, no metric.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from torchyard.evaluate.counting.sample import Bools, Floats
from torchyard.evaluate.counting.tally import Scores, Tally

Counts = npt.NDArray[np.int64]

BITS = 10  # after the leading one: what lies in one cell differs by a 1024th at most
_LEAST_BITS = 4
_MANTISSA = 23  # bits of a float32 after the leading one, and its exponents' zero:
_ZERO = 127
_OCTAVES = 23  # from 2^-24, where float32 probabilities near 1 end, to a half
FRACTION = 1 << 30  # sums of probabilities are kept in these parts


class Grid(Protocol):
    """Cells that a line is cut into."""

    @property
    def bits(self) -> int:
        """Places whose leading so many bits after the first are equal lie in one cell."""

    @property
    def most(self) -> int:
        """How many there are at most."""

    def cells(self, places: Floats) -> Floats:
        """The number of the cell that each place lies in, rising with it."""


@dataclass(frozen=True, slots=True)
class ProbabilityGrid:
    """Cells of probabilities, finer towards 0 and 1: see ``BITS``.

    The lesser of ``p`` and ``1 - p`` is cut to its leading ``bits + 1`` bits, so that a cell is at
    most ``2^-bits`` of it wide; below 2^-24 all is one cell. The threshold parts the cell that it
    lies in, so decisions stay exact.
    """

    threshold: float
    bits: int = BITS

    @property
    def most(self) -> int:
        """Both sides of a half, and one part more."""
        return 2 * self._side + 3

    @property
    def _side(self) -> int:
        return (_OCTAVES << self.bits) + 1

    def cells(self, places: Floats) -> Floats:
        """Even numbers below the threshold, odd ones from it on."""
        lesser = np.minimum(places, 1.0 - places)
        leading = _leading(lesser, self.bits) - ((_ZERO - _OCTAVES - 1) << self.bits) + 1
        side = np.maximum(leading, 0)
        cell = np.where(places <= 0.5, side, 2 * self._side + 1 - side)
        return np.asarray(2 * cell + (places >= self.threshold), np.float64)


@dataclass(frozen=True, slots=True)
class SizeGrid:
    """Cells of numbers from 0 on, each at most ``2^-bits`` of its least number wide."""

    bits: int = BITS

    @property
    def most(self) -> int:
        """As many as there are normal float32 numbers with so few bits, and 0."""
        return (254 << self.bits) + 1

    def cells(self, places: Floats) -> Floats:
        """0 below the smallest normal float32, and the last cell above the largest."""
        limits = np.finfo(np.float32)
        inside = np.clip(places, limits.smallest_normal, limits.max)
        cell = _leading(inside, self.bits) - (1 << self.bits) + 1
        return np.where(places < limits.smallest_normal, 0, cell).astype(np.float64)

    def centres(self, cells: Floats) -> Floats:
        """The middle of each cell: less than its width beside any number in it."""
        halves = (2 * (cells.astype(np.int64) - 1 + (1 << self.bits)) + 1) << (
            _MANTISSA - self.bits - 1
        )
        middle = halves.astype(np.int32).view(np.float32).astype(np.float64)
        return np.where(cells > 0, middle, 0.0)


@dataclass(frozen=True)
class Cells:
    """What was counted at each place, or in each cell of the grid.

    Attributes:
        grid: what places are cut into once they are more than it has cells.
        is_coarse: whether they were.
        keys: the places, or numbers of cells, with anything in them, rising, ``[cells]``.
        counts: what was counted there, ``int64 [cells, counts]``.
    """

    grid: Grid
    is_coarse: bool
    keys: Floats
    counts: Counts

    @classmethod
    def of(cls, places: Floats, counts: Counts, *, grid: Grid) -> Self:
        """Rows at ``places [rows]``, where each counts so much, ``[rows, counts]``."""
        return cls(grid, False, *_gathered(places + 0.0, counts))._bounded()

    def merged(self, other: Self) -> Self:
        """Together with what was counted on the same grid."""
        if self.is_coarse != other.is_coarse:
            return self._coarse().merged(other._coarse())
        keys = np.concatenate([self.keys, other.keys])
        counts = np.concatenate([self.counts, other.counts])
        return type(self)(self.grid, self.is_coarse, *_gathered(keys, counts))._bounded()

    def _bounded(self) -> Self:
        return self._coarse() if self.keys.size > self.grid.most else self

    def _coarse(self) -> Self:
        if self.is_coarse:
            return self
        keys, counts = _gathered(self.grid.cells(self.keys), self.counts)
        return replace(self, is_coarse=True, keys=keys, counts=counts)


def question(is_so: Bools, probability: Floats, *, threshold: float, classes: int = 1) -> Cells:
    """Rows by the probability of a yes: how many are none, how many are, and its sum.

    Args:
        is_so: the truth, ``[rows]``.
        probability: of a yes, ``[rows]``.
        threshold: rows at or above it are answered with yes.
        classes: how many such questions there are; beyond 16 each gets fewer cells.
    """
    parts = np.rint(probability * FRACTION).astype(np.int64)
    counts = np.stack([~is_so, is_so, parts], axis=1, dtype=np.int64)
    return Cells.of(probability, counts, grid=ProbabilityGrid(threshold, bits_for(classes)))


def bits_for(classes: int) -> int:
    """The bits of a grid of which there is one for each class: 10 to 16 classes, 4 from 1,024 on.

    Example:
        >>> bits_for(1), bits_for(16), bits_for(17), bits_for(1000)
        (10, 10, 9, 4)
    """
    return max(_LEAST_BITS, BITS - max(0, classes - 1).bit_length() + 4 if classes > 16 else BITS)


def as_tally(cells: Cells, *, threshold: float) -> Tally:
    """The rows of a ``question``, each at the mean probability of its cell."""
    negative, positive, parts = cells.counts.T
    values = cells.keys
    if cells.is_coarse:
        means = parts / (FRACTION * np.maximum(negative + positive, 1).astype(np.float64))
        # Rounding must not carry a mean across the threshold, which parts even from odd cells.
        below = np.minimum(means, np.nextafter(threshold, -1.0))
        values = np.where(cells.keys % 2 == 1, np.maximum(means, threshold), below)
        values = np.maximum.accumulate(np.clip(values, 0.0, 1.0))
    scores = Scores(values=values, threshold=threshold)
    return Tally(scores, positive.astype(np.float64), negative.astype(np.float64))


def _leading(numbers: Floats, bits: int) -> Counts:
    """Exponent and leading bits of numbers that are not negative, as one whole number."""
    single = np.ascontiguousarray(numbers, dtype=np.float32)
    return (single.view(np.int32) >> (_MANTISSA - bits)).astype(np.int64)


def _gathered(keys: Floats, counts: Counts) -> tuple[Floats, Counts]:
    """Equal keys as one, rising, their counts added."""
    if keys.size == 0:
        return keys, counts
    order = np.argsort(keys, kind="stable")
    rising = keys[order]
    starts = np.flatnonzero(np.append(True, rising[1:] != rising[:-1]))
    return rising[starts], np.add.reduceat(counts[order], starts, axis=0)
