"""What every route of a worker shares: the table, the batchers, ids, logs, numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import final

import msgspec

from torchyard.core.errors import BadModel, NotFound, NotReady, YardError, nearest
from torchyard.serve.abstaining import codes
from torchyard.serve.admission.cost import BatchCost
from torchyard.serve.admission.deadlines import DefaultDeadline, default_deadline
from torchyard.serve.admission.lanes import Lanes
from torchyard.serve.batching import Batcher
from torchyard.serve.calls import Call
from torchyard.serve.engine import Engine, Scores
from torchyard.serve.follow import Served, Table
from torchyard.serve.guarding.keyring import Keyring
from torchyard.serve.ids import Ids
from torchyard.serve.logs.labels import LabelLog
from torchyard.serve.logs.predictions import PredictionLog
from torchyard.serve.running import Run, run_batch
from torchyard.serve.settings import Settings
from torchyard.serve.telemetry.lines import Lines
from torchyard.serve.telemetry.metrics import Metrics
from torchyard.serve.telemetry.requests import RequestWatch


class _Answered(msgspec.Struct, gc=False):  # made three times as fast as a named tuple
    engine: Engine
    ids: list[str]
    rows: list[object]
    scores: Scores
    size_bytes: int  # of the body: no text in it has more characters


def _plainly(_: Engine) -> Run:
    return run_batch


@final
@dataclass(slots=True, kw_only=True)
class Application:
    """One worker's state. Use from the loop's thread only.

    Attributes:
        settings: what the server was told.
        worker: this worker's number.
        loop: the worker's loop.
        lanes: threads for dear models.
        ids: makes ids for rows without one.
        metrics: counts.
        predictions: the prediction log.
        labels: the label log.
        clock: seconds, monotonic; deadlines are on it.
        wall_clock: seconds since the epoch.
        lines: output.
        keyring: the keys of clients.
        runs: how an engine's batches are run.
        table: what is served.
        applied: called whenever it was replaced.
        watch: sees requests and batches.
        shared: the lanes, shared out among models.
    """

    settings: Settings
    worker: int
    loop: asyncio.AbstractEventLoop
    lanes: Executor
    ids: Ids
    metrics: Metrics
    predictions: PredictionLog
    labels: LabelLog
    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    lines: Lines = field(default_factory=Lines)
    keyring: Keyring = field(default_factory=Keyring.open)
    runs: Callable[[Engine], Run] = _plainly
    table: Table = field(default_factory=Table)
    watch: RequestWatch = field(init=False)
    shared: Lanes = field(init=False)
    applied: list[Callable[[], None]] = field(default_factory=list)
    _batchers: dict[str, Batcher] = field(default_factory=dict)
    _deadlines: dict[str, DefaultDeadline] = field(default_factory=dict)
    _answered: list[_Answered] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shared = Lanes(self.lanes, count=self.settings.lanes, loop=self.loop, clock=self.clock)
        self.watch = RequestWatch(
            metrics=self.metrics,
            lines=self.lines,
            clock=self.clock,
            make_id=lambda: self.ids.make(1)[0],
            slow_s=self.settings.slow_ms / 1000,
            access_share=self.settings.access_log,
            wall_clock=self.wall_clock,
        )

    def apply(self, table: Table) -> None:
        """Serve another table from the next request on; requests in flight keep their engines."""
        engines = {
            engine.release: engine
            for served in table.models.values()
            for engine in served.engines.values()
        }
        self._batchers = {
            release: self._batchers.get(release) or self._batcher(engine)
            for release, engine in engines.items()
        }
        self._deadlines = {
            release: default_deadline(
                engine.objective, engine.measured, set_ms=self.settings.deadline_ms
            )
            for release, engine in engines.items()
        }
        self.metrics.serving(
            (engine.model, engine.release, engine.variant) for engine in engines.values()
        )
        self.table = table
        for tell in self.applied:
            tell()

    def queues(self) -> list[tuple[str, Batcher]]:
        """The queue of every release that is served, with its model's name."""
        return [
            (name, self._batchers[release])
            for name, served in self.table.models.items()
            for release in served.engines
        ]

    @property
    def waiting_rows(self) -> int:
        """Rows that wait for a model."""
        return sum(batcher.waiting_rows for batcher in self._batchers.values())

    def served(self, model: str) -> Served:
        """A deployed model.

        Raises:
            NotReady: the worker has not applied its first state yet.
            NotFound: no release of that model is deployed.
        """
        served = self.table.models.get(model)
        if served is None:
            self.check_ready()
            known = self.table.models
            raise NotFound(
                where="model",
                found="no deployed model of that name",
                expected="a model with a deployed release",
                remedy=nearest(model, known) if known else "Deploy one: torchyard deploy.",
            )
        return served

    def check_ready(self) -> None:
        """Refuse until every deployed model has a release that serves it.

        Raises:
            NotReady: it is not so yet.
        """
        if not self.table.is_ready:
            raise NotReady(
                where=f"worker {self.worker}",
                found="a release that cannot be opened"
                if self.table.problem
                else "releases that are still being opened",
                expected="every deployed release opened and its golden requests answered",
                remedy="Wait until /health/ready answers 200; torchyard status says why it waits.",
            )

    def score(
        self,
        call: Call,
        engine: Engine,
        rows: list[object],
        ids: list[str],
        answer: Callable[[Scores], None],
        beside: Sequence[object] = (),
    ) -> None:
        """Answer a call with the scores of some rows, and log them.

        Args:
            call: whom to answer.
            engine: the release that answers.
            rows: decoded by that engine's decoder.
            ids: one for each row.
            answer: puts scores into the protocol's words and sends them.
            beside: rows that are scored with them, for ``answer`` alone.

        Raises:
            Overloaded: there is no room or no time.
            BadUsage: the call's deadline is not a number of milliseconds.
        """
        done = partial(self._finish, call, engine, rows, ids, answer)
        scored = [*rows, *beside] if beside else rows
        deadline = self._deadline(call, engine, len(scored))
        self._batchers[engine.release].submit(call, scored, deadline, done)

    def check_room(self, call: Call, engine: Engine) -> None:
        """Refuse a call whose rows are not decoded yet, if even one row could not be in time.

        By the deadline of as many rows as its body may hold.

        Raises:
            Overloaded: that is so.
            BadUsage: the call's deadline is not a number of milliseconds.
        """
        batcher = self._batchers[engine.release]
        if batcher.is_crowded:
            rows = engine.rows_in(call.size_bytes)
            batcher.check(call, self._deadline(call, engine, rows))

    def default_deadline_ms(self, engine: Engine) -> int:
        """What a request of one row has that says nothing of a deadline."""
        return round(1000 * self._deadlines[engine.release].of(1))

    def refuse(self, call: Call, error: Exception) -> None:
        """Answer a call with what went wrong.

        A model that fails, or whose answer is unsound, is our fault: what it was is for our output.
        """
        if isinstance(error, YardError) and not isinstance(error, BadModel):
            self.watch.refused(call, error)
            call.refuse(error)
        else:
            call.fail(self.watch.failed(call, error))

    def observe(self, call: Call, code: str) -> None:
        """Count an answer under its code: HTTP's status, or gRPC's by name."""
        self.watch.answered(call, code)

    def _deadline(self, call: Call, engine: Engine, rows: int) -> float:
        said_ms = call.deadline_ms
        if said_ms is not None:
            return call.arrived + said_ms / 1000
        default = self._deadlines[engine.release]
        return call.arrived + (default.first_s if rows == 1 else default.of(rows))

    def _finish(
        self,
        call: Call,
        engine: Engine,
        rows: list[object],
        ids: list[str],
        answer: Callable[[Scores], None],
        scores: Scores | Exception,
    ) -> None:
        if isinstance(scores, Exception):
            self.watch.unanswered(engine, call, scores)
            self.refuse(call, scores)
            return
        answer(scores)
        if len(scores) > len(ids):
            scores = scores[: len(ids)]
        if not self._answered:  # the log is for when this turn's answers are on their way
            self.loop.call_soon(self.log_answers)
        self._answered.append(_Answered(engine, ids, rows, scores, call.size_bytes))

    def log_answers(self) -> None:
        """Hand over to the prediction log what was answered since the last time."""
        answered, self._answered = self._answered, []
        at, began = self.wall_clock(), self.clock()
        for engine, group in groupby(answered, key=attrgetter("engine")):
            some = list(group)
            self.predictions.append(
                engine,
                at=at,
                ids=[name for one in some for name in one.ids],
                rows=[row for one in some for row in one.rows],
                scores=[score for one in some for score in one.scores],
                longest=max(one.size_bytes for one in some),
                abstained=codes(one.scores for one in some) if engine.abstains else None,
            )
            began = self.watch.logged(engine, since=began, requests=len(some))

    def _batcher(self, engine: Engine) -> Batcher:
        """A cheap model's requests run on the loop, but for those that are large."""
        batcher = partial(
            Batcher,
            engine.score,
            loop=self.loop,
            max_batch_rows=engine.best_batch_rows,
            max_queue_bytes=self.settings.max_queue_bytes,
            clock=self.clock,
            observe=self.watch.batches(engine),
            run=self.runs(engine),
        )
        on_lanes = batcher(lanes=self.shared, cost=BatchCost(engine.measured))
        if not engine.is_cheap:
            return on_lanes
        return batcher(lanes=None, cost=BatchCost(engine.measured), larger=on_lanes)
