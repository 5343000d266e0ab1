"""The ways in: connections accepted from a socket, or handed over; and the orderly end of all."""

from __future__ import annotations

import array
import asyncio
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import final

from torchyard.serve.http.connection import Listener
from torchyard.serve.http.greeting import Greetings
from torchyard.serve.processes.reception import NO_ROOM, TAKEN

_ACCEPT_AGAIN_S = 0.2

_OUTPUT = logging.getLogger("torchyard.serve")


@final
class Door:
    """Accepts connections itself, one a turn: the way in of a worker that is the only one.

    Args:
        listening: the socket to accept on.
        listener: makes the protocol of a connection.
        loop: the worker's loop.
    """

    def __init__(
        self, listening: socket.socket, listener: Listener, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._listening = listening
        self._listener = listener
        self._loop = loop
        self._greetings = Greetings(listener, loop)
        listening.setblocking(False)

    def open(self) -> None:
        """Begin to accept."""
        self._loop.add_reader(self._listening, self._accept)

    def close(self) -> None:
        """Stop accepting, after taking in those whom the kernel has let in already."""
        self._loop.remove_reader(self._listening)
        while self._accept():
            continue
        self._listener.is_draining = True
        self._listening.close()

    def tell(self) -> None:
        """Nobody asks what the only worker carries."""

    def _accept(self) -> bool:
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError as error:  # out of file descriptors: let some close first
            _OUTPUT.error("accepting failed: %s", error)
            if not self._listener.is_draining:
                self._loop.remove_reader(self._listening)
                self._loop.call_later(_ACCEPT_AGAIN_S, self._reopen)
            return False
        self._greetings.greet(connection)
        return True

    def _reopen(self) -> None:
        if not self._listener.is_draining:
            self.open()


@final
class Channel:
    """Takes connections that the supervisor accepted and hands over, see ``processes.reception``.

    Args:
        handing: this worker's end of the channel.
        listener: makes the protocol of a connection.
        loop: the worker's loop.
        told: told how many connections there are, before one more is said to be taken.
    """

    def __init__(
        self,
        handing: socket.socket,
        listener: Listener,
        loop: asyncio.AbstractEventLoop,
        told: Callable[[int], None],
    ) -> None:
        self._handing = handing
        self._listener = listener
        self._loop = loop
        self._told = told
        self._greetings = Greetings(listener, loop)
        handing.setblocking(False)

    def open(self) -> None:
        """Begin to take connections."""
        self._loop.add_reader(self._handing, self._take)

    def close(self) -> None:
        """Take what was handed over already; what comes later goes to another worker."""
        self._loop.remove_reader(self._handing)
        while self._take():
            continue
        self._listener.is_draining = True
        self._handing.close()

    def tell(self) -> None:
        """Say how many connections this worker has."""
        self._told(len(self._listener.connections) + self._greetings.count)

    def _take(self) -> bool:
        size = array.array("i").itemsize
        try:
            message, rights, _, _ = self._handing.recvmsg(1, socket.CMSG_SPACE(size))
        except BlockingIOError:
            return False
        except OSError:
            message, rights = b"", []
        if not message:  # the supervisor hands over nobody any more
            self._loop.remove_reader(self._handing)
            return False
        fds = array.array("i", rights[0][2][:size] if rights else b"")
        if fds:
            os.set_inheritable(fds[0], False)
            self._greetings.greet(socket.socket(fileno=fds[0]))
            self.tell()
        else:
            _OUTPUT.error("a connection could not be taken: out of file descriptors")
        with suppress(OSError):  # the supervisor is gone: this worker is told in another way
            self._handing.send(TAKEN if fds else NO_ROOM)
        return True


async def drain(listener: Listener, most_s: float) -> None:
    """Wait until every connection has had its answers, or until it takes too long."""
    end = listener.clock() + most_s
    await asyncio.sleep(0.01)  # let connections that were just accepted say hello
    while listener.connections and listener.clock() < end:
        listener.sweep()
        await asyncio.sleep(0.02)
