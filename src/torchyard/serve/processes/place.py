"""One worker's place: starting its process, seeing it die, starting it again, ending it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import IO, final

from torchyard.core.errors import BadRecord, NotReady
from torchyard.core.record import read_record
from torchyard.records.live import WorkerState
from torchyard.runtimes.devices import share_of_gpus
from torchyard.serve.processes.way_in import WayIn
from torchyard.serve.settings import Settings, WorkerStart

MOST_FALSE_STARTS = 5  # in a row, each a death before the worker said anything of itself
_YOUNG_S = 10.0  # a worker that dies younger makes the pause before the next one longer
_SHORTEST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0


@final
class Place:
    """One place among the workers, and the process that fills it now.

    Args:
        number: which place, from 0.
        settings: what the worker is told.
        way_in: where the worker's connections come from.
        journal: the memory in which the worker leaves what it runs.
        control: the socket that operators' connections are accepted on.

    Attributes:
        process: None while the next one is not due.
    """

    def __init__(
        self,
        number: int,
        settings: Settings,
        way_in: WayIn,
        *,
        journal: int | None = None,
        control: int | None = None,
    ) -> None:
        self.number = number
        self._settings = settings
        self._way_in = way_in
        self._journal = journal
        self._control = control
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
                self.process = self._start()
            return None
        status = self.process.poll()
        if status is None:
            return None
        now = time.monotonic()
        self._early_deaths = self._early_deaths + 1 if now - self._start_at < _YOUNG_S else 1
        self._false_starts = self._false_starts + 1 if self.state is None else 0
        with suppress(OSError):
            _input(self.process).close()
        self.process = None
        self._way_in.leave(self.number)
        if self._false_starts >= MOST_FALSE_STARTS:
            raise NotReady(
                where=f"worker {self.number}",
                found=f"{_death(status)}, {self._false_starts} times in a row at its start",
                expected="a worker that stays",
                remedy="Its last words are in the server's output above.",
            )
        self._start_at = now + pause_s(self._early_deaths)
        return f"worker {self.number}: {_death(status)}; restarting"

    def _start(self) -> subprocess.Popen[bytes]:
        """A worker process. Its standard input stays open: its end tells the worker we are gone."""
        with self._way_in.join(self.number) as entrance:
            start = WorkerStart(
                worker=self.number,
                socket=entrance.fileno(),
                loads=self._way_in.loads,
                journal=self._journal,
                control=self._control,
                settings=self._settings,
            )
            inherited = (start.socket, start.loads, start.journal, start.control)
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "torchyard.serve.worker"],
                stdin=subprocess.PIPE,
                pass_fds=[fd for fd in inherited if fd is not None],
                env=self._environment(),
            )
        with suppress(BrokenPipeError):  # it is dead already: the next look sees it
            _input(process).write(start.to_line())
            _input(process).flush()
        return process

    def _environment(self) -> dict[str, str]:
        own = {} if self._settings.device == "cpu" else share_of_gpus(self.number, os.environ)
        return {**os.environ, **own}

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


def pause_s(early_deaths: int) -> float:
    """Seconds before a worker is started again: doubling with every early death, at most 5.

    Example:
        >>> [pause_s(deaths) for deaths in (1, 2, 3, 100)]
        [0.1, 0.2, 0.4, 5.0]
    """
    return float(min(_SHORTEST_PAUSE_S * 2.0 ** min(early_deaths - 1, 10), _LONGEST_PAUSE_S))


def _death(status: int) -> str:
    if status >= 0:
        return f"exited with status {status}"
    return f"killed by {signal.Signals(-status).name}"


def _input(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdin is None:
        raise ValueError("a worker is always started with a pipe")
    return process.stdin
