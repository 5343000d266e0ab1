"""What every worker carries just now, in memory that all processes of a server share.

Each worker writes its own slot and anybody reads all of them. Numbers of one slot may be of
different moments: they steer, nothing is counted from them.
"""

from __future__ import annotations

import mmap
import os
from typing import NamedTuple, final

_WORDS = 8  # of 8 bytes: a slot is a cache line of its own, so that writers do not wait for others


class Load(NamedTuple):
    """Of one worker: whether it can answer, its open connections, the rows it owes answers for."""

    is_ready: bool
    connections: int
    rows: int


@final
class Loads:
    """A slot for each worker.

    Args:
        fd: of the memory, as ``memory`` made it.
        workers: how many slots there are.

    Attributes:
        fd: as given; a child that inherits it opens the same memory.
    """

    def __init__(self, fd: int, workers: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, _size(workers))
        self._words = memoryview(self._map).cast("q")

    def write(self, worker: int, load: Load) -> None:
        """Say what a worker carries; only its process does, or the supervisor before it."""
        at = worker * _WORDS
        self._words[at] = load.is_ready
        self._words[at + 1] = load.connections
        self._words[at + 2] = load.rows

    def read(self, worker: int) -> Load:
        """What a worker said last; nothing and not ready, if it said nothing yet."""
        is_ready, connections, rows = self._words[worker * _WORDS : worker * _WORDS + 3]
        return Load(bool(is_ready), connections, rows)

    def close(self) -> None:
        """Let go of the memory; it lives while another process has it."""
        self._words.release()
        self._map.close()
        os.close(self.fd)


def memory(workers: int) -> int:
    """The file descriptor of zeroed memory for so many workers, which children may inherit."""
    fd = os.memfd_create("torchyard-loads")
    os.ftruncate(fd, _size(workers))
    return fd


def _size(workers: int) -> int:
    return 8 * _WORDS * workers
