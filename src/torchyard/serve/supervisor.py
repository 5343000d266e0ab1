"""The supervisor: a socket, some workers, and what to do when one dies.

It answers no request and reads none, so nothing a request does can take it down.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import final

from torchyard.core.errors import BadRecord, BadUsage
from torchyard.core.record import read_record, write_record
from torchyard.records.live import ServerState
from torchyard.serve.guarding.control import control_door
from torchyard.serve.guarding.starting import check_start
from torchyard.serve.inference.grpc.port import kept
from torchyard.serve.processes.loads import Loads, memory
from torchyard.serve.processes.place import Place
from torchyard.serve.processes.reception import Reception
from torchyard.serve.processes.way_in import OneDoor, WayIn
from torchyard.serve.quarantine.court import Court
from torchyard.serve.settings import Settings
from torchyard.serve.telemetry.traces import check_traces

SERVER = "server.json"
_BACKLOG = 2048
_TICK_S = 0.05
_LOOK_S = 0.2
_GRACE_S = 5.0  # beyond a worker's own drain timeout
_HANDING_S = 1.0

Announce = Callable[[str], None]


def supervise(settings: Settings, announce: Announce) -> int:
    """Run a server in the foreground until SIGTERM or SIGINT; from the main thread only.

    Args:
        settings: what to serve and where.
        announce: told, in one line each, when the server is ready, when a worker reports a
            problem, and when one is restarted.

    Returns:
        The exit status, 0 after an orderly stop.

    Raises:
        BadUsage: an address is taken or is not this machine's, another server uses the state
            folder, or a file of TLS is not what its setting says.
        BadRecord: the file of clients' keys is damaged; NotTrusted: others may write it.
        NotReady: the workers die as soon as they start.
    """
    check_traces(settings, os.environ)
    for warning in check_start(settings, datetime.now(UTC)):
        announce(warning)
    with _only_server(settings), kept(settings) as settled:
        _run(settled, announce)
    return 0


def _run(settings: Settings, announce: Announce) -> None:
    with (
        _listening(settings) as door,
        control_door(settings, door.getsockname()[1]) as control,
        _stop_signals() as stop,
    ):
        host, port = door.getsockname()[:2]
        _clear(settings.state)
        me = ServerState(
            pid=os.getpid(),
            host=host,
            port=port,
            workers=settings.workers,
            grpc_port=settings.grpc_port,
            scheme="http" if settings.tls_certificate is None else "https",
            control_host=settings.control_host,
            control_port=None if control is None else control.getsockname()[1],
        )
        write_record(settings.state / SERVER, me)
        if me.control_port is not None:
            announce(f"metrics and control at {me.control_url}")
        way_in = _way_in(door, settings.workers, stop, announce)
        court = Court(settings.state, workers=settings.workers, clock=time.time)
        places = [
            Place(
                number,
                settings,
                way_in,
                journal=court.journals[number].fd,
                control=None if control is None else control.fileno(),
            )
            for number in range(settings.workers)
        ]
        try:
            _watch(places, stop, way_in, court, _Announcer(settings, me, announce))
            announce("stopping: requests under way are answered first")
        finally:
            way_in.close(_HANDING_S)
            _stop_all(places, stop, settings.drain_timeout_s + _GRACE_S)
            _clear(settings.state)
            court.close()


@final
@dataclass(slots=True)
class _Announcer:
    """Says once when the server is ready, and each problem once while it lasts."""

    settings: Settings
    server: ServerState
    announce: Announce
    is_ready: bool = False
    _problems: dict[int, str | None] = field(default_factory=dict)

    def look(self, places: list[Place]) -> None:
        """Compare the workers' states with what was said before."""
        states = [place.state for place in places]
        for state in states:
            if state is None or self._problems.get(state.worker) == state.problem:
                continue
            self._problems[state.worker] = state.problem
            if state.problem:
                self.announce(f"worker {state.worker}: {state.problem}")
        if not self.is_ready and all(state and state.ready for state in states):
            self.is_ready = True
            count = len(places)
            noun = "worker" if count == 1 else "workers"
            over_grpc = f" and gRPC at {self.server.grpc_address}" if self.server.grpc_port else ""
            self.announce(
                f"serving {self.settings.project_name} at {self.server.url}{over_grpc}"
                f" with {count} {noun}"
            )


def _way_in(door: socket.socket, workers: int, stop: threading.Event, announce: Announce) -> WayIn:
    if workers == 1:
        return OneDoor(door, stop)
    return Reception(door, Loads(memory(workers), workers), workers=workers, tell=announce)


def _watch(
    places: list[Place],
    stop: threading.Event,
    way_in: WayIn,
    court: Court,
    announcer: _Announcer,
) -> None:
    next_look = 0.0
    while not stop.is_set():
        for place in places:
            if news := place.keep_up():
                announcer.announce(news)
                for verdict in court.died(place.number):
                    announcer.announce(verdict)
        court.look()
        if time.monotonic() >= next_look:
            announcer.look(places)
            next_look = time.monotonic() + (_LOOK_S if announcer.is_ready else 0)
        way_in.run(_TICK_S)


def _stop_all(places: list[Place], stop: threading.Event, most_s: float) -> None:
    """Drain all workers together; a second signal, or too long a wait, ends them at once."""
    stop.clear()
    for place in places:
        place.ask_to_stop()
    end = time.monotonic() + most_s
    for place in places:
        while not place.wait(_TICK_S) and not stop.is_set() and time.monotonic() < end:
            continue
        place.kill()


@contextmanager
def _only_server(settings: Settings) -> Iterator[None]:
    """Hold the state folder's lock, or refuse; the kernel drops it if we die."""
    settings.state.mkdir(parents=True, exist_ok=True)
    with (settings.state / "server.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadUsage(
                where=str(settings.state),
                found=_other_server(settings.state),
                expected="no other server",
                remedy="Stop it first, or serve another project.",
            ) from error
        yield


def _other_server(state: Path) -> str:
    try:
        other = read_record(ServerState, state / SERVER)
    except BadRecord:
        return "a server that is starting or stopping"
    return f"a running server, process {other.pid}, port {other.port}"


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    host, port = settings.host, settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        door = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise BadUsage(
            where=f"address {host}, port {port}",
            found=error.strerror or str(error),
            expected="a free port on this machine",
            remedy="Choose another with --port, or stop what listens there.",
        ) from error
    with door:
        yield door


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set, until the context ends."""
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _clear(state: Path) -> None:
    """Remove what describes a running server."""
    for pattern in (SERVER, "worker-*.json", "metrics-*.json"):
        for path in state.glob(pattern):
            path.unlink(missing_ok=True)
