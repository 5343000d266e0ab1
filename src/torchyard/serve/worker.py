"""One worker process: takes connections, serves, follows, drains.

Started by the supervisor as ``python -m torchyard.serve.worker`` and told what to do by one line on
its standard input. When that input ends, or on SIGTERM, it drains and exits.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from torchyard.core.errors import YardError
from torchyard.serve.admission.crowd import Crowd, room_for
from torchyard.serve.admission.proxies import Proxies
from torchyard.serve.app import Application
from torchyard.serve.following import keep_following
from torchyard.serve.guarding.keyring import Keyring
from torchyard.serve.guarding.tls import Tls, tls_files
from torchyard.serve.http.connection import Limits, Listener
from torchyard.serve.http.door import Channel, Door, drain
from torchyard.serve.http.routes import CONTROL, EVERYWHERE, SERVING, dispatch, vet
from torchyard.serve.ids import Ids
from torchyard.serve.logs.labels import LabelLog
from torchyard.serve.logs.predictions import PredictionLog, segments_in
from torchyard.serve.processes.loads import Load, Loads
from torchyard.serve.quarantine.court import FILE, read_cases
from torchyard.serve.quarantine.guard import Guard
from torchyard.serve.quarantine.journal import Journal
from torchyard.serve.settings import Settings, WorkerStart
from torchyard.serve.telemetry.captured import capture
from torchyard.serve.telemetry.lines import Lines
from torchyard.serve.telemetry.metrics import Metrics, read_snapshot, snapshot_path
from torchyard.serve.telemetry.tending import TEND_S, tend
from torchyard.serve.telemetry.traces import traces_for

_SWEEP_S = 0.25
_COLLECT_S = 10.0
_TELL_S = 0.05
_FOLLOW_S = 0.5

_OUTPUT = logging.getLogger("torchyard.serve")


def main() -> int:
    """Serve until told to stop; the process's exit status."""
    import uvloop

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the supervisor, who drains us
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    try:
        start = WorkerStart.from_line(sys.stdin.buffer.readline())
    except YardError as error:
        _OUTPUT.error("%s", error)
        return error.exit_status
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(start))
    return 0


async def serve(start: WorkerStart) -> None:
    """Serve who comes by the inherited socket until SIGTERM or the end of standard input."""
    loop, settings = asyncio.get_running_loop(), start.settings
    guard = None if start.journal is None else _guard(start.journal, settings)
    app = _application(start, loop)
    if guard is not None:
        app.runs = guard.of
    app.watch.traces = traces_for(settings, start.worker, os.environ)
    if app.watch.traces is not None:
        app.watch.traces.start()
    app.lines.start()
    capture(app.lines, loop)
    tls = _tls(settings)
    listener = _listener(app, tls, leads_to=SERVING if settings.control_apart else EVERYWHERE)
    control = _listener(app, tls, leads_to=CONTROL)
    app.predictions.start()
    app.labels.start()
    over_grpc = await _over_grpc(app, tls)
    stopped = threading.Event()
    doors = [_way_in(start, app, listener)]
    follow = partial(keep_following, app, stopped, applied=doors[0].tell)
    following = threading.Thread(target=follow, name="follow", daemon=True)
    following.start()
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_reader(sys.stdin.fileno(), stopping.set)
    for one in (listener, control):
        _every(loop, _SWEEP_S, one.sweep)
    _every(loop, _FOLLOW_S, app.keyring.look)
    if tls is not None:
        _every(loop, _FOLLOW_S, tls.look)
    _every(loop, _COLLECT_S, gc.collect)
    _every(loop, TEND_S, partial(tend, app, guard, lambda: len(listener.connections)))
    if start.control is not None:
        doors.append(Door(socket.socket(fileno=start.control), control, loop))
    for door in doors:
        door.open()
    await stopping.wait()
    loop.remove_reader(sys.stdin.fileno())
    for door in doors:
        door.close()
    ends = (drain(one, settings.drain_timeout_s) for one in (listener, control))
    await asyncio.gather(*ends, over_grpc())
    stopped.set()
    following.join(timeout=2.0)
    app.log_answers()
    app.predictions.close()
    app.labels.close()
    app.lanes.shutdown(wait=False, cancel_futures=True)
    if app.watch.traces is not None:
        app.watch.traces.close()
    app.lines.close()


