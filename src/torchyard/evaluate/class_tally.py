"""Rows of many classes counted: what metrics of a multiclass sample are made of.

A cell is a row: unlike two classes, many have no single order that rows could be gathered in.
Sorting and looking up happen once; a resample is another set of weights. Here are counts and sums,
no metric.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from torchyard.evaluate.pending import Pending, counted, floats
from torchyard.evaluate.sample import Bools, Floats, Indices, Sample, Sheet, Weights
from torchyard.evaluate.tally import Scores, Tally, running

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Parts:
    """Rows parted into numbered groups, to sum weights in each of them.

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
        order = np.argsort(groups, kind="stable")
        return cls(order, np.searchsorted(groups[order], np.arange(count + 1)))

    def sums(self, weights: Any) -> Any:
        """Sums of ``weights [..., rows]`` in each group, ``[..., groups]``."""
        if isinstance(weights, Pending):
            return weights.gathered(self.order, self.ends)
        up_to = running(taken(weights, self.order))
        return np.diff(up_to[..., self.ends], axis=-1)


@dataclass(frozen=True)
class Rank:
    """Rows of one class among all rows, ordered by that class's probability.

    Attributes:
        order: all rows, the least probable first, ``[rows]``.
        members: the rows of the class, likewise, ``[members]``.
        first: how many rows are less probable than each member; ``last``: or equally probable.
        first_member: how many members are less probable than each member.
    """

    order: Indices
    members: Indices
    first: Indices
    last: Indices
    first_member: Indices

    @classmethod
    def of(cls, probability: Floats, is_member: Bools) -> Rank:
        """Order the rows by ``probability [rows]``."""
        order = np.argsort(probability, kind="stable")
        members = order[is_member[order]]
        rising, own = probability[order], probability[members]
        return cls(
            order=order,
            members=members,
            first=np.searchsorted(rising, own, side="left"),
            last=np.searchsorted(rising, own, side="right"),
            first_member=np.searchsorted(own, own, side="left"),
        )


def taken(weights: Weights, rows: Indices) -> Weights:
    """The weights of some rows, ``[..., rows]``, in their order."""
    return cast(Weights, np.take(weights, rows, axis=-1))


@dataclass(frozen=True)
class ClassScores:
    """The rows of a sample and what is computed from their probabilities once.

    Attributes:
        truth: the class of each row, ``int64 [rows]``.
        probabilities: ``float64 [rows, classes]``.
    """

    truth: Labels
    probabilities: Floats

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(self.probabilities.shape[1])

    @cached_property
    def answered(self) -> Labels:
        """The class each row is answered with, the first of equals, ``int64 [rows]``."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @cached_property
    def is_right(self) -> Bools:
        """Whether each row is answered with its class, ``[rows]``."""
        return np.asarray(self.answered == self.truth)

    @cached_property
    def of_truth(self) -> Floats:
        """The probability of each row's own class, ``[rows]``."""
        return np.asarray(np.take_along_axis(self.probabilities, self.truth[:, None], axis=1)[:, 0])

    @cached_property
    def surprise(self) -> Floats:
        """Nats lost by each row, probabilities clipped as scikit-learn does, ``[rows]``."""
        return -np.log(np.clip(self.of_truth, np.finfo(np.float64).eps, 1.0))

    @cached_property
    def squares(self) -> Floats:
        """Squared differences of probability and outcome, summed over classes, ``[rows]``."""
        own = self.of_truth
        others = np.square(self.probabilities).sum(axis=1) - np.square(own)
        return np.asarray(np.square(1.0 - own) + np.maximum(others, 0.0))

    @cached_property
    def place_of_truth(self) -> Labels:
        """How many classes come before each row's own: more probable, or equal and earlier."""
        own = self.of_truth[:, None]
        earlier = np.arange(self.classes) < self.truth[:, None]
        before = (self.probabilities > own) | ((self.probabilities == own) & earlier)
        return np.asarray(before.sum(axis=1))

    @cached_property
    def by_truth(self) -> Parts:
        """Rows by their class."""
        return Parts.of(self.truth, count=self.classes)

    @cached_property
    def by_answer(self) -> Parts:
        """Rows by the class they are answered with."""
        return Parts.of(self.answered, count=self.classes)

    @cached_property
    def by_hit(self) -> Parts:
        """Rows that are answered rightly by their class; the others are in no part."""
        return Parts.of(np.where(self.is_right, self.truth, -1), count=self.classes)

    @cached_property
    def ranks(self) -> tuple[Rank, ...]:
        """Per class the order of all rows by its probability."""
        return tuple(
            Rank.of(np.ascontiguousarray(self.probabilities[:, number]), self.truth == number)
            for number in range(self.classes)
        )

    @cached_property
    def each(self) -> tuple[tuple[Scores, Parts, Parts], ...]:
        """Per class its distinct probabilities, rising, with its rows and the others at each."""
        return tuple(
            _asked(np.ascontiguousarray(self.probabilities[:, number]), self.truth == number)
            for number in range(self.classes)
        )

    @cached_property
    def confidences(self) -> tuple[Scores, Parts, Parts]:
        """The distinct largest probabilities, rising, with the right and the wrong rows at each."""
        return _asked(self.probabilities.max(axis=1), self.is_right)


