"""The follower's thread in a worker: tables to the loop, states and numbers to the state folder."""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from torchyard.core.digest import PREFIX
from torchyard.core.record import write_record
from torchyard.records.live import WorkerState
from torchyard.serve.app import Application
from torchyard.serve.engine import Engine, open_engine
from torchyard.serve.follow import Follower, Table
from torchyard.serve.settings import Settings
from torchyard.serve.telemetry.gauges import show_process
from torchyard.serve.telemetry.metrics import snapshot_path, write_snapshot
from torchyard.serve.tuning.kept import tuned_release

_OUTPUT = logging.getLogger("torchyard.serve")


def keep_following(
    app: Application, stopped: threading.Event, *, applied: Callable[[], None]
) -> None:
    """Apply each new table, say so, and leave the numbers on file, until ``stopped`` is set.

    Args:
        app: the worker.
        stopped: set when the worker has drained.
        applied: called on the loop after a table was, before the worker's state says so.
    """
    from torchyard.release.following import open_events

    settings = app.settings
    events = open_events(settings.channels_url)
    follower = Follower(events, partial(load, settings), clock=time.monotonic)
    _report(app, Table())
    while True:
        table = follower.step()
        if table is not None:
            _hand_over(app, table, stopped, applied)
            _report(app, table)
        show_process(app.metrics, app.worker)
        with suppress(OSError):  # a full disk costs the other workers some numbers, nothing else
            write_snapshot(snapshot_path(settings.state, app.worker), app.metrics.snapshot())
        if stopped.wait(settings.poll_s):
            return


def load(settings: Settings, release: str) -> Engine:
    """Open a release from its folder, warm it and replay its golden requests.

    Raises:
        YardError: it is missing, not trusted, damaged, or answers otherwise than it was judged.
    """
    from torchyard.release import open_release

    folder = settings.releases / release.removeprefix(PREFIX)
    opened = open_release(folder, trusted=settings.trusted_keys)
    return open_engine(
        opened,
        max_rows=settings.max_rows,
        threads=settings.threads,
        device=settings.device,
        tuned=tuned_release(settings.state, release),
    )


def _hand_over(
    app: Application, table: Table, stopped: threading.Event, applied: Callable[[], None]
) -> None:
    """Swap the table on the loop and wait until it is done."""
    done = threading.Event()

    def swap() -> None:
        was_ready = app.table.is_ready
        app.apply(table)
        if table.is_ready and not was_ready:
            _calm_collector()
        applied()
        done.set()

    app.loop.call_soon_threadsafe(swap)
    while not done.wait(0.1) and not stopped.is_set():
        continue


def _calm_collector() -> None:
    """No collector pauses while serving: a timer looks after what is not set aside here."""
    gc.collect()
    gc.freeze()
    gc.disable()


def _report(app: Application, table: Table) -> None:
    releases = {engine for served in table.models.values() for engine in served.engines}
    state = WorkerState(
        worker=app.worker,
        pid=os.getpid(),
        ready=table.is_ready,
        applied_event=table.applied_event,
        releases=tuple(sorted(releases)),
        problem=table.problem,
    )
    if table.problem:
        _OUTPUT.error("%s", table.problem)
    try:
        write_record(_state_path(app.settings.state, app.worker), state)
    except OSError as error:
        _OUTPUT.error("worker state not written: %s", error)


def _state_path(state: Path, worker: int) -> Path:
    return state / f"worker-{worker}.json"
