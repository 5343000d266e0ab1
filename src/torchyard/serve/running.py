"""What waits for a model, what a batch of it comes to, and how one is run.

A batch that fails is asked again request by request, so a row that breaks the model breaks only its
own request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

import msgspec

from torchyard.serve.calls import Call
from torchyard.serve.engine import Scores

Score = Callable[[Sequence[object]], Scores]
Done = Callable[[Scores | Exception], None]


class Waiting(msgspec.Struct):  # made three times as fast as a named tuple
    """One request's rows in a queue.

    ``deadline`` and ``queued_at`` are seconds on the worker's clock; ``done`` gets the scores, or
    why there are none, once. A batch with it that begins after ``start_by`` is not expected to end
    before the deadline.
    """

    call: Call
    rows: list[object]
    size_bytes: int
    deadline: float
    done: Done
    queued_at: float
    start_by: float


class Ran(NamedTuple):
    """One batch that ran: an answer for each request, when it began and how long the model took."""

    answers: list[Scores | Exception]
    began: float
    seconds: float


Run = Callable[[Score, Sequence[Waiting]], list[Scores | Exception]]


def run_batch(score: Score, batch: Sequence[Waiting]) -> list[Scores | Exception]:
    """One answer per request, in order. Whatever a model raises belongs to its requests."""
    try:
        scores = score([row for waiting in batch for row in waiting.rows])
    except Exception as error:
        return [error] if len(batch) == 1 else [run_batch(score, [one])[0] for one in batch]
    ends = accumulate(len(waiting.rows) for waiting in batch)
    return [scores[end - len(waiting.rows) : end] for waiting, end in zip(batch, ends, strict=True)]
