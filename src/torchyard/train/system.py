"""What a run takes of its machine: a thread that looks every few seconds and keeps what it saw.

It writes nowhere, draws no random number and does not touch the accelerator's queue, so it changes
no result: who started it takes its samples and records them.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import final

from torchyard.train.track import Point

EVERY_SECONDS = 5.0
_MIB = 1 << 20


@final
class SystemSamples:
    """Samples of this process and its machine, until they are taken.

    Example:
        >>> seen = []
        >>> with SystemSamples.kept(seen.extend, every=60):
        ...     pass
        >>> [point.step for point in seen if point.name == "system/memory_mib"]
        [0, 1]
    """

    def __init__(self, look: Callable[[], Mapping[str, float]], every: float, first: int) -> None:
        self._look = look
        self._every = every
        self._points: deque[Point] = deque()
        self._over = threading.Event()
        self._number = first

    @classmethod
    @contextmanager
    def kept(
        cls,
        record: Callable[[list[Point]], None],
        *,
        every: float = EVERY_SECONDS,
        first: int = 0,
        look: Callable[[], Mapping[str, float]] | None = None,
    ) -> Iterator[SystemSamples]:
        """Look at once, then every so many seconds, and once more when the block ends.

        Args:
            record: is given the samples of the beginning and of the end, in the caller's thread;
                what was seen between them is the caller's to take.
            every: seconds from one sample to the next.
            first: the number of the first sample, the step of its points.
            look: gives the numbers of one sample; this process's and its machine's when left out.
        """
        samples = cls(look or _looker(), every, first)
        samples._sample()
        record(samples.take())
        thread = threading.Thread(target=samples._go_on, name="system-samples", daemon=True)
        thread.start()
        try:
            yield samples
        finally:
            samples._over.set()
            thread.join()
            samples._sample()
            record(samples.take())

    def take(self) -> list[Point]:
        """What was seen since the last time."""
        taken = []
        while self._points:
            taken.append(self._points.popleft())
        return taken

    def _go_on(self) -> None:
        while not self._over.wait(self._every):
            self._sample()

    def _sample(self) -> None:
        found = self._look()
        self._points.extend(Point(f"system/{n}", self._number, v) for n, v in found.items())
        self._number += 1


def _looker() -> Callable[[], Mapping[str, float]]:
    """Looks at this process and its machine; shares of time are since the look before."""
    import psutil

    process = psutil.Process()
    looks = itertools.count()

    def look() -> dict[str, float]:
        shares = {
            "cpu_percent": process.cpu_percent(),
            "machine_cpu_percent": psutil.cpu_percent(),
        }
        return {
            # there is no share of the time before the first look
            **(shares if next(looks) else {}),
            "memory_mib": process.memory_info().rss / _MIB,
            "machine_memory_percent": psutil.virtual_memory().percent,
            **_accelerators(),
        }

    return look


def _accelerators() -> dict[str, float]:
    """Memory that this process holds on each accelerator, as its allocator knows it."""
    import torch

    # where CUDA has not started yet, asking would start it: that is the training's to do
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return {}
    return {
        f"accelerator_{number}_memory_mib": torch.cuda.memory_reserved(number) / _MIB
        for number in range(torch.cuda.device_count())
    }
