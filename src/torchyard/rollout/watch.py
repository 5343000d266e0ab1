"""Waiting until a running server follows a decision, from what its workers say of themselves."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from torchyard.core.errors import BadRecord, NotReady
from torchyard.core.record import read_record
from torchyard.records.live import ServerState, WorkerState

_POLL_S = 0.05
_WORKER = re.compile(r"worker-[0-9]+\.json")


def wait_until_followed(
    state_folder: Path,
    *,
    event: int,
    timeout_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[WorkerState, ...]:
    """Wait until every worker of the running server has applied a channel event.

    Args:
        state_folder: holds ``server.json`` and ``worker-<n>.json`` while a server runs.
        event: the number of the event.
        timeout_s: how long to wait; at least one look is taken.
        clock: seconds that never go back.
        sleep: waits some seconds.

    Returns:
        The workers, by number; empty when no server runs (any more).

    Raises:
        NotReady: the time is up, with what the workers say their problem is.
    """
    deadline = clock() + timeout_s
    while True:
        server = running_server(state_folder)
        if server is None:
            return ()
        workers = living_workers(state_folder)
        if len(workers) >= server.workers and all(_follows(one, event) for one in workers):
            return workers
        if clock() >= deadline:
            raise _not_followed(server, workers, event=event, timeout_s=timeout_s)
        sleep(_POLL_S)


def _follows(worker: WorkerState, event: int) -> bool:
    return worker.applied_event >= event


def running_server(state_folder: Path) -> ServerState | None:
    """The server, or None where there is no file, or one left behind by a dead process."""
    path = state_folder / "server.json"
    if not path.exists():
        return None
    try:
        server = read_record(ServerState, path)
    except BadRecord:
        # Stopped between the two lines above; any other damage is still there and is told.
        if not path.exists():
            return None
        raise
    return server if _is_alive(server.pid) else None


def living_workers(state_folder: Path) -> tuple[WorkerState, ...]:
    """Workers whose process lives; those of a dead one are being replaced and do not count."""
    found = []
    for path in state_folder.iterdir():
        if not _WORKER.fullmatch(path.name):
            continue
        try:
            worker = read_record(WorkerState, path)
        except BadRecord:
            if path.exists():
                raise
            continue
        if _is_alive(worker.pid):
            found.append(worker)
    return tuple(sorted(found, key=lambda worker: worker.worker))


def _is_alive(pid: int) -> bool:
    """Whether a process of that number exists; signal 0 asks without touching it."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _not_followed(
    server: ServerState, workers: tuple[WorkerState, ...], *, event: int, timeout_s: float
) -> NotReady:
    behind = [worker for worker in workers if not _follows(worker, event)]
    said = [
        f"worker {worker.worker} at event {worker.applied_event}: "
        f"{worker.problem or 'no problem told'}"
        for worker in behind
    ]
    absent = server.workers - len(workers)
    if absent > 0:
        said.append(f"{absent} of {server.workers} workers not running")
    return NotReady(
        where=f"server at {server.host}:{server.port}",
        found="; ".join(said),
        expected=f"every worker to follow event {event} within {timeout_s:g} s",
        remedy="It goes on serving what it served. Solve the problem, or roll back.",
    )
