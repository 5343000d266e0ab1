"""One process per device: how the others are started, watched and ended.

The process that trains is rank 0 and starts the others itself, as new interpreters: nothing is
forked. They meet by a file, so no port is opened for it. A process of another rank lives as long as
rank 0 holds its end of a pipe, however rank 0 ends; and one that dies ends rank 0 with a refusal
that says which, and what it said last.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, final

from torchyard.core.errors import BadProject, NotReady, YardError
from torchyard.core.record import Json
from torchyard.train.kernels import choose_workspace
from torchyard.train.ranks import Ranks, Together

if TYPE_CHECKING:
    import torch

_BETWEEN_LOOKS = 0.02
# seconds until a process whose connection was lost has ended, and until one that is done has
_UNTIL_DEAD = 30.0
_UNTIL_DONE = 30.0
_LAST_LINES = 8
_LAST_CHARACTERS = 400
_KINDS = {kind.code: kind for kind in YardError.__subclasses__()}


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


@contextmanager
def leading(devices: int, launch: Launch) -> Iterator[Ranks]:
    """Be rank 0 of so many processes, more than one, while the block lasts.

    Raises:
        BadProject: there are GPUs here, but fewer than ``devices``.
        NotReady: a process of another rank died.
        YardError: the refusal of a process of another rank.
    """
    device = _device(0, devices)
    shutil.rmtree(launch.folder, ignore_errors=True)
    launch.folder.mkdir(parents=True)
    before, threads = _threads_now(), threads_each(devices)
    followers = _Followers.started(devices, threads, launch)
    try:
        followers.wait_until_ready()
        _set_threads(threads)
        seat = Seat(0, devices, threads, str(launch.folder))
        with _joined(seat, device), followers.watched(device):
            yield Together(0, devices, device, note=_note(device, devices, threads))
        followers.wait_until_done()
    except BaseException as error:
        if not _is_lost_connection(error):
            raise
        found = followers.lost()
        if found is None:
            raise
        raise found from error
    finally:
        followers.end()
        _set_threads(before)


def take_seat(file: Path, pipe: int) -> Seat:
    """What this process is told by rank 0. From now on it ends as soon as rank 0 does.

    Signals that ask to stop are for rank 0, which tells the others.
    """
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(pipe,), daemon=True).start()
    return Seat(**json.loads(file.read_text()))


@contextmanager
def following(seat: Seat) -> Iterator[Ranks]:
    """Be another rank than 0 while the block lasts."""
    choose_workspace()
    device = _device(seat.rank, seat.size)
    _set_threads(seat.threads)
    seat.ready.touch()
    with _joined(seat, device):
        yield Together(seat.rank, seat.size, device)


@contextmanager
def reported(seat: Seat) -> Iterator[None]:
    """Leave what ends this process where rank 0 finds it, and leave with an exit status."""
    try:
        yield
    except YardError as error:
        seat.refusal.write_text(json.dumps(error.as_dict()))
        sys.exit(error.exit_status)
    except BaseException:
        traceback.print_exc()
        sys.exit(1)


def threads_each(devices: int) -> int:
    """How many threads each process may use, so that together they do not fight for cores."""
    return max(1, min(_threads_now(), _cores() // devices))


@final
class _Followers:
    """The processes of ranks 1, 2, ...: started, watched and ended by rank 0."""

    def __init__(self) -> None:
        self._seats: list[Seat] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._pipes: list[int] = []

    @classmethod
    def started(cls, size: int, threads: int, launch: Launch) -> _Followers:
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
        """Wait until every one ended by itself.

        Raises:
            YardError: one ended badly.
        """
        until = time.monotonic() + _UNTIL_DONE
        while any(process.poll() is None for process in self._processes):
            if time.monotonic() > until:
                return  # what was to be done together is done
            time.sleep(_BETWEEN_LOOKS)
        self._check()

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
        return _KINDS[said.pop("error")](**{**said, "where": where})
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


def _is_lost_connection(error: BaseException) -> bool:
    """Whether an error came of another process that is gone."""
    from torch import distributed

    seen: BaseException | None = error
    while seen is not None:
        words = str(seen).lower()
        if isinstance(seen, distributed.DistError) or "gloo" in words or "nccl" in words:
            return True
        seen = seen.__cause__ or seen.__context__
    return False


@contextmanager
def _joined(seat: Seat, device: torch.device) -> Iterator[None]:
    """Be in the process group while the block lasts."""
    from torch import distributed

    store = distributed.FileStore(str(seat.meeting), seat.size)  # type: ignore[attr-defined]
    # one machine: gloo need not listen on other interfaces
    name = "GLOO_SOCKET_IFNAME"
    before = os.environ.get(name)
    os.environ[name] = "lo0" if sys.platform == "darwin" else "lo"
    try:
        if device.type == "cuda":
            distributed.init_process_group(
                "nccl", store=store, rank=seat.rank, world_size=seat.size, device_id=device
            )
        else:
            distributed.init_process_group(
                "gloo", store=store, rank=seat.rank, world_size=seat.size
            )
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _device(rank: int, devices: int) -> torch.device:
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    here = torch.cuda.device_count()
    if devices > here:
        raise BadProject(
            where="ty.Training(devices=)",
            found=f"{devices} devices asked for",
            expected=f"at most {here}, the GPUs that are here",
            remedy=f"Lower it; or hide the GPUs with CUDA_VISIBLE_DEVICES= to train in {devices} "
            "processes without them.",
        )
    torch.cuda.set_device(rank)
    return torch.device("cuda", rank)


def _note(device: torch.device, devices: int, threads: int) -> str:
    if device.type == "cuda":
        return f"devices: {devices} GPUs, one process each"
    word = "thread" if threads == 1 else "threads"
    more = "; they share cores" if devices > _cores() else ""
    return f"devices: {devices} processes of {threads} {word} each on {_cores()} cores{more}"


def _cores() -> int:
    """Those that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # of Linux alone
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _threads_now() -> int:
    import torch

    return torch.get_num_threads()


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _end_with(pipe: int) -> None:
    """End this process when the other end of a pipe is closed."""
    while os.read(pipe, 1):
        pass
    os._exit(1)
