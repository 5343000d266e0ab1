"""What leak checks ask of a row's label: which of some names, of which it has just one.

Of one class among several: which one. Of several classes at once a question each: has it this one
or not? Of a number: in which of ten ranges does it lie?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from torchyard.data.labels import memberships
from torchyard.data.strata import UNLABELLED, Chunks, Strata, fit_strata
from torchyard.records.schema import Task

Integers = np.ndarray[Any, np.dtype[np.int64]]

# of more classes at once, the first ones: each costs a look at every field
MOST = 64


@dataclass(frozen=True, slots=True)
class Question:
    """One of the questions.

    Attributes:
        names: the possible answers; two or more.
        first: the place of the first one among the names of all questions.
        strata: gives the answers; None where the task's classes are asked for one by one.
    """

    names: tuple[str, ...]
    first: int = 0
    strata: Strata | None = None

    @property
    def columns(self) -> slice:
        """The places of its names among those of all questions."""
        return slice(self.first, self.first + len(self.names))


def questions_of(task: Task, chunks: Chunks) -> tuple[Question, ...]:
    """What is asked.

    Args:
        task: what is predicted.
        chunks: all rows, read once where a number is predicted.
    """
    if task.is_multilabel:
        names = [(f"not {name}", name) for name in task.classes[:MOST]]
        return tuple(Question(pair, 2 * place) for place, pair in enumerate(names))
    strata = fit_strata(task, chunks)
    return (Question(strata.names, 0, strata),)


def answered(
    frame: pl.DataFrame, task: Task, questions: Sequence[Question]
) -> tuple[Integers, ...]:
    """Per question the place of each row's name, ``[rows]``; -1 without a label.

    Raises:
        BadData: a label is none that the task knows.
    """
    if not task.is_multilabel:
        return tuple(q.strata.codes(frame) for q in questions if q.strata is not None)
    labels = frame[task.label]
    has, _ = memberships(labels, task)
    unknown = labels.is_null().to_numpy()
    return tuple(
        np.where(unknown, UNLABELLED, has[:, place].astype(np.int64))
        for place in range(len(questions))
    )
