"""Weights that are not drawn yet: which sums of them are needed is written down first.

A million rows times a thousand resamples are too many weights to hold, but metrics need only sums
over them. So the metrics are computed twice by the same code. First with the sample's own sums,
while a ``Ledger`` writes down of which columns they are; then, when all those columns were summed
over all resamples in one pass, with what came out, in the same order.

What is no sum of the rows (the order of probabilities, a median) is replaced by sums that move with
the weights as it does, to first order: tallies do so where their weights are ``Pending``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from torchyard.evaluate.counting.sample import Floats, Indices
from torchyard.evaluate.resampling.columns import Column, Dense, Spread

Constant = TypeVar("Constant")


@dataclass
class Ledger:
    """The columns that sums are needed of and, once they are there, the sums.

    Attributes:
        rows: of the sample.
        columns: what was asked for.
    """

    rows: int
    columns: list[Column] = field(default_factory=list)
    _shapes: list[tuple[int, ...]] = field(default_factory=list)
    _constants: list[Any] = field(default_factory=list)
    _answers: Iterator[Floats] | None = None
    _told: Iterator[Any] | None = None

    def answer(self, sums: Floats) -> None:
        """From now on answer with ``sums [resamples, all numbers]``, from the first column on."""
        ends = np.cumsum([column.width for column in self.columns])
        parts = np.split(sums, ends[:-1], axis=1) if self.columns else []
        self._answers = iter(
            [part.reshape(-1, *shape) for part, shape in zip(parts, self._shapes, strict=True)]
        )
        self._told = iter(self._constants)
        self.columns = []

    def total(self, column: Callable[[], Floats | Spread]) -> Floats:
        """The sums of a column ``[rows, ...]``, made only where its sums are not there yet.

        Returns:
            ``[1, ...]``, the sample's own, while columns are written down; then ``[resamples,
            ...]``.
        """
        if self._answers is not None:
            return next(self._answers)
        found = column()
        shape = (found.width,) if isinstance(found, Spread) else found.shape[1:]
        kept = found if isinstance(found, Spread) else Dense.of(found.reshape(self.rows, -1))
        self.columns.append(kept)
        self._shapes.append(shape)
        return kept.totals().reshape(1, *shape)

    def once(self, make: Callable[[], Constant]) -> Constant:
        """What is true of the sample itself: made while columns are written down, then told."""
        if self._told is not None:
            return cast(Constant, next(self._told))
        self._constants.append(make())
        return cast(Constant, self._constants[-1])


@dataclass(frozen=True)
class Pending:
    """Weights of rows, or of cells in which rows count, in resamples that are not drawn yet.

    It stands where an array ``[resamples, cells]`` would, for sums alone.

    Attributes:
        ledger: where sums are asked for.
        rows: the row behind each entry, ``[entries]``.
        cells: the cell in which it counts, likewise.
        size: how many cells there are.
    """

    ledger: Ledger
    rows: Indices
    cells: npt.NDArray[np.integer[Any]]
    size: int

    @property
    def shape(self) -> tuple[int, int]:
        """As an array's; how many resamples there will be is told as 1."""
        return 1, self.size

    @cached_property
    def counts(self) -> Floats:
        """The sample's own weights, ``[cells]``."""
        counts = np.bincount(self.cells, minlength=self.size)
        return counts.astype(np.float64)

    def __matmul__(self, column: npt.NDArray[np.floating[Any]]) -> Floats:
        """The sums of ``column [cells]`` or ``[cells, numbers]``."""
        return self.total(lambda: column)

    def total(self, column: Callable[[], npt.NDArray[np.floating[Any]]]) -> Floats:
        """The same, of a column that is made only where its sums are not there yet."""
        return self.ledger.total(lambda: self.of_rows(column()))

    def sum(self, axis: int = -1) -> Floats:
        """The weight of all cells together."""
        return self.total(lambda: np.ones(self.size))

    def each(self) -> Floats:
        """The weight of each cell, where they are few and a row counts in one at most."""
        return self.ledger.total(
            lambda: spread(((self, np.ones(self.size)),), np.arange(self.size), self.size)
        )

    def part(self, start: int, end: int) -> Pending:
        """Some of the cells."""
        inside = (self.cells >= start) & (self.cells < end)
        return Pending(self.ledger, self.rows[inside], self.cells[inside] - start, end - start)

    def gathered(self, order: Indices, ends: Indices) -> Pending:
        """The rows gathered in groups: see ``parts.Parts``."""
        groups = np.repeat(np.arange(ends.size - 1), np.diff(ends))
        return Pending(self.ledger, order[ends[0] : ends[-1]], groups, ends.size - 1)

    def of_rows(self, column: npt.NDArray[np.floating[Any]]) -> Floats:
        """What each row has, by what its cells have, ``[rows]`` or ``[rows, numbers]``."""
        rows, width = self.ledger.rows, column.shape[1:]
        found = np.empty((rows, *width))
        for place in np.ndindex(*width):
            one = column[(slice(None), *place)][self.cells]
            found[(slice(None), *place)] = np.bincount(self.rows, weights=one, minlength=rows)
        return found


def pending(ledger: Ledger, places: Indices, cells: int) -> Pending:
    """The weights of rows that count in the cells ``places [rows]``."""
    return Pending(ledger, np.arange(places.size), places, cells)


def spread(parts: Sequence[tuple[Pending, Floats]], group: Indices, groups: int) -> Spread | Floats:
    """Numbers of cells at the place of their group, ``[rows, groups]``.

    Args:
        parts: weights that are pending, and the number of each of their cells, ``[cells]``.
        group: which one each cell is in, ``[cells]``.
        groups: how many there are.
    """
    rows = parts[0][0].ledger.rows
    if sum(one.rows.size for one, _ in parts) <= rows:  # a row is in one cell at most
        values = np.zeros(rows, np.float32)
        places = np.zeros(rows, np.min_scalar_type(groups))
        for one, numbers in parts:
            values[one.rows], places[one.rows] = numbers[one.cells], group[one.cells]
        return Spread(values, places, groups)
    found = np.zeros(rows * groups)
    for one, numbers in parts:
        places = one.rows * groups + group[one.cells]
        found += np.bincount(places, weights=numbers[one.cells], minlength=found.size)
    return found.reshape(-1, groups)


def counted(weights: Any) -> Floats:
    """Weights of few cells as numbers, ``[..., cells]``, drawn or not."""
    return weights.each() if isinstance(weights, Pending) else np.asarray(weights, np.float64)


def floats(weights: Any) -> Any:
    """Weights as floats, which alone multiply fast; as they are where they are pending."""
    return weights if isinstance(weights, Pending) else np.asarray(weights, np.float64)
