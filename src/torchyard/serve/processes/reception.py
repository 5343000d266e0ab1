"""Accepts connections and hands each to the worker that carries least.

A connection travels over a worker's channel, a Unix socket pair (``SCM_RIGHTS``, unix(7)). The
reception keeps a copy until the worker says that it took it; one that was not taken, because the
worker died or ran out of file descriptors, goes to another. Nothing of a request is read here.
"""

from __future__ import annotations

import array
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import final

from torchyard.serve.processes.choosing import Candidate, choose
from torchyard.serve.processes.loads import Load, Loads

MOST_UNTAKEN = 16  # connections that wait in one worker's channel; more wait with the kernel
LATE_S = 0.1  # a worker that leaves one there longer is busy with something else
TAKEN, NO_ROOM = b"+", b"-"
_PAUSE_S = 0.2  # after file descriptors ran out: let some close first
_MOST_A_TURN = 64
_BROKEN = select.POLLHUP | select.POLLERR | select.POLLNVAL


@dataclass(slots=True)
class _Channel:
    """The way to one worker, and the connections on it that the worker has not taken yet."""

    ours: socket.socket
    untaken: deque[tuple[socket.socket, float]] = field(default_factory=deque)
    full_until: float = 0.0


@final
class Reception:
    """The server's way in when it has several workers. For one thread.

    Args:
        door: listens.
        loads: what the workers carry.
        workers: how many places there are.
        tell: told, once each time, when file descriptors run out.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        door: socket.socket,
        loads: Loads,
        *,
        workers: int,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._door = door
        self._loads = loads
        self._tell = tell
        self._clock = clock
        self._channels: list[_Channel | None] = [None] * workers
        self._places: dict[int, int] = {}  # by the channel's file descriptor
        self._homeless: deque[socket.socket] = deque()
        self._last = workers - 1
        self._resume_at = 0.0
        self._poll = select.poll()
        door.setblocking(False)

    @property
    def loads(self) -> int:
        """File descriptor of the memory in which the workers say what they carry."""
        return self._loads.fd

    def join(self, place: int) -> socket.socket:
        """Open a channel to the worker that is to start at a place; the worker's end of it."""
        self.leave(place)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._loads.write(place, Load(False, 0, 0))
        self._channels[place] = _Channel(ours)
        self._places[ours.fileno()] = place
        self._poll.register(ours, select.POLLIN)
        return theirs

    def leave(self, place: int) -> None:
        """The worker there is gone: what it did not take goes to others."""
        channel = self._channels[place]
        if channel is None:
            return
        self._hear(place)
        self._channels[place] = None
        self._homeless.extend(connection for connection, _ in channel.untaken)
        del self._places[channel.ours.fileno()]
        self._poll.unregister(channel.ours)
        channel.ours.close()

    def run(self, seconds: float) -> None:
        """Hand over what comes within that time."""
        end = self._clock() + seconds
        while True:
            self._house()
            self._listen_if_room()
            left_s = end - self._clock()
            for fd, events in self._poll.poll(max(left_s, 0) * 1000):
                self._attend(fd, events)
            if left_s <= 0:
                return

    def close(self, most_s: float) -> None:
        """Hand over whom the kernel has let in, stop listening, and wait until all were taken."""
        end = self._clock() + most_s
        while not self._homeless and self._accept():
            self._house()
        with suppress(KeyError):
            self._poll.unregister(self._door)
        self._door.close()
        while self._is_owing and self._clock() < end:
            self._house()
            for fd, events in self._poll.poll(10):
                self._attend(fd, events)
        for place, channel in enumerate(self._channels):
            if channel is not None:
                for connection, _ in channel.untaken:  # the worker has its own copy in the channel
                    connection.close()
                channel.untaken.clear()
                self.leave(place)
        for connection in self._homeless:
            connection.close()
        self._loads.close()

    @property
    def _is_owing(self) -> bool:
        return bool(self._homeless) or any(one and one.untaken for one in self._channels)

    def _attend(self, fd: int, events: int) -> None:
        place = self._places.get(fd)
        if place is not None:
            self._hear(place)
            if events & _BROKEN:
                self.leave(place)
        elif fd == self._door.fileno():
            for _ in range(_MOST_A_TURN):
                if not self._accept():
                    break
                self._house()

    def _listen_if_room(self) -> None:
        """Look at the door only while a connection could be given to somebody."""
        has_room = not self._homeless and self._clock() >= self._resume_at
        if has_room and any(self._candidate(place) for place in range(len(self._channels))):
            self._poll.register(self._door, select.POLLIN)
        else:
            with suppress(KeyError):
                self._poll.unregister(self._door)

    def _accept(self) -> bool:
        """Take one connection from the kernel, if there is one and nobody waits already."""
        if self._homeless:
            return False
        try:
            connection, _ = self._door.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError as error:
            self._resume_at = self._clock() + _PAUSE_S
            self._tell(f"accepting failed: {error.strerror}")
            return False
        self._homeless.append(connection)
        return True

    def _house(self) -> None:
        """Give whoever waits to the worker that carries least."""
        while self._homeless:
            for each in range(len(self._channels)):  # or what was just taken would count twice
                self._hear(each)
            candidates = [self._candidate(place) for place in range(len(self._channels))]
            place = choose(candidates, after=self._last)
            if place is None:
                return
            if self._hand(place, self._homeless[0]):
                self._last = place
                self._homeless.popleft()

    def _candidate(self, place: int) -> Candidate | None:
        channel, now = self._channels[place], self._clock()
        if channel is None or len(channel.untaken) >= MOST_UNTAKEN or channel.full_until > now:
            return None
        load = self._loads.read(place)
        untaken = channel.untaken
        is_late = bool(untaken) and now - untaken[0][1] > LATE_S
        return Candidate(load.is_ready, is_late, load.connections + len(untaken), load.rows)

    def _hand(self, place: int, connection: socket.socket) -> bool:
        channel = self._channels[place]
        assert channel is not None
        rights = array.array("i", [connection.fileno()])
        try:
            channel.ours.sendmsg([b"c"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        except BlockingIOError:
            channel.full_until = self._clock() + LATE_S
            return False
        except OSError:  # it is gone
            self.leave(place)
            return False
        channel.untaken.append((connection, self._clock()))
        return True

    def _hear(self, place: int) -> None:
        """What a worker says of the connections on its channel, in their order."""
        channel = self._channels[place]
        while channel is not None and channel.untaken:
            try:
                word = channel.ours.recv(1)
            except ConnectionResetError:  # told once, before what it said while it was there
                continue
            except OSError:  # nothing more to hear now
                return
            if word not in (TAKEN, NO_ROOM):
                return
            connection, _ = channel.untaken.popleft()
            if word == TAKEN:
                connection.close()
            else:
                channel.full_until = self._clock() + _PAUSE_S
                self._homeless.append(connection)
