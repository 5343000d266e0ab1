"""One worker process: accepts on the shared socket, serves, follows, drains.

Started by the supervisor as ``python -m torchyard.serve.worker`` and told what to do by one line on
its standard input. When that input ends, or on SIGTERM, it drains and exits.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from torchyard.core.errors import YardError
from torchyard.serve.app import Application
from torchyard.serve.following import keep_following
from torchyard.serve.http.connection import Limits, Listener
from torchyard.serve.http.door import Door, drain
from torchyard.serve.http.routes import dispatch
from torchyard.serve.ids import Ids
from torchyard.serve.logs.labels import LabelLog
from torchyard.serve.logs.predictions import PredictionLog, segments_in
from torchyard.serve.settings import Settings, WorkerStart
from torchyard.serve.telemetry.metrics import Metrics, read_snapshot, snapshot_path

_SWEEP_S = 0.25
_COLLECT_S = 10.0

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
    """Serve on the inherited socket until SIGTERM or the end of standard input."""
    loop, settings = asyncio.get_running_loop(), start.settings
    app = _application(start, loop)
    listener = Listener(
        handle=partial(dispatch, app),
        observe=app.observe,
        limits=_limits(settings),
        clock=app.clock,
        connections=set(),
    )
    app.predictions.start()
    app.labels.start()
    stopped = threading.Event()
    following = threading.Thread(
        target=keep_following, args=(app, stopped), name="follow", daemon=True
    )
    following.start()
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_reader(sys.stdin.fileno(), stopping.set)
    _every(loop, _SWEEP_S, listener.sweep)
    _every(loop, _COLLECT_S, gc.collect)
    door = Door(socket.socket(fileno=start.socket), listener, loop)
    door.open()
    await stopping.wait()
    loop.remove_reader(sys.stdin.fileno())
    door.close()
    await drain(listener, settings.drain_timeout_s)
    stopped.set()
    following.join(timeout=2.0)
    app.predictions.close()
    app.labels.close()
    app.lanes.shutdown(wait=False, cancel_futures=True)


def _application(start: WorkerStart, loop: asyncio.AbstractEventLoop) -> Application:
    settings = start.settings
    metrics = Metrics()
    metrics.add(read_snapshot(snapshot_path(settings.state, start.worker)))
    metrics.serving(())
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
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        head_bytes=settings.max_head_bytes,
        body_bytes=settings.max_body_bytes,
        head_s=settings.head_timeout_s,
        body_s=settings.body_timeout_s,
        idle_s=settings.idle_timeout_s,
    )


def _every(loop: asyncio.AbstractEventLoop, seconds: float, act: Callable[[], object]) -> None:
    def again() -> None:
        act()
        loop.call_later(seconds, again)

    loop.call_later(seconds, again)


if __name__ == "__main__":
    sys.exit(main())
