"""The processes of ranks 1, 2, ... as rank 0 keeps them: started, watched, ended.

Each is a new interpreter: nothing is forked. It is told what to do by a file, lives as long as
rank 0 holds its end of a pipe, and leaves what it printed, or the refusal that it ended with.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, final

from torchyard.core.errors import NotReady, YardError
from torchyard.core.record import Json

if TYPE_CHECKING:
    import torch

_BETWEEN_LOOKS = 0.02
# seconds until a process whose connection was lost has ended, and until one that is done has
_UNTIL_DEAD = 30.0
_UNTIL_DONE = 30.0
_LAST_LINES = 8
_LAST_CHARACTERS = 400


@dataclass(frozen=True)
class Launch:
    """How the processes of the other ranks are started.

    Attributes:
        command: of each, but for two more words: the file of its ``Seat``, and the number of the
            pipe that it lives by.
        order: what they are to train, for ``command`` to read.
        folder: their output, and where they meet; emptied when they are started.
    """

    command: Sequence[str]
    order: Mapping[str, Json]
    folder: Path


@dataclass(frozen=True)
class Seat:
    """What a process is told: who it is, where the others are, and what to train."""

    rank: int
    size: int
    threads: int
    folder: str
    order: dict[str, Json] = field(default_factory=dict)

    @property
    def meeting(self) -> Path:
        """The file that the processes meet by."""
        return Path(self.folder) / "meeting"

    @property
    def ready(self) -> Path:
        """There when the process is about to join."""
        return Path(self.folder) / f"{self.rank}.ready"

    @property
    def output(self) -> Path:
        """What the process printed."""
        return Path(self.folder) / f"{self.rank}.log"

    @property
    def refusal(self) -> Path:
        """The refusal that it ended with."""
        return Path(self.folder) / f"{self.rank}.refusal.json"


@final
class Followers:
    """The processes of ranks 1, 2, ...: started, watched and ended by rank 0."""

    def __init__(self) -> None:
        self._seats: list[Seat] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._pipes: list[int] = []
        self.was_given_up = False

    @classmethod
    def started(cls, size: int, threads: int, launch: Launch) -> Followers:
        """Start them all; those that were started end when one cannot be."""
        followers = cls()
        try:
            for rank in range(1, size):
                seat = Seat(rank, size, threads, str(launch.folder), dict(launch.order))
                followers._start(seat, launch.command)
        except BaseException:
            followers.end()
            raise
        return followers

    def _start(self, seat: Seat, command: Sequence[str]) -> None:
        file = Path(seat.folder) / f"{seat.rank}.json"
        file.write_text(json.dumps(asdict(seat)))
        reading, writing = os.pipe()
        self._pipes.append(writing)
        environment = {**os.environ, "OMP_NUM_THREADS": str(seat.threads), "PYTHONSAFEPATH": "1"}
        try:
            with seat.output.open("wb") as output:
                process = subprocess.Popen(
                    [*command, str(file), str(reading)], stdin=subprocess.DEVNULL, stdout=output,
                    stderr=subprocess.STDOUT, pass_fds=(reading,), env=environment,
                    start_new_session=True,  # a terminal's signals are for rank 0
                )  # fmt: skip
        finally:
            os.close(reading)
        self._seats.append(seat)
        self._processes.append(process)

    def wait_until_ready(self) -> None:
        """Wait until every one is about to join.

        Raises:
            YardError: one ended before.
        """
        while not all(seat.ready.exists() for seat in self._seats):
            self._check()
            time.sleep(_BETWEEN_LOOKS)

    def wait_until_done(self) -> None:
        """Give every one time to end by itself: what was to be done together is done."""
        until = time.monotonic() + _UNTIL_DONE
        while any(process.poll() is None for process in self._processes):
            if time.monotonic() > until:
                return
            time.sleep(_BETWEEN_LOOKS)

    def lost(self) -> YardError | None:
        """Why the connection to one was lost; None when it seems to live on."""
        until = time.monotonic() + _UNTIL_DEAD
        while time.monotonic() < until:
            found = self._dead()
            if found is not None:
                return found
            time.sleep(_BETWEEN_LOOKS)
        return None

    @contextmanager
    def watched(self, device: torch.device) -> Iterator[None]:
        """On CUDA, give up waiting for one that died: the device would wait for it for ever."""
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(over,), daemon=True)
        if device.type == "cuda":
            watcher.start()
        try:
            yield
        finally:
            over.set()

    def _watch(self, over: threading.Event) -> None:
        from torch.distributed import distributed_c10d

        while not over.wait(1.0):
            if self._dead() is not None:
                self.was_given_up = True
                distributed_c10d._abort_process_group()
                return

    def end(self) -> None:
        """End those that have not ended."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
        for pipe in self._pipes:
            os.close(pipe)
        self._pipes.clear()

    def _check(self) -> None:
        found = self._dead()
        if found is not None:
            raise found

    def _dead(self) -> YardError | None:
        """The refusal for the first one that ended badly."""
        for seat, process in zip(self._seats, self._processes, strict=True):
            status = process.poll()
            if status:
                return _ended(seat, process.pid, status)
        return None


def _ended(seat: Seat, process: int, status: int) -> YardError:
    """The refusal for a process that ended with a status."""
    name = f"device {seat.rank + 1} of {seat.size}"
    if seat.refusal.exists():
        said = json.loads(seat.refusal.read_text())
        where = f"{name}, {said['where']}"
        return YardError.of_dict({**said, "where": where})
    how = f"status {status}" if status > 0 else signal.Signals(-status).name
    lines = seat.output.read_text(errors="replace").strip().splitlines()[-_LAST_LINES:]
    last = "\n".join(lines)[-_LAST_CHARACTERS:]
    return NotReady(
        where=f"{name} (process {process})",
        found=f"its end by {how}; it said last: {last or 'nothing'}",
        expected="every device at work to the end",
        remedy=f"All that it said is in {seat.output}. Run the same command again: training goes "
        "on from its newest checkpoint.",
    )
