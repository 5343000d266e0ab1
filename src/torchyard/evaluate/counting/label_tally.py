"""Rows of any number of classes counted: what metrics of a multilabel sample are made of.

A cell is a row: its labels stand or fall together, so a resample draws whole rows. Sorting and
looking up happen once; a resample is another set of weights. Here are counts and sums, no metric.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from torchyard.evaluate.counting.question import Question, rankings
from torchyard.evaluate.counting.ranking import Ranking
from torchyard.evaluate.counting.sample import Bools, Floats, Sample, Sheet
from torchyard.evaluate.counting.tally import Tally
from torchyard.evaluate.resampling.pending import floats


@dataclass(frozen=True)
class LabelScores:
    """The rows of a sample and what is computed from their probabilities once.

    Attributes:
        truth: which classes each row has, ``bool [rows, classes]``.
        probabilities: ``float64 [rows, classes]``.
        threshold: rows are answered with the classes at or above it.
    """

    truth: Bools
    probabilities: Floats
    threshold: float

    @cached_property
    def answered(self) -> Bools:
        """Which classes each row is answered with, ``[rows, classes]``."""
        return np.asarray(self.probabilities >= self.threshold)

    @cached_property
    def is_exact(self) -> Floats:
        """1 where a row is answered with just its classes, else 0, ``[rows]``."""
        return np.asarray((self.answered == self.truth).all(axis=1), dtype=np.float64)

    @cached_property
    def wrong_share(self) -> Floats:
        """The share of the classes that each row is answered wrongly for, ``[rows]``."""
        return np.asarray((self.answered != self.truth).mean(axis=1))

    @cached_property
    def surprise(self) -> Floats:
        """Nats lost per class, the mean of each row, clipped as scikit-learn does, ``[rows]``."""
        of_truth = np.where(self.truth, self.probabilities, 1.0 - self.probabilities)
        lost = -np.log(np.clip(of_truth, np.finfo(np.float64).eps, 1.0))
        return np.asarray(lost.mean(axis=1))

    @cached_property
    def squares(self) -> Floats:
        """Squared difference of probability and outcome, the mean of each row, ``[rows]``."""
        return np.asarray(np.square(self.probabilities - self.truth).mean(axis=1))

    @cached_property
    def gap(self) -> Floats:
        """Probability less outcome, the mean of each row, ``[rows]``."""
        return np.asarray((self.probabilities - self.truth).mean(axis=1))

    @cached_property
    def ranking_precision(self) -> Floats:
        """The precision at each class that a row has, their mean; 1 where it has none, ``[rows]``.

        Classes of equal probability are counted in full, as scikit-learn does.
        """
        total = np.zeros(self.truth.shape[0])
        for place in range(self.truth.shape[1]):
            before = self.probabilities >= self.probabilities[:, [place]]
            own = (before & self.truth).sum(axis=1) / before.sum(axis=1)
            total += np.where(self.truth[:, place], own, 0.0)
        has = self.truth.sum(axis=1)
        return np.where(has > 0, total / np.maximum(has, 1), 1.0)

    @cached_property
    def pairs(self) -> Question:
        """All pairs of a row and a class as one question."""
        return Question.of(self.truth, self.probabilities, threshold=self.threshold)

    @cached_property
    def each(self) -> tuple[Question, ...]:
        """Each class as a question of its own."""
        return tuple(
            Question.of(self.truth[:, place], self.probabilities[:, place])
            for place in range(self.truth.shape[1])
        )


@dataclass(frozen=True)
class LabelTally:
    """How much each row of a sample weighs.

    Attributes:
        scores: the rows.
        weights: ``[..., rows]``, not negative, or pending; ``...`` stands for any leading axes.
    """

    scores: LabelScores
    weights: Any

    @cached_property
    def rows(self) -> Floats:
        """Weight of all rows, ``[...]``."""
        return np.asarray(self._floats.sum(axis=-1))

    @cached_property
    def members(self) -> Floats:
        """Weight of the rows that have each class, ``[..., classes]``."""
        return self.total(self.scores.truth.astype(np.float64))

    @cached_property
    def answered(self) -> Floats:
        """Weight of the rows that are answered with each class, ``[..., classes]``."""
        return self.total(self.scores.answered.astype(np.float64))

    @cached_property
    def hits(self) -> Floats:
        """Weight of the rows that have a class and are answered with it, ``[..., classes]``."""
        return self.total((self.scores.truth & self.scores.answered).astype(np.float64))

    @cached_property
    def pairs(self) -> Tally:
        """All pairs of a row and a class, counted as one question with two answers."""
        return self.scores.pairs.tally(self.weights)

    @cached_property
    def ranking(self) -> Ranking:
        """The rows of each class among all, by its probability, ``[..., classes]``."""
        return rankings(self.scores.each, self.weights)

    def total(self, of_row: Floats) -> Floats:
        """The sum over rows of what each has, ``[rows]`` or ``[rows, numbers]``."""
        return np.asarray(self._floats @ of_row)

    @cached_property
    def _floats(self) -> Any:
        """The weights as floats, which alone multiply fast."""
        return floats(self.weights)


def label_sheet(sample: Sample) -> Sheet[LabelTally]:
    """A multilabel sample made ready to be counted.

    Example:
        >>> from torchyard.records.schema import Task
        >>> task = Task(kind="multilabel_classification", label="tags", classes=("a", "b"))
        >>> seen = label_sheet(Sample(task=task, truth=np.array([[True, False], [True, True]]),
        ...                           outputs=np.array([[.7, .6], [.4, .8]]))).whole()
        >>> seen.members.tolist(), seen.answered.tolist(), seen.hits.tolist()
        ([2.0, 1.0], [1.0, 2.0], [1.0, 1.0])
    """
    truth = np.asarray(sample.truth, np.bool_)
    scores = LabelScores(truth, sample.outputs, sample.task.threshold)
    return Sheet(
        places=np.arange(sample.rows),
        cells=sample.rows,
        tally=lambda weights: LabelTally(scores, weights),
    )
