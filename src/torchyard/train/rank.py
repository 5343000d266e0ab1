"""One process per device: how rank 0 leads and the others follow.

The process that trains is rank 0 and starts the others itself. They meet by a file, so no port is
chosen beforehand. The others end when rank 0 does, however it ends; and one that dies ends rank 0
with a refusal that says which, and what it said last.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from torchyard.core.errors import BadProject, YardError
from torchyard.train.followers import Followers, Launch, Seat
from torchyard.train.kernels import choose_workspace, with_threads
from torchyard.train.ranks import Ranks, Together

if TYPE_CHECKING:
    import torch


@contextmanager
def leading(devices: int, launch: Launch) -> Iterator[Ranks]:
    """Be rank 0 of so many processes, more than one, while the block lasts.

    Raises:
        BadProject: there are GPUs here, but fewer than ``devices``.
        NotReady: a process of another rank died.
        YardError: the refusal of a process of another rank.
    """
    choose_workspace()
    device = _device(0, devices)
    shutil.rmtree(launch.folder, ignore_errors=True)
    launch.folder.mkdir(parents=True)
    threads = threads_each(devices)
    followers = Followers.started(devices, threads, launch)
    try:
        followers.wait_until_ready()
        seat = Seat(0, devices, threads, str(launch.folder))
        with with_threads(threads), _joined(seat, device), followers.watched(device):
            yield Together(0, devices, device, note=_note(device, devices, threads))
        followers.wait_until_done()
    except BaseException as error:
        if not (followers.was_given_up or _is_lost_connection(error)):
            raise
        found = followers.lost()
        if found is None:
            raise
        raise found from error
    finally:
        followers.end()


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
    seat.ready.touch()
    with with_threads(seat.threads), _joined(seat, device):
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
    except BaseException:
        if device.type == "cuda" and distributed.is_initialized():
            # to end it well is to wait for the others, who may wait for this one
            distributed.distributed_c10d._abort_process_group()
        raise
    finally:
        if distributed.is_initialized():
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


def _end_with(pipe: int) -> None:
    """End this process when the other end of a pipe is closed."""
    while os.read(pipe, 1):
        pass
    os._exit(1)
