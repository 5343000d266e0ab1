"""Whether a row is answered at all: a release's declared limits, held against a batch.

The same code judges the test rows before sealing and every batch of a worker. Pure: raw columns and
answers in, reasons out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, final, overload

import numpy as np

from torchyard.features.columns import Columns
from torchyard.features.known import Familiar, Oddity, Way
from torchyard.records.abstaining import Abstention, Reason
from torchyard.records.schema import Schema, Task

Answers = np.ndarray[Any, np.dtype[Any]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]

_SHOWN_FIELDS = 5
_SAID: dict[Way, str] = {
    "range": "lies outside of what training had",
    "value": "has a value that training never had",
    "missing": "is missing, which it never was in training",
}


class Abstained(NamedTuple):
    """Why a row is not answered: a code for programs, a sentence for people.

    The sentence names fields and limits, never a value of the row.
    """

    code: Reason
    sentence: str


@final
class JudgedScores(Sequence[list[float]]):
    """The answers of a release that may abstain: a list of lists, and why some do not count.

    A slice of it is one too, so a batch parts into its requests as plain scores do.

    Attributes:
        scores: what the model answers to each row, abstained or not.
        abstained: for each row why it is not answered, or None.
        explanations: for each row what its fields make of the answer; empty where nobody asked.
    """

    __slots__ = ("abstained", "explanations", "scores")

    def __init__(
        self,
        scores: list[list[float]],
        abstained: Sequence[Abstained | None],
        explanations: Sequence[object] = (),
    ) -> None:
        self.scores = scores
        self.abstained = abstained
        self.explanations = explanations

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[list[float]]:
        return iter(self.scores)

    @overload
    def __getitem__(self, place: int) -> list[float]: ...
    @overload
    def __getitem__(self, place: slice) -> JudgedScores: ...
    def __getitem__(self, place: int | slice) -> list[float] | JudgedScores:
        if isinstance(place, slice):
            return JudgedScores(self.scores[place], self.abstained[place], self.explanations[place])
        return self.scores[place]


@final
class Abstainer:
    """Judges batches by a release's limits. May be used from several threads.

    Args:
        abstention: the limits.
        schema: the fields of a row.
        task: what is predicted.
    """

    def __init__(self, abstention: Abstention, schema: Schema, task: Task) -> None:
        self._below = abstention.below
        self._wider_than = abstention.wider_than
        self._task = task
        self._familiar = Familiar(abstention.known, schema) if abstention.known else None
        unit = f" {task.unit}" if task.unit else ""
        self._unsure = Abstained(
            "unsure", f"The probability of the answer is below {abstention.below or 0:g}."
        )
        self._wide = Abstained(
            "wide_interval", f"The interval is wider than {abstention.wider_than or 0:g}{unit}."
        )

    def judge(self, columns: Columns, answers: Answers) -> list[Abstained | None]:
        """Why each row is not answered, or None; of several reasons the first below.

        ``outside_training``, because nothing is known of what a model says of such a row, its
        probability included; ``unsure``; ``wide_interval``.

        Args:
            columns: raw columns, by field name.
            answers: ``[rows, outputs]``, in the order of the task's outputs.
        """
        judged: list[Abstained | None] = [None] * len(answers)
        exact = answers.astype(np.float64)  # else a limit would be rounded to the answers' type
        if self._below is not None:
            _mark(judged, confidences(self._task, exact) < self._below, self._unsure)
        if self._wider_than is not None:
            _mark(judged, exact[:, 2] - exact[:, 1] > self._wider_than, self._wide)
        if self._familiar is not None and (odd := self._familiar.find(columns)):
            for place in np.flatnonzero(np.any([one.rows for one in odd], axis=0)).tolist():
                judged[place] = _outside(odd, place)
        return judged


def codes(answered: Iterable[Sequence[list[float]]]) -> list[str | None]:
    """Why each row of some scores is not answered, for the log; None where it is."""
    return [
        None if why is None else why.code
        for scores in answered
        for why in (scores.abstained if isinstance(scores, JudgedScores) else [None] * len(scores))
    ]


def confidences(task: Task, answers: Answers) -> Answers:
    """The calibrated probability of the class that each row is answered with, ``[rows]``.

    Args:
        task: of one class a row.
        answers: probabilities, ``float64 [rows, classes]``.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"),
        ...             threshold=0.3)
        >>> confidences(late, np.array([[0.6, 0.4], [0.8, 0.2]])).tolist()
        [0.4, 0.8]
    """
    if task.is_binary:
        second: Answers = answers[:, 1]
        chosen: Answers = np.where(second >= task.threshold, second, answers[:, 0])
        return chosen
    most: Answers = answers.max(axis=1)
    return most


def _mark(judged: list[Abstained | None], rows: Bools, why: Abstained) -> None:
    if rows.any():
        for place in np.flatnonzero(rows).tolist():
            judged[place] = why


def _outside(odd: Sequence[Oddity], place: int) -> Abstained:
    said = [f"{one.field} {_SAID[one.way]}" for one in odd if one.rows[place]]
    more = f", and {len(said) - _SHOWN_FIELDS} more" if len(said) > _SHOWN_FIELDS else ""
    return Abstained("outside_training", f"{', '.join(said[:_SHOWN_FIELDS])}{more}.")