@dataclass(frozen=True)
class ClassTally:
    """How much each row of a sample weighs.

    Attributes:
        scores: the rows.
        weights: ``[..., rows]``, not negative, or pending; ``...`` stands for any leading axes.
    """

    scores: ClassScores
    weights: Any

    @property
    def is_pending(self) -> bool:
        """Whether its sums are to first order."""
        return isinstance(self.weights, Pending)

    @cached_property
    def rows(self) -> Floats:
        """Weight of all rows, ``[...]``."""
        return np.asarray(self.weights.sum(axis=-1), dtype=np.float64)

    @cached_property
    def members(self) -> Floats:
        """Weight of each class's rows, ``[..., classes]``."""
        return counted(self.scores.by_truth.sums(self.weights))

    @cached_property
    def answered(self) -> Floats:
        """Weight of the rows that are answered with each class, ``[..., classes]``."""
        return counted(self.scores.by_answer.sums(self.weights))

    @cached_property
    def hits(self) -> Floats:
        """Weight of each class's rows that are answered rightly, ``[..., classes]``."""
        return counted(self.scores.by_hit.sums(self.weights))

    @cached_property
    def confidence(self) -> Tally:
        """The largest probability of each row, and whether its class is the right one.

        A question with two answers: what holds of the calibration of two classes holds of it.
        """
        scores, right, wrong = self.scores.confidences
        return Tally(scores, right.sums(self.weights), wrong.sums(self.weights))

    @cached_property
    def each(self) -> tuple[Tally, ...]:
        """The probability of each class, and whether it is the right one."""
        return tuple(
            Tally(scores, own.sums(self.weights), others.sums(self.weights))
            for scores, own, others in self.scores.each
        )

    @cached_property
    def twice_the_wins(self) -> Floats:
        """Per class twice the pairs that its probability ranks rightly, ``[..., classes]``.

        A pair is a row of the class and one of another; equal probabilities win half.
        """
        if self.is_pending:
            return np.stack([one.twice_the_wins for one in self.each], axis=-1)
        return np.stack([wins for wins, _ in self._ranked], axis=-1)

    @cached_property
    def precisions(self) -> Floats:
        """Per class the sum, over its rows, of the precision at their rank, ``[..., classes]``."""
        if self.is_pending:
            return np.stack([one.precisions for one in self.each], axis=-1)
        return np.stack([precision for _, precision in self._ranked], axis=-1)

    def total(self, of_row: Floats) -> Floats:
        """The sum over rows of a number ``[rows]`` that each has, ``[...]``."""
        return np.asarray(self._floats @ of_row)

    @cached_property
    def _floats(self) -> Any:
        """The weights as floats, which alone multiply fast."""
        return floats(self.weights)

    @cached_property
    def _ranked(self) -> list[tuple[Floats, Floats]]:
        """Both sums over ranks for each class: one pass over the rows serves them."""
        return [self._rank(rank) for rank in self.scores.ranks]

    def _rank(self, rank: Rank) -> tuple[Floats, Floats]:
        up_to = running(taken(self.weights, rank.order))
        own = taken(self.weights, rank.members)
        own_up_to = running(own)
        less, equal = up_to[..., rank.first], up_to[..., rank.last]
        # Among themselves the rows of the class are ranked half rightly, whatever their order.
        wins = np.vecdot(own, less + equal) - np.square(own_up_to[..., -1])
        hits = own_up_to[..., -1:] - own_up_to[..., rank.first_member]
        chosen = up_to[..., -1:] - less
        precision = hits / np.maximum(chosen, np.finfo(np.float64).tiny)
        return np.asarray(wins, np.float64), np.asarray(np.vecdot(own, precision), np.float64)


def class_sheet(sample: Sample) -> Sheet[ClassTally]:
    """A multiclass sample made ready to be counted.

    Example:
        >>> from torchyard.records.schema import Task
        >>> task = Task(kind="multiclass_classification", label="pet", classes=("a", "b", "c"))
        >>> seen = class_sheet(Sample(task=task, truth=np.array([0, 2, 2]), outputs=np.array(
        ...     [[.7, .2, .1], [.5, .2, .3], [.1, .1, .8]]))).whole()
        >>> seen.members.tolist(), seen.answered.tolist(), seen.hits.tolist()
        ([1.0, 0.0, 2.0], [2.0, 0.0, 1.0], [1.0, 0.0, 1.0])
    """
    scores = ClassScores(np.asarray(sample.truth, np.int64), sample.outputs)
    return Sheet(
        places=np.arange(sample.rows),
        cells=sample.rows,
        tally=lambda weights: ClassTally(scores, weights),
    )


def _asked(probability: Floats, is_so: Bools) -> tuple[Scores, Parts, Parts]:
    """The distinct probabilities, rising, with the rows at each where it is so and is not."""
    values, cells = np.unique(probability, return_inverse=True)
    yes, no = (
        Parts.of(np.where(chosen, cells, -1), count=values.size) for chosen in (is_so, ~is_so)
    )
    return Scores(values=values, threshold=0.0), yes, no