async def _over_grpc(app: Application, tls: Tls | None) -> Callable[[], Awaitable[None]]:
    """Serve gRPC where it is asked for; what drains it."""
    if app.settings.grpc_port is None:
        return partial(asyncio.sleep, 0)
    from torchyard.serve.inference.grpc.server import GrpcServer  # grpcio takes its time to load

    server = GrpcServer(app, tls)
    await server.open()
    return server.close


def _way_in(start: WorkerStart, app: Application, listener: Listener) -> Door | Channel:
    inherited = socket.socket(fileno=start.socket)
    inherited.set_inheritable(False)
    if start.loads is None:
        return Door(inherited, listener, app.loop)
    loads = Loads(start.loads, start.settings.workers)

    def tell(connections: int) -> None:
        loads.write(start.worker, Load(app.table.is_ready, connections, app.waiting_rows))

    channel = Channel(inherited, listener, app.loop, tell)
    _every(app.loop, _TELL_S, channel.tell)
    return channel


def _guard(journal: int, settings: Settings) -> Guard:
    return Guard(Journal(journal), partial(read_cases, settings.state / FILE))


def _application(start: WorkerStart, loop: asyncio.AbstractEventLoop) -> Application:
    settings = start.settings
    metrics = Metrics()
    before = snapshot_path(settings.state, start.worker)
    metrics.resume(read_snapshot(before))
    metrics.count("worker_restarts", (str(start.worker),), float(before.exists()))
    began = time.time_ns() // 1_000_000
    segments = partial(
        segments_in, worker=start.worker, start=began, most_bytes=settings.segment_bytes
    )
    return Application(
        settings=settings,
        worker=start.worker,
        loop=loop,
        lanes=ThreadPoolExecutor(settings.lanes, thread_name_prefix="lane"),
        ids=Ids(secrets.token_hex(6)),
        metrics=metrics,
        predictions=PredictionLog(
            segments(settings.predictions),
            most_rows=settings.max_log_rows,
            count_dropped=lambda model, rows: metrics.count("log_dropped_rows", (model,), rows),
        ),
        labels=LabelLog(segments(settings.labels), clock=time.time),
        clock=time.monotonic,
        wall_clock=time.time,
        keyring=Keyring(settings.api_keys, is_required=settings.require_keys, clock=time.time),
        lines=Lines(worker=start.worker, is_terminal=sys.stderr.isatty()),
    )


def _listener(app: Application, tls: Tls | None, *, leads_to: frozenset[str]) -> Listener:
    return Listener(
        handle=partial(dispatch, app, leads_to=leads_to),
        observe=app.watch.answered,
        limits=_limits(app.settings),
        clock=app.clock,
        connections=set(),
        tls=tls,
        vet=partial(vet, app),
        crowd=_crowd(app.settings),
        proxies=Proxies(app.settings.trusted_proxies),
    )


def _crowd(settings: Settings) -> Crowd:
    return Crowd(
        most=room_for(settings.max_connections),
        most_per_client=settings.max_connections_per_client,
    )


def _tls(settings: Settings) -> Tls | None:
    files = tls_files(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    return None if files is None else Tls(files)


def _limits(settings: Settings) -> Limits:
    return Limits(
        head_bytes=settings.max_head_bytes,
        body_bytes=settings.max_body_bytes,
        head_s=settings.head_timeout_s,
        body_s=settings.body_timeout_s,
        idle_s=settings.idle_timeout_s,
        first_byte_s=settings.first_byte_timeout_s,
        body_bytes_per_s=settings.min_body_bytes_per_s,
        headers=settings.max_headers,
    )


def _every(loop: asyncio.AbstractEventLoop, seconds: float, act: Callable[[], object]) -> None:
    def again() -> None:
        act()
        loop.call_later(seconds, again)

    loop.call_later(seconds, again)


if __name__ == "__main__":
    sys.exit(main())
