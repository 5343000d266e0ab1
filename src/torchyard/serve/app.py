"""What every route of a worker shares: the table, the batchers, ids, logs, numbers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import final

from torchyard.core.errors import BadUsage, NotFound, NotReady, Overloaded, YardError, nearest
from torchyard.serve.batching import Batcher
from torchyard.serve.engine import Engine, Scores
from torchyard.serve.follow import Served, Table
from torchyard.serve.http.answers import Answer, fail, refuse
from torchyard.serve.http.connection import Exchange
from torchyard.serve.ids import Ids
from torchyard.serve.logs.labels import LabelLog
from torchyard.serve.logs.predictions import PredictionLog
from torchyard.serve.settings import Settings
from torchyard.serve.telemetry.metrics import Metrics

LONGEST_DEADLINE_MS = 600_000

_CODES = {status.value: str(status.value) for status in HTTPStatus}
_OUTPUT = logging.getLogger("torchyard.serve")


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
        table: what is served.
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
    table: Table = field(default_factory=Table)
    _batchers: dict[str, Batcher] = field(default_factory=dict)

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
        self.metrics.serving((engine.model, engine.release) for engine in engines.values())
        self.table = table

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
                found=f"no deployed model '{model}'",
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
                found=self.table.problem or "releases that are still being opened",
                expected="every deployed release opened and its golden requests answered",
                remedy="Wait until /health/ready answers 200.",
            )

    def score(
        self,
        exchange: Exchange,
        engine: Engine,
        rows: list[object],
        ids: list[str],
        form: Callable[[Scores], Answer],
    ) -> None:
        """Answer an exchange with the scores of some rows, and log them.

        Args:
            exchange: whom to answer.
            engine: the release that answers.
            rows: decoded by that engine's decoder.
            ids: one for each row.
            form: puts scores into the protocol's words.

        Raises:
            Overloaded: there is no room or no time.
            BadUsage: the deadline in the request's header is not a number of milliseconds.
        """
        deadline = exchange.arrived + self._deadline_ms(exchange) / 1000
        done = partial(self._finish, exchange, engine, rows, ids, form)
        self._batchers[engine.release].submit(rows, len(exchange.body), deadline, done)

    def refuse(self, exchange: Exchange, error: Exception) -> None:
        """Answer an exchange with what went wrong."""
        if isinstance(error, Overloaded):
            self.metrics.count("rejected", (exchange.model,))
        if isinstance(error, YardError):
            exchange.answer(refuse(error))
            return
        incident = self.ids.make(1)[0]
        _OUTPUT.error("incident %s in %s", incident, exchange.route, exc_info=error)
        exchange.answer(fail(incident))

    def observe(self, exchange: Exchange, status: int) -> None:
        """Count an answer."""
        labels = (exchange.model, exchange.route, _CODES[status])
        self.metrics.observe("request_seconds", labels, self.clock() - exchange.arrived)

    def _finish(
        self,
        exchange: Exchange,
        engine: Engine,
        rows: list[object],
        ids: list[str],
        form: Callable[[Scores], Answer],
        scores: Scores | Exception,
    ) -> None:
        if isinstance(scores, Exception):
            self.refuse(exchange, scores)
            return
        exchange.answer(form(scores))
        at = self.wall_clock()
        self.predictions.append(engine, at=at, ids=ids, rows=rows, scores=scores)

    def _deadline_ms(self, exchange: Exchange) -> int:
        text = exchange.headers.get(b"x-request-timeout-ms")
        if text is None:
            return self.settings.deadline_ms
        if not (text.isdigit() and len(text) < 10 and 1 <= int(text) <= LONGEST_DEADLINE_MS):
            raise BadUsage(
                where="header X-Request-Timeout-Ms",
                found=repr(text.decode("latin-1")),
                expected=f"milliseconds, 1 to {LONGEST_DEADLINE_MS}",
                remedy="Leave it out to use the server's deadline.",
            )
        return int(text)

    def _batcher(self, engine: Engine) -> Batcher:
        labels = (engine.model,)
        return Batcher(
            engine.score,
            loop=self.loop,
            lanes=self.lanes,
            lane_count=self.settings.lanes,
            is_cheap=engine.is_cheap,
            max_batch_rows=engine.best_batch_rows,
            max_queue_rows=self.settings.max_queue_rows,
            max_queue_bytes=self.settings.max_queue_bytes,
            clock=self.clock,
            observe=lambda rows: self.metrics.observe("batch_rows", labels, rows),
        )
