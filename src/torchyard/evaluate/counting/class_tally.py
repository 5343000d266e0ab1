"""Rows of many classes counted: what metrics of a multiclass sample are made of.

A cell is a row: unlike two classes, many have no single order that rows could be gathered in.
Sorting and looking up happen once; a resample is another set of weights. Here are counts and sums,
no metric.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from torchyard.evaluate.counting.parts import Parts
from torchyard.evaluate.counting.question import Question, rankings
from torchyard.evaluate.counting.ranking import Ranking
from torchyard.evaluate.counting.sample import Bools, Floats, Sample, Sheet
from torchyard.evaluate.counting.tally import Tally
from torchyard.evaluate.resampling.pending import counted, floats

Labels = npt.NDArray[np.int64]


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
    def each(self) -> tuple[Question, ...]:
        """Each class as a question of its own."""
        return tuple(
            Question.of(self.truth == number, self.probabilities[:, number])
            for number in range(self.classes)
        )

    @cached_property
    def confidence(self) -> Question:
        """Whether the answered class is the right one, by its probability."""
        return Question.of(self.is_right, self.probabilities.max(axis=1))


@dataclass(frozen=True)
class ClassTally:
    """How much each row of a sample weighs.

    Attributes:
        scores: the rows.
        weights: ``[..., rows]``, not negative, or pending; ``...`` stands for any leading axes.
    """

    scores: ClassScores
    weights: Any

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
        """The largest probability of each row, and whether its class is the right one."""
        return self.scores.confidence.tally(self.weights)

    @cached_property
    def ranking(self) -> Ranking:
        """The rows of each class among all, by its probability, ``[..., classes]``."""
        return rankings(self.scores.each, self.weights)

    def total(self, of_row: Floats) -> Floats:
        """The sum over rows of a number ``[rows]`` that each has, ``[...]``."""
        return np.asarray(self._floats @ of_row)

    @cached_property
    def _floats(self) -> Any:
        """The weights as floats, which alone multiply fast."""
        return floats(self.weights)


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
