"""Weights that are not drawn yet: which sums of them are needed is written down first.

A million rows times a thousand resamples are too many weights to hold, but metrics need only sums
over them. So the metrics are computed twice by the same code. First with the sample's own sums,
while a ``Ledger`` writes down of which columns they are; then, when all those columns were summed
over all resamples in one pass, with what came out, in the same order.

What is no sum of the rows (the order of probabilities, a median) is replaced by sums that move with
the weights as it does, to first order: tallies do so where their weights are ``Pending``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from torchyard.evaluate.poisson import Columns
from torchyard.evaluate.sample import Floats, Indices


@dataclass
class Ledger:
    """The columns that sums are needed of and, once they are there, the sums.

    Attributes:
        rows: of the sample.
        columns: what was asked for, ``float32 [rows, numbers]`` each.
    """

    rows: int
    columns: list[Columns] = field(default_factory=list)
    _shapes: list[tuple[int, ...]] = field(default_factory=list)
    _answers: Iterator[Floats] | None = None

    @property
    def width(self) -> int:
        """How many numbers all columns have."""
        return sum(column.shape[1] for column in self.columns)

    def answer(self, sums: Floats) -> None:
        """From now on answer with ``sums [resamples, all numbers]``, from the first column on."""
        ends = np.cumsum([column.shape[1] for column in self.columns])
        parts = np.split(sums, ends[:-1], axis=1) if self.columns else []
        self._answers = iter(
            [part.reshape(-1, *shape) for part, shape in zip(parts, self._shapes, strict=True)]
        )

    def total(self, column: Callable[[], Floats]) -> Floats:
        """The sums of a column ``[rows, ...]``, made only where its sums are not there yet.

        Returns:
            ``[1, ...]``, the sample's own, while columns are written down; then ``[resamples,
            ...]``.
        """
        if self._answers is not None:
            return next(self._answers)
        found = column()
        self.columns.append(found.reshape(self.rows, -1).astype(np.float32))
        self._shapes.append(found.shape[1:])
        return np.asarray(found.sum(axis=0, dtype=np.float64))[None]


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
    cells: Indices
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
        return self.ledger.total(lambda: self.of_rows(column))

    def sum(self, axis: int = -1) -> Floats:
        """The weight of all cells together."""
        return self @ np.ones(self.size)

    def each(self) -> Floats:
        """The weight of each cell, where they are few."""
        return self @ np.eye(self.size)

    def part(self, start: int, end: int) -> Pending:
        """Some of the cells."""
        inside = (self.cells >= start) & (self.cells < end)
        return Pending(self.ledger, self.rows[inside], self.cells[inside] - start, end - start)

    def gathered(self, order: Indices, ends: Indices) -> Pending:
        """The rows gathered in groups: see ``class_tally.Parts``."""
        groups = np.repeat(np.arange(ends.size - 1), np.diff(ends))
        return Pending(self.ledger, order[ends[0] : ends[-1]], groups, ends.size - 1)

    def spread(self, column: Floats, group: Indices, groups: int) -> Floats:
        """``column [cells]`` of rows at the place of its group ``[cells]``, ``[rows, groups]``."""
        places = self.rows * groups + group[self.cells]
        size = self.ledger.rows * groups
        found = np.bincount(places, weights=column[self.cells], minlength=size)
        return found.reshape(-1, groups).astype(np.float64, copy=False)

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


def counted(weights: Any) -> Floats:
    """Weights of few cells as numbers, ``[..., cells]``, drawn or not."""
    return weights.each() if isinstance(weights, Pending) else np.asarray(weights, np.float64)


def floats(weights: Any) -> Any:
    """Weights as floats, which alone multiply fast; as they are where they are pending."""
    return weights if isinstance(weights, Pending) else np.asarray(weights, np.float64)
