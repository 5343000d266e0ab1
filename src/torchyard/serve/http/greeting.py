"""From a socket that was accepted to a connection: whether it speaks TLS where it should.

Plain HTTP on a port for TLS is told so, in plain HTTP. Nothing of it is read as a request: who
could get round TLS by leaving it out would get round clients' certificates.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from functools import partial
from typing import final

from torchyard.serve.http.answers import refuse_http
from torchyard.serve.http.connection import LINGER_S, Connection, Listener

_HANDSHAKE = b"\x16"  # the type of a TLS record, its first byte: RFC 8446, section 5.1
_NEEDS_TLS = refuse_http(
    400,
    found="plain HTTP",
    expected="TLS, which this port speaks",
    remedy="Ask the same host and port with https:// in the place of http://.",
)


@final
class Greetings:
    """Makes connections of sockets; asyncio keeps no hold of the tasks that do.

    Args:
        listener: makes the protocol of a connection.
        loop: the worker's loop.
    """

    def __init__(self, listener: Listener, loop: asyncio.AbstractEventLoop) -> None:
        self._listener = listener
        self._loop = loop
        self._tasks: dict[asyncio.Task[object], Connection | None] = {}
        self._shaking = listener.crowd.alike()  # they are not among the connections yet

    @property
    def count(self) -> int:
        """Sockets that are no connections yet: a task ends some turns after it has made one."""
        made = self._listener.connections
        return sum(connection not in made for connection in self._tasks.values())

    def greet(self, accepted: socket.socket) -> None:
        """Make a connection of a socket, soon."""
        accepted.setblocking(False)
        tls = self._listener.tls
        greet = self._plain(accepted) if tls is None else self._secure(accepted, tls.context)
        task = self._loop.create_task(greet)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def _plain(self, accepted: socket.socket) -> None:
        with suppress(OSError):  # it has gone again
            await self._loop.connect_accepted_socket(self._connect, accepted)

    def _connect(self) -> Connection:
        """The connection of the socket whose task this is."""
        connection = self._listener.connect()
        task = asyncio.current_task()
        if task is not None:
            self._tasks[task] = connection
        return connection

    async def _secure(self, accepted: socket.socket, context: ssl.SSLContext) -> None:
        listener = self._listener
        try:
            client = str(accepted.getpeername()[0])
        except OSError:  # it has gone again
            accepted.close()
            return
        is_proxy = listener.proxies.trusts(client)
        refusal = self._shaking.enter(client, is_proxy=is_proxy)
        try:
            if refusal is not None or not listener.crowd.has_room_for(self._shaking.count):
                accepted.close()
            else:
                await self._answer(accepted, context)
        finally:
            self._shaking.leave(client)

    async def _answer(self, accepted: socket.socket, context: ssl.SSLContext) -> None:
        listener, loop = self._listener, self._loop
        first = await first_byte(accepted, loop, most_s=listener.limits.first_byte_s)
        with suppress(OSError):  # it has gone again, or does not speak TLS, or has no certificate
            if first == _HANDSHAKE:
                await loop.connect_accepted_socket(
                    self._connect,
                    accepted,
                    ssl=context,
                    ssl_handshake_timeout=listener.limits.head_s,
                    ssl_shutdown_timeout=LINGER_S,
                )
            elif first.isalpha():  # a method
                told = partial(Connection, listener, told=_NEEDS_TLS)
                await loop.connect_accepted_socket(told, accepted)
            else:
                accepted.close()


async def first_byte(
    accepted: socket.socket, loop: asyncio.AbstractEventLoop, *, most_s: float
) -> bytes:
    """The first byte that a client sends, left for others to read.

    Args:
        accepted: a socket that does not block.
        loop: the loop that waits for it.
        most_s: how long a client may say nothing.

    Returns:
        One byte; none if it says nothing for so long, or has gone.
    """
    try:
        async with asyncio.timeout(most_s):
            while (found := _peek(accepted)) is None:
                await _readable(accepted, loop)
    except OSError:  # a timeout is one
        return b""
    return found


def _peek(accepted: socket.socket) -> bytes | None:
    try:
        return accepted.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return None


async def _readable(accepted: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
    said = loop.create_future()
    loop.add_reader(accepted, _once, said)
    try:
        await said
    finally:
        loop.remove_reader(accepted)


def _once(said: asyncio.Future[None]) -> None:
    if not said.done():
        said.set_result(None)
