"""The way in: connections accepted from the shared socket, and the orderly end of all of them."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress
from typing import final

from torchyard.serve.http.connection import Listener

_ACCEPT_AGAIN_S = 0.2

_OUTPUT = logging.getLogger("torchyard.serve")


@final
class Door:
    """Accepts connections, one a turn, so that the workers on one socket share them out.

    Args:
        listening: the socket that all workers accept on.
        listener: makes the protocol of a connection.
        loop: the worker's loop.
    """

    def __init__(
        self, listening: socket.socket, listener: Listener, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._listening = listening
        self._listener = listener
        self._loop = loop
        self._greetings: set[asyncio.Task[object]] = set()
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
        connection.setblocking(False)
        greeting = self._loop.create_task(self._greet(connection))
        self._greetings.add(greeting)
        greeting.add_done_callback(self._greetings.discard)
        return True

    def _reopen(self) -> None:
        if not self._listener.is_draining:
            self.open()

    async def _greet(self, connection: socket.socket) -> None:
        with suppress(OSError):  # it has gone again
            await self._loop.connect_accepted_socket(self._listener.connect, connection)


async def drain(listener: Listener, most_s: float) -> None:
    """Wait until every connection has had its answers, or until it takes too long."""
    end = listener.clock() + most_s
    await asyncio.sleep(0.01)  # let connections that were just accepted say hello
    while listener.connections and listener.clock() < end:
        listener.sweep()
        await asyncio.sleep(0.02)
