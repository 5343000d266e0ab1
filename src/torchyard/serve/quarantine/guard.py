"""How a worker runs batches when some request may kill it.

An ordinary batch is written into the journal and run. A suspect, which was there when a worker
died, runs alone, with nothing beside it in this worker, so that the next death names the culprit
and nobody else. A request that killed twice does not run at all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import final

from torchyard.core.errors import Quarantined
from torchyard.records.quarantine import Case
from torchyard.serve.engine import Engine, Scores
from torchyard.serve.quarantine.digests import digest_of
from torchyard.serve.quarantine.journal import Journal
from torchyard.serve.running import Run, Score, Waiting, run_batch

LONGEST_WAIT_S = 2.0  # for the batches beside a suspect, or for the suspect: one of them may hang


@final
class Guard:
    """One worker's. Its runs may be called from several threads.

    Args:
        journal: the worker's.
        cases: reads the list of suspects as it is now.
    """

    def __init__(self, journal: Journal, cases: Callable[[], Sequence[Case]]) -> None:
        self._journal = journal
        self._read = cases
        self._generation = -1
        self._cases: Mapping[bytes, Case] = {}
        self._turns = Turns(LONGEST_WAIT_S)
        self._lock = threading.Lock()

    @property
    def quarantined(self) -> int:
        """How many requests are refused."""
        return sum(case.is_quarantined for case in self._cases.values())

    def of(self, engine: Engine) -> Run:
        """How to run an engine's batches."""
        return partial(self._run, engine.model, engine.release)

    def _run(
        self, model: str, release: str, score: Score, batch: Sequence[Waiting]
    ) -> list[Scores | Exception]:
        if self._journal.generation != self._generation:
            self._look()
        if self._cases:
            return self._run_apart(model, release, score, batch)
        return self._run_together(model, release, score, batch)

    def _run_together(
        self, model: str, release: str, score: Score, batch: Sequence[Waiting]
    ) -> list[Scores | Exception]:
        self._turns.enter()
        slot = self._journal.begin(model, release, [one.call.body for one in batch])
        try:
            return run_batch(score, batch)
        finally:
            self._journal.end(slot)
            self._turns.leave()

    def _run_apart(
        self, model: str, release: str, score: Score, batch: Sequence[Waiting]
    ) -> list[Scores | Exception]:
        answers: dict[int, Scores | Exception] = {}
        suspects, others = [], []
        for place, one in enumerate(batch):
            case = self._cases.get(digest_of(release, one.call.body))
            if case is None:
                others.append(place)
            elif case.is_quarantined:
                answers[place] = _refusal(case)
            else:
                suspects.append(place)
        if others:
            some = self._run_together(model, release, score, [batch[place] for place in others])
            answers.update(zip(others, some, strict=True))
        for place in suspects:  # after the others, who have nothing to do with it
            answers[place] = self._run_alone(model, release, score, batch[place])
        return [answers[place] for place in range(len(batch))]

    def _run_alone(
        self, model: str, release: str, score: Score, suspect: Waiting
    ) -> Scores | Exception:
        body = suspect.call.body
        with self._turns.alone() as is_alone:
            slot = self._journal.begin(model, release, [body], is_alone=is_alone)
            try:
                answer = run_batch(score, [suspect])[0]
            finally:
                self._journal.end(slot)
        with self._lock:
            self._journal.acquit(digest_of(release, body))
        return answer

    def _look(self) -> None:
        with self._lock:
            generation = self._journal.generation
            self._cases = {bytes.fromhex(case.digest): case for case in self._read()}
            self._generation = generation


@final
class Turns:
    """Many side by side, or one alone; whoever waits for either does so for a bounded time."""

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self._lock = threading.Lock()  # entering a condition is three times as slow
        self._changed = threading.Condition(self._lock)
        self._running = 0
        self._is_alone = False

    def enter(self) -> None:
        """Begin beside others, once nobody is alone; ``leave`` follows, whatever happens."""
        with self._lock:
            if self._is_alone:
                self._changed.wait_for(lambda: not self._is_alone, self._most_s)
                self._is_alone = False  # it had its time
            self._running += 1

    def leave(self) -> None:
        """End what ``enter`` began."""
        with self._lock:
            self._running -= 1
            if self._is_alone and not self._running:
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Once nobody runs; False where that did not come about in time."""
        end = time.monotonic() + self._most_s
        with self._changed:
            was_free = self._changed.wait_for(lambda: not self._is_alone, self._most_s)
            self._is_alone = True  # from now on nobody begins
            left_s = max(0.0, end - time.monotonic())
            is_alone = self._changed.wait_for(lambda: not self._running, left_s) and was_free
        try:
            yield is_alone
        finally:
            with self._changed:
                self._is_alone = False
                self._changed.notify_all()


def _refusal(case: Case) -> Quarantined:
    return Quarantined(
        where="this request",
        found=f"one that stopped workers {case.kills} times, incident {case.incident}",
        expected="a request that a model survives",
        remedy="Change it. Whoever runs the server finds the incident with: torchyard status",
    )
