"""Whether something has a class, asked of many: what is counted where a task has several classes.

Of one class, or of all pairs of a row and a class; each is a question with two answers, and what
holds of two classes holds of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from torchyard.evaluate.counting.parts import Parts
from torchyard.evaluate.counting.ranking import Rank, Ranking
from torchyard.evaluate.counting.sample import Bools, Floats
from torchyard.evaluate.counting.tally import Scores, Tally
from torchyard.evaluate.resampling.pending import Pending


@dataclass(frozen=True)
class Question:
    """Those who are asked, and how probable a yes is.

    Attributes:
        scores: the distinct probabilities, rising.
        cells: the place of each one's probability among them, ``int32 [asked]``.
        is_yes: whether it has the class, ``[asked]``.
        per_row: how many are asked of each row, one after the other.
    """

    scores: Scores
    cells: npt.NDArray[np.int32]
    is_yes: Bools
    per_row: int

    @classmethod
    def of(cls, truth: Bools, probability: Floats, *, threshold: float = 0.0) -> Question:
        """Asked of ``truth [rows]``, or of ``[rows, classes]``, each class of a row by itself."""
        values, cells = np.unique(probability.reshape(-1), return_inverse=True)
        return cls(
            Scores(values=values, threshold=threshold),
            cells.astype(np.int32),
            np.ascontiguousarray(truth.reshape(-1)),
            per_row=truth.size // max(1, truth.shape[0]),
        )

    def tally(self, weights: Any) -> Tally:
        """Counted with ``weights [..., rows]``, drawn or pending."""
        return Tally(self.scores, self._counted(weights, True), self._counted(weights, False))

    def ranking(self, weights: Any) -> Ranking:
        """The same in short, where one is asked of each row."""
        if isinstance(weights, Pending) or weights.ndim == 1:
            return ranking_of(self.tally(weights))
        return self._rank.sums(weights)

    def _counted(self, weights: Any, answer: bool) -> Any:
        chosen = np.flatnonzero(self.is_yes == answer)
        rows, cells, size = (
            chosen // max(1, self.per_row),
            self.cells[chosen],
            self.scores.values.size,
        )
        if isinstance(weights, Pending):
            return Pending(weights.ledger, rows, cells, size)
        if weights.ndim == 1:
            return np.bincount(cells, weights=weights[rows], minlength=size)
        return self._parts[answer].sums(weights)

    @cached_property
    def _parts(self) -> tuple[Parts, Parts]:
        """Those without the class, and those with it, at each probability."""
        found = [
            Parts.of(np.where(self.is_yes == answer, self.cells, -1), count=self.scores.values.size)
            for answer in (False, True)
        ]
        no, yes = (Parts(one.order // max(1, self.per_row), one.ends) for one in found)
        return no, yes

    @cached_property
    def _rank(self) -> Rank:
        return Rank.of(self.scores.values[self.cells], self.is_yes)


def ranking_of(tally: Tally) -> Ranking:
    """What order and calibration are told by."""
    return Ranking(tally.twice_the_wins, tally.precisions, tally.gaps)


def rankings(questions: Sequence[Question], weights: Any) -> Ranking:
    """Those of several classes, ``[..., classes]`` and ``[..., classes, bins]``.

    One after the other: what is computed of a class on the way is let go before the next.
    """
    return Ranking.stacked([question.ranking(weights) for question in questions])
