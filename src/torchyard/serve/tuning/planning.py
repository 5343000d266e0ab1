"""How many workers, lanes and threads: chosen from what is known of the deployed releases.

A light model's time goes into sockets and JSON on one thread, so there is a worker for each core
but one, which the kernel's side of the sockets and the writing of logs get; and no more than eight,
which answer more than one client machine can ask. Where rows of a cheap model cost more than their
requests, every core has a worker: what the kernel needs is little then. A dear model's time goes
into the model, which runs without Python's lock: one worker with a lane for each core has one
queue, and no request waits in a full worker beside an idle one. Eight lanes are what one process
decodes requests for. A lane has one thread: several sessions of one thread each answer more than
one of several threads, but for one client at a time. Measured for all of this: MLP, ResNet-18 and
MiniLM on two cores.

A GPU runs one call at a time, with as many rows as are there: calls side by side share it by
turns, so that each takes longer and nobody knows how long (Gujarati et al. 2020, Clockwork, OSDI,
runs one at a time for that reason). So there is a lane for each GPU, in a worker of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

MOST_CHEAP_WORKERS = 8
LANES_OF_A_WORKER = 8


class Pace(NamedTuple):
    """What is known of a release: whether it is cheap, and light; lanes of the machine and threads
    of a call, if that was tuned; how many GPUs it runs on.
    """

    is_cheap: bool
    lanes: int | None = None
    threads: int | None = None
    is_light: bool = True
    gpus: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Processes, model calls side by side in each, and threads inside a call."""

    workers: int
    lanes: int
    threads: int


def plan(paces: Sequence[Pace], *, cores: int, workers: int | None = None) -> Plan:
    """Choose for all deployed releases together: a dear one decides, as it takes most of the time.

    Args:
        paces: of the releases; none of them known counts as cheap.
        cores: that the server may use.
        workers: how many there are to be; None to choose that, too.

    Example:
        >>> plan([Pace(is_cheap=True)], cores=4)
        Plan(workers=3, lanes=1, threads=1)
        >>> plan([Pace(is_cheap=True, is_light=False)], cores=4)
        Plan(workers=4, lanes=1, threads=1)
        >>> plan([Pace(is_cheap=True), Pace(is_cheap=False)], cores=4)
        Plan(workers=1, lanes=4, threads=1)
        >>> plan([Pace(is_cheap=False)], cores=64)
        Plan(workers=8, lanes=8, threads=1)
        >>> plan([Pace(is_cheap=False, gpus=2)], cores=64)
        Plan(workers=2, lanes=1, threads=1)
    """
    dear = [pace for pace in paces if not pace.is_cheap]
    if not dear:
        are_light = all(pace.is_light for pace in paces)
        most = max(1, min(cores - 1, MOST_CHEAP_WORKERS)) if are_light else cores
        return Plan(workers=workers or most, lanes=1, threads=1)
    threads = max(pace.threads or 1 for pace in dear)
    lanes = max(pace.lanes or pace.gpus or max(1, cores // threads) for pace in dear)
    gpus = max(pace.gpus for pace in dear)
    count = workers or max(_up(lanes, LANES_OF_A_WORKER), gpus)
    return Plan(workers=count, lanes=_up(lanes, count), threads=threads)


def _up(amount: int, by: int) -> int:
    return -(-amount // by)
