"""The supervisor: one socket, some workers that accept on it, and what to do when one dies.

It answers no request itself, so nothing a request does can take it down.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, final

from torchyard.core.errors import BadRecord, BadUsage, NotReady
from torchyard.core.record import read_record, write_record
from torchyard.records.live import ServerState, WorkerState
from torchyard.serve.settings import Settings, WorkerStart

SERVER = "server.json"
MOST_FALSE_STARTS = 5  # in a row, each a death before the worker said anything of itself
_YOUNG_S = 10.0  # a worker that dies younger makes the pause before the next one longer
_BACKLOG = 2048
_TICK_S = 0.05
_SHORTEST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_GRACE_S = 5.0  # beyond a worker's own drain timeout

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
        BadUsage: the address is taken or is not this machine's, or another server uses the state
            folder.
        NotReady: the workers die as soon as they start.
    """
    with _only_server(settings), _listening(settings) as door, _stop_signals() as stop:
        host, port = door.getsockname()[:2]
        _clear(settings.state)
        me = ServerState(pid=os.getpid(), host=host, port=port, workers=settings.workers)
        write_record(settings.state / SERVER, me)
        workers = [_Worker(number, settings, door) for number in range(settings.workers)]
        try:
            _watch(workers, stop, _Announcer(settings, host, port, announce))
        finally:
            door.close()
            _stop_all(workers, stop, settings.drain_timeout_s + _GRACE_S)
            _clear(settings.state)
    return 0


@final
class _Worker:
    """One place among the workers, and the process that fills it now."""

    def __init__(self, number: int, settings: Settings, door: socket.socket) -> None:
        self.number = number
        self._settings = settings
        self._door = door
        self._early_deaths = 0
        self._false_starts = 0
        self._start_at = time.monotonic()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> WorkerState | None:
        """What the running process says of itself, None until it said something."""
        if self.process is None:
            return None
        try:
            state = read_record(WorkerState, self._settings.state / f"worker-{self.number}.json")
        except BadRecord:
            return None
        return state if state.pid == self.process.pid else None

    def keep_up(self) -> str | None:
        """Start the process when it is due; a sentence when it has died.

        Raises:
            NotReady: it has died too often in a row without coming up.
        """
        if self.process is None:
            if time.monotonic() >= self._start_at:
                self.process = _start(self.number, self._settings, self._door)
            return None
        status = self.process.poll()
        if status is None:
            return None
        now = time.monotonic()
        self._early_deaths = self._early_deaths + 1 if now - self._start_at < _YOUNG_S else 1
        self._false_starts = self._false_starts + 1 if self.state is None else 0
        self.process = None
        if self._false_starts >= MOST_FALSE_STARTS:
            raise NotReady(
                where=f"worker {self.number}",
                found=f"{_death(status)}, {self._false_starts} times in a row at its start",
                expected="a worker that stays",
                remedy="Its last words are in the server's output above.",
            )
        self._start_at = now + pause_s(self._early_deaths)
        return f"worker {self.number}: {_death(status)}; restarting"

    def ask_to_stop(self) -> None:
        """Let it drain: SIGTERM, and the end of its standard input."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            with suppress(OSError):
                _input(self.process).close()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended after that time at most."""
        if self.process is None:
            return True
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it now."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@final
@dataclass(slots=True)
class _Announcer:
    """Says once when the server is ready, and each problem once while it lasts."""

    settings: Settings
    host: str
    port: int
    announce: Announce
    _is_ready: bool = False
    _problems: dict[int, str | None] = field(default_factory=dict)

    def look(self, workers: list[_Worker]) -> None:
        """Compare the workers' states with what was said before."""
        states = [worker.state for worker in workers]
        for state in states:
            if state is None or self._problems.get(state.worker) == state.problem:
                continue
            self._problems[state.worker] = state.problem
            if state.problem:
                self.announce(f"worker {state.worker}: {state.problem}")
        if not self._is_ready and all(state and state.ready for state in states):
            self._is_ready = True
            count = len(workers)
            noun = "worker" if count == 1 else "workers"
            host = f"[{self.host}]" if ":" in self.host else self.host
            self.announce(
                f"serving {self.settings.project_name} at http://{host}:{self.port}"
                f" with {count} {noun}"
            )


def pause_s(early_deaths: int) -> float:
    """Seconds before a worker is started again: doubling with every early death, at most 5.

    Example:
        >>> [pause_s(deaths) for deaths in (1, 2, 3, 100)]
        [0.1, 0.2, 0.4, 5.0]
    """
    return float(min(_SHORTEST_PAUSE_S * 2.0 ** min(early_deaths - 1, 10), _LONGEST_PAUSE_S))


def _watch(workers: list[_Worker], stop: threading.Event, announcer: _Announcer) -> None:
    while not stop.is_set():
        for worker in workers:
            if news := worker.keep_up():
                announcer.announce(news)
        announcer.look(workers)
        stop.wait(_TICK_S)


def _start(number: int, settings: Settings, door: socket.socket) -> subprocess.Popen[bytes]:
    """A worker process. Its standard input stays open: its end tells the worker we are gone."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "torchyard.serve.worker"],
        stdin=subprocess.PIPE,
        pass_fds=[door.fileno()],
    )
    start = WorkerStart(worker=number, socket=door.fileno(), settings=settings)
    with suppress(BrokenPipeError):  # it is dead already: the next look sees it
        _input(process).write(start.to_line())
        _input(process).flush()
    return process


def _stop_all(workers: list[_Worker], stop: threading.Event, most_s: float) -> None:
    """Drain all workers together; a second signal, or too long a wait, ends them at once."""
    stop.clear()
    for worker in workers:
        worker.ask_to_stop()
    end = time.monotonic() + most_s
    for worker in workers:
        while not worker.wait(_TICK_S) and not stop.is_set() and time.monotonic() < end:
            continue
        worker.kill()


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


def _death(status: int) -> str:
    if status >= 0:
        return f"exited with status {status}"
    return f"killed by {signal.Signals(-status).name}"


def _input(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdin is None:
        raise ValueError("a worker is always started with a pipe")
    return process.stdin
