"""Tallies of rows that are not there any more: what metrics ask, answered from totals.

Each answers what the tally of its kind does. Where a metric asks for the sum over rows of some
column, what stands for that column is 1 at the sum's own place and 0 elsewhere. Here is no metric.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from torchyard.evaluate.counting.cells import SizeGrid, as_tally
from torchyard.evaluate.counting.exact_sums import as_float, spread
from torchyard.evaluate.counting.question import ranking_of
from torchyard.evaluate.counting.ranking import Ranking
from torchyard.evaluate.counting.regression_tally import Predictions, RegressionTally
from torchyard.evaluate.counting.sample import Floats
from torchyard.evaluate.counting.tally import Scored, Tally
from torchyard.evaluate.counting.totals import Totals
from torchyard.records.schema import Task

LABEL_SUMS = ("is_exact", "wrong_share", "surprise", "squares", "gap", "ranking_precision")
NUMBER_SUMS = ("errors", "absolute", "relative", "pinball", "widths")


def binary_sums(totals: Totals, task: Task) -> Tally:
    """What ``Tally`` knows of rows, from their totals."""
    tally = as_tally(totals.cells["class 1"], threshold=task.threshold)
    rows = max(1.0, float(tally.rows))
    sums = {name: one / rows for name, one in totals.rounded.items()}
    scores = MeanScores(tally.scores, surprise=sums["surprise"], square=sums["squares"])
    return Tally(scores, tally.positive, tally.negative)


@dataclass(frozen=True)
class Summed:
    """Sums over rows, by name."""

    sums: Mapping[str, float]

    def column(self, name: str) -> Floats:
        """What stands for the column of which that is the sum."""
        return np.array([float(one == name) for one in self.sums])

    def total(self, column: Floats) -> Floats:
        """The sum over rows of what a column stands for."""
        return np.asarray(column @ np.array(list(self.sums.values())))


@dataclass(frozen=True)
class MeanScores:
    """Probabilities whose losses are known on average: ``Scored``."""

    scores: Scored
    surprise: float
    square: float

    @property
    def values(self) -> Floats:
        """As of ``scores``, as are the next two."""
        return self.scores.values

    @property
    def first_selected(self) -> int:
        """The first at the threshold."""
        return self.scores.first_selected

    @property
    def is_selected(self) -> Floats:
        """1 from there on."""
        return self.scores.is_selected

    @property
    def surprise_if_positive(self) -> Floats:
        """The mean surprise everywhere, so that it adds up to its sum."""
        return np.full(self.values.shape, self.surprise)

    surprise_if_negative = surprise_if_positive

    @property
    def square_if_positive(self) -> Floats:
        """The mean squared error everywhere, likewise."""
        return np.full(self.values.shape, self.square)

    square_if_negative = square_if_positive


@dataclass(frozen=True)
class ClassSums:
    """What ``ClassTally`` knows of rows, from their totals."""

    totals: Totals

    @cached_property
    def rows(self) -> Floats:
        """How many."""
        return np.asarray(self.members.sum())

    @property
    def members(self) -> Floats:
        """Of each class, ``[classes]``."""
        return self.totals.counts["members"].astype(np.float64)

    @property
    def answered(self) -> Floats:
        """Those that are answered with each class, ``[classes]``."""
        return self.totals.counts["answered"].astype(np.float64)

    @property
    def hits(self) -> Floats:
        """Those of each class that are answered rightly, ``[classes]``."""
        return self.totals.counts["hits"].astype(np.float64)

    @property
    def classes(self) -> int:
        """How many there are."""
        return self.members.size

    @cached_property
    def each(self) -> tuple[Tally, ...]:
        """The probability of each class, and whether it is the right one."""
        return _each(self.totals, self.classes, threshold=0.0)

    @cached_property
    def confidence(self) -> Tally:
        """The largest probability, and whether its class is the right one."""
        return as_tally(self.totals.cells["confidence"], threshold=0.0)

    @property
    def ranking(self) -> Ranking:
        """The rows of each class among all, by its probability, ``[classes]``."""
        return Ranking.stacked([ranking_of(one) for one in self.each])

    @property
    def scores(self) -> ClassSums:
        """Itself: it stands for its rows, too."""
        return self

    @property
    def surprise(self) -> Floats:
        """Stands for that of each row, as do the next two."""
        return self._summed.column("surprise")

    @property
    def squares(self) -> Floats:
        """Of each row."""
        return self._summed.column("squares")

    @property
    def place_of_truth(self) -> Floats:
        """Of each row: beyond all places for the sums that are none."""
        places = np.arange(self.classes, dtype=np.float64)
        return np.concatenate([np.full(len(self.totals.sums), np.inf), places])

    def total(self, column: Floats) -> Floats:
        """The sum over rows of what a column stands for."""
        return self._summed.total(column)

    @cached_property
    def _summed(self) -> Summed:
        places = enumerate(self.totals.counts["places"].tolist())
        return Summed(self.totals.rounded | {str(place): rows for place, rows in places})


@dataclass(frozen=True)
class LabelSums:
    """What ``LabelTally`` knows of rows, from their totals."""

    totals: Totals
    threshold: float

    @property
    def rows(self) -> Floats:
        """How many."""
        return np.asarray(self.totals.counts["rows"][0], np.float64)

    @property
    def members(self) -> Floats:
        """Those that have each class, ``[classes]``."""
        return self.totals.counts["members"].astype(np.float64)

    @property
    def answered(self) -> Floats:
        """Those that are answered with each class, ``[classes]``."""
        return self.totals.counts["answered"].astype(np.float64)

    @property
    def hits(self) -> Floats:
        """Those that have a class and are answered with it, ``[classes]``."""
        return self.totals.counts["hits"].astype(np.float64)

    @cached_property
    def each(self) -> tuple[Tally, ...]:
        """Each class as a question with two answers."""
        return _each(self.totals, self.members.size, threshold=self.threshold)

    @property
    def ranking(self) -> Ranking:
        """The rows of each class among all, by its probability, ``[classes]``."""
        return Ranking.stacked([ranking_of(one) for one in self.each])

    @cached_property
    def pairs(self) -> Tally:
        """All pairs of a row and a class as one such question."""
        first, *others = self.totals.cells.values()
        for other in others:
            first = first.merged(other)
        return as_tally(first, threshold=self.threshold)

    @property
    def scores(self) -> LabelColumns:
        """What stands for the columns of the rows."""
        return LabelColumns(*map(self._summed.column, LABEL_SUMS))

    def total(self, column: Floats) -> Floats:
        """The sum over rows of what a column stands for."""
        return self._summed.total(column)

    @cached_property
    def _summed(self) -> Summed:
        return Summed(self.totals.rounded)


@dataclass(frozen=True)
class LabelColumns:
    """What stands for columns of ``LabelScores``."""

    is_exact: Floats
    wrong_share: Floats
    surprise: Floats
    squares: Floats
    gap: Floats
    ranking_precision: Floats


@dataclass(frozen=True)
class NumberSums:
    """What ``RegressionTally`` knows of rows, from their totals."""

    totals: Totals

    @property
    def rows(self) -> Floats:
        """How many."""
        return np.asarray(self.totals.counts["rows"][0], np.float64)

    @property
    def covered(self) -> Floats:
        """Those whose interval holds the truth."""
        return np.asarray(self.totals.counts["covered"][0], np.float64)

    @property
    def median_size(self) -> Floats:
        """The median size of an error, of the sizes or of the middles of their cells."""
        sizes = self.totals.cells["sizes"]
        keys = SizeGrid(sizes.grid.bits).centres(sizes.keys) if sizes.is_coarse else sizes.keys
        alone = Predictions(np.zeros_like(keys), keys, keys, keys, coverage=0.5)
        return RegressionTally(alone, sizes.counts[:, 0].astype(np.float64)).median_size

    @property
    def predictions(self) -> NumberColumns:
        """What stands for the columns of the rows."""
        return NumberColumns(**{name: self._summed.column(name) for name in self._summed.sums})

    def total(self, column: Floats) -> Floats:
        """The sum over rows of what a column stands for."""
        return self._summed.total(column)

    @cached_property
    def _summed(self) -> Summed:
        sums, rows = self.totals.sums, int(self.totals.counts["rows"][0])
        around = spread(squares=sums["truth_squares"], total=sums["truth"], rows=rows)
        found = {name: as_float(sums[name]) for name in (*NUMBER_SUMS, "squares")}
        zeros = float(self.totals.counts["is_zero"][0])
        return Summed(found | {"centred": 0.0, "centred_squares": around, "is_zero": zeros})


@dataclass(frozen=True)
class NumberColumns:
    """What stands for columns of ``Predictions``; truths are centred about their mean."""

    errors: Floats
    absolute: Floats
    relative: Floats
    pinball: Floats
    widths: Floats
    squares: Floats
    centred: Floats
    centred_squares: Floats
    is_zero: Floats


def _each(totals: Totals, classes: int, *, threshold: float) -> tuple[Tally, ...]:
    return tuple(
        as_tally(totals.cells[f"class {place}"], threshold=threshold) for place in range(classes)
    )
