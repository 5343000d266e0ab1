"""A worker without a clock on the wall: batchers on a simulated loop, under simulated load.

Time passes where something takes time: a request is read, a batch runs on the loop or on a lane, an
answer is delivered, a refusal is written. Same seeds, same outcome.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Any

from tests.serve.calling import Asked
from torchyard.core.errors import Overloaded
from torchyard.serve.admission.cost import BatchCost
from torchyard.serve.admission.lanes import Lanes
from torchyard.serve.batching import Batcher
from torchyard.serve.engine import Scores

DELIVER_S = 5e-6
READ_S = 8e-6
REFUSE_S = 4e-6


class _Future:
    def __init__(self, value: Any) -> None:
        self._value = value
        self.callbacks: list[Callable[[Any], None]] = []

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self.callbacks.append(callback)

    def result(self) -> Any:
        return self._value


class Loop:
    """What a batcher asks of a loop. Each turn reads what has arrived, then runs what is due."""

    def __init__(self) -> None:
        self.now = 0.0
        self._order = count()
        self._ready: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._timers: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []

    def call_soon(self, act: Callable[..., object], *args: Any) -> None:
        self._ready.append((act, args))

    def call_later(self, delay_s: float, act: Callable[..., object], *args: Any) -> object:
        heappush(self._timers, (self.now + delay_s, next(self._order), act, args))
        return act

    def run_in_executor(self, _: object, act: Callable[[], Any]) -> _Future:
        """Run it now, deliver it when it would have ended, and go back to now."""
        before = self.now
        future = _Future(act())
        after, self.now = self.now, before
        self.call_later(after - before, self._done, future)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        raise context["exception"]

    def run(self, arrivals: Iterator[tuple[float, Callable[[], None]]]) -> None:
        """Until nothing more arrives and nothing is left to do."""
        following = next(arrivals, None)
        while following or self._ready or self._timers:
            if not self._ready:
                nearest = [at for at in (following and following[0],) if at is not None]
                nearest += [self._timers[0][0]] if self._timers else []
                self.now = max(self.now, min(nearest))
            turn = self.now
            while following and following[0] <= turn:
                following[1]()
                following = next(arrivals, None)
            while self._timers and self._timers[0][0] <= turn:
                _, _, act, args = heappop(self._timers)
                self._ready.append((act, args))
            for _ in range(len(self._ready)):
                act, args = self._ready.popleft()
                act(*args)

    def _done(self, future: _Future) -> None:
        for callback in future.callbacks:
            callback(future)


@dataclass
class Model:
    """How long a batch really takes. ``jitter`` is the sigma of a log-normal factor."""

    fixed_s: float
    row_s: float
    max_batch_rows: int
    is_cheap: bool
    sealed: float = 1.0  # how far off the release's measurements are
    jitter: float = 0.0

    def seconds(self, rows: int, chance: random.Random) -> float:
        return (self.fixed_s + self.row_s * rows) * chance.lognormvariate(0.0, self.jitter)

    def rows_per_s(self, lanes: int) -> float:
        batch_s = self.fixed_s + self.row_s * self.max_batch_rows
        if self.is_cheap:
            own_s = self.max_batch_rows * (READ_S + DELIVER_S)
            return self.max_batch_rows / (batch_s + own_s)
        return lanes * self.max_batch_rows / batch_s


@dataclass
class Outcome:
    """What became of the requests, by client."""

    asked: Counter[str] = field(default_factory=Counter)
    in_time: Counter[str] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    refusal_s: list[float] = field(default_factory=list)

    def goodput(self) -> int:
        return sum(self.in_time.values())


class Worker:
    """A worker's batchers over models, with two lanes."""

    def __init__(self, *models: Model, lanes: int = 2, seed: int = 7) -> None:
        self.loop: Any = Loop()
        self._chance = random.Random(seed)
        shared = Lanes(None, count=lanes, loop=self.loop, clock=self._clock)  # type: ignore[arg-type]
        self._batchers = [self._batcher(model, shared) for model in models]
        self.outcomes = [Outcome() for _ in models]

    def ask(
        self,
        client: str,
        *,
        model: int = 0,
        arrived: float,
        objective_s: float,
        promised_s: float | None = None,
    ) -> None:
        """One row, as the loop reads it.

        Args:
            client: whose.
            model: whom it asks.
            arrived: when it was whole; it may have lain in a socket since.
            objective_s: within which an answer is of use.
            promised_s: what the worker believes of it; another value switches admission off.
        """
        outcome, loop, batcher = self.outcomes[model], self.loop, self._batchers[model]
        outcome.asked[client] += 1
        loop.now += READ_S

        def done(answer: Scores | Exception) -> None:
            loop.now += REFUSE_S if isinstance(answer, Exception) else DELIVER_S
            took_s = loop.now - arrived
            if isinstance(answer, Exception):
                outcome.refused[client] += 1
                outcome.refusal_s.append(took_s)
            else:
                (outcome.in_time if took_s <= objective_s else outcome.late)[client] += 1

        deadline = loop.now + (objective_s if promised_s is None else promised_s)
        try:
            batcher.submit(Asked(client=client), [1.0], deadline, done)
        except Overloaded as refusal:
            done(refusal)

    def _batcher(self, model: Model, shared: Lanes) -> Batcher:
        def score(rows: Sequence[object]) -> list[list[float]]:
            self.loop.now += model.seconds(len(rows), self._chance)
            return [[0.0]] * len(rows)

        sealed = [(rows, model.sealed * (model.fixed_s + model.row_s * rows)) for rows in (1, 8)]
        return Batcher(
            score,
            loop=self.loop,
            lanes=None if model.is_cheap else shared,
            cost=BatchCost(sealed),
            max_batch_rows=model.max_batch_rows,
            max_queue_bytes=1 << 40,
            clock=self._clock,
            observe=lambda *_: None,
        )

    def _clock(self) -> float:
        return float(self.loop.now)


def poisson(
    rate: float, seconds: float, ask: Callable[[float], None], *, seed: int, start: float = 0.0
) -> Iterator[tuple[float, Callable[[], None]]]:
    """Arrivals of an open loop: nobody waits for an answer before asking again."""
    chance, at = random.Random(seed), start
    while (at := at + chance.expovariate(rate)) < start + seconds:
        yield at, lambda at=at: ask(at)  # type: ignore[misc]
