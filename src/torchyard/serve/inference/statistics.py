"""The statistics extension: what was counted of each release that is served, by all workers.

Over REST here, over gRPC in ``grpc/service.py``. Counted is by batch (``telemetry/tallies.py``), so
a request that is refused before it waits for a release is in none of these numbers; the metrics
have it. There is no cache of answers, so nothing was found in one.
Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_statistics.md
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from torchyard.core.errors import NotFound
from torchyard.serve.app import Application
from torchyard.serve.calls import Call
from torchyard.serve.engine import Engine
from torchyard.serve.follow import Served
from torchyard.serve.http.answers import answer_json
from torchyard.serve.http.connection import Exchange
from torchyard.serve.inference import choosing, rest
from torchyard.serve.telemetry.metrics import Labels, add_up_tallies
from torchyard.serve.telemetry.tallies import Batches, Tally

NAME = "stats"  # the last part of the path; a model may have that name as well


class Duration(msgspec.Struct):
    """How often something was counted, and how long all of it took."""

    count: int = 0
    ns: int = 0


class InferenceStats(msgspec.Struct):
    """Of requests; in ``compute_infer`` each has the whole time of the batch it was in."""

    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration
    cache_hit: Duration
    cache_miss: Duration


class BatchStats(msgspec.Struct):
    """Of batches of one size, in rows."""

    batch_size: int
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration


class Stated(msgspec.Struct):
    """One release: ``last_inference`` is in milliseconds since the epoch, 0 for never."""

    name: str
    version: str
    last_inference: int
    inference_count: int
    execution_count: int
    inference_stats: InferenceStats
    batch_stats: list[BatchStats]


def show(app: Application, exchange: Exchange, model: str = "", version: str = "") -> None:
    """``GET /v2/models/stats``, ``.../{model}/stats`` and ``.../{model}/versions/{}/stats``."""
    if not model and NAME in app.table.models:  # the protocol itself comes before its extensions
        rest.metadata(app, exchange, NAME)
        return

    def answer(stated: list[Stated]) -> None:
        exchange.model = model
        exchange.answer(answer_json({"model_stats": stated}))

    begin(app, exchange, model, version, answer)


def begin(
    app: Application,
    call: Call,
    model: str,
    version: str,
    answer: Callable[[list[Stated]], None],
) -> None:
    """Have a thread read what the other workers counted, and answer. Returns at once.

    Args:
        app: the worker.
        call: what asks.
        model: whose; empty for every model's.
        version: which; empty for all that are served.
        answer: puts it into the protocol's words.

    Raises:
        NotFound: no such model or version is served.
        NotReady: that is not known yet.
    """
    engines = chosen(app, model, version)
    settings, own = app.settings, app.metrics.snapshot().tallies
    read = partial(add_up_tallies, own, settings.state, worker=app.worker, workers=settings.workers)
    adding = app.loop.run_in_executor(None, read)
    adding.add_done_callback(partial(_tell, app, call, engines, answer))


def chosen(app: Application, model: str, version: str) -> list[Engine]:
    """The releases that are asked about, of each model the champion first."""
    if model:
        served = app.served(model)
        return [choosing.engine_of(served, version)] if version else _engines(served)
    if version:
        raise NotFound(
            where="version",
            found="a version without a model",
            expected="the name of the model as well",
            remedy="Name it, or leave both out to have every model's.",
        )
    app.check_ready()
    return [engine for served in app.table.models.values() for engine in _engines(served)]


def stated(engine: Engine, tally: Tally) -> Stated:
    """What a tally says of a release, in the extension's words."""
    total = tally.total
    requests = total.requests
    return Stated(
        name=engine.model,
        version=engine.version,
        last_inference=int(1000 * tally.last_at),
        inference_count=total.rows,
        execution_count=total.batches,
        inference_stats=InferenceStats(
            success=_took(requests, total.answer_s),
            fail=_took(tally.failed, tally.failed_s),
            queue=_took(requests, total.queue_s),
            compute_input=_took(requests, total.decode_s),
            compute_infer=_took(requests, total.model_s),
            compute_output=_took(requests, total.encode_s),
            cache_hit=Duration(),
            cache_miss=Duration(),
        ),
        batch_stats=[_of_size(size, tally.sizes[size]) for size in sorted(tally.sizes)],
    )


def _of_size(size: int, seen: Batches) -> BatchStats:
    return BatchStats(
        batch_size=size,
        compute_input=_took(seen.batches, seen.decode_s),
        compute_infer=_took(seen.batches, seen.batch_model_s),
        compute_output=_took(seen.batches, seen.encode_s),
    )


def _took(count: int, seconds: float) -> Duration:
    return Duration(count, max(0, round(1e9 * seconds)))


def _engines(served: Served) -> list[Engine]:
    return [served.engines[release] for release in reversed(served.split.releases)]


def _tell(
    app: Application,
    call: Call,
    engines: list[Engine],
    answer: Callable[[list[Stated]], None],
    read: Future[Mapping[Labels, Tally]],
) -> None:
    try:
        tallies = read.result()
        answer([
            stated(engine, tallies.get((engine.model, engine.release)) or Tally())
            for engine in engines
        ])  # fmt: skip
    except Exception as error:  # the edge of this request
        app.refuse(call, error)
