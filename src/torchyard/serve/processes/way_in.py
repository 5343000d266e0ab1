"""How connections get to the workers: the only one accepts them itself, several are handed them."""

from __future__ import annotations

import socket
import threading
from typing import Protocol, final


class WayIn(Protocol):
    """A server's way in, as the supervisor and the workers' places see it."""

    @property
    def loads(self) -> int | None:
        """File descriptor of the memory in which workers say what they carry, if they are to."""

    def join(self, place: int) -> socket.socket:
        """Where the worker that is to start at a place gets its connections from."""

    def leave(self, place: int) -> None:
        """The worker at a place is gone."""

    def run(self, seconds: float) -> None:
        """See to connections for that time."""

    def close(self, most_s: float) -> None:
        """Let nobody in any more; who is in is with a worker afterwards, or that time is over."""


@final
class OneDoor:
    """The listening socket for the only worker, which accepts on it without a hop between.

    Args:
        door: listens.
        stop: ends ``run`` early.
    """

    def __init__(self, door: socket.socket, stop: threading.Event) -> None:
        self._door = door
        self._stop = stop

    @property
    def loads(self) -> None:
        """Nobody asks what the only worker carries."""

    def join(self, place: int) -> socket.socket:
        """A copy of the socket that listens."""
        return self._door.dup()

    def leave(self, place: int) -> None:
        """Connections wait with the kernel for the next worker."""

    def run(self, seconds: float) -> None:
        """Wait."""
        self._stop.wait(seconds)

    def close(self, most_s: float) -> None:
        """The worker takes in those whom the kernel has let in, when it is asked to stop."""
        self._door.close()
