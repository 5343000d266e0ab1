"""One connection: keep-alive, pipelining, timeouts; answers leave in the order of the requests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from math import inf
from typing import cast, final

from torchyard.core.errors import BadUsage, YardError
from torchyard.serve.admission.crowd import Crowd
from torchyard.serve.admission.proxies import Proxies
from torchyard.serve.calls import LONGEST_DEADLINE_MS
from torchyard.serve.guarding.tls import Tls, client_name
from torchyard.serve.http.answers import CONTINUE, Answer, fail, refuse, speaks_in_words
from torchyard.serve.http.reading import MOST_HEADERS, Head, KnownHeads, RequestReader, Vet
from torchyard.serve.telemetry.request_ids import NAME, well_formed

MOST_PIPELINED = 64
LINGER_S = 2.0  # how long a refused client may go on sending before its connection is cut
BODY_GRACE_S = 5.0  # before the pace of a body counts
DRAIN_IDLE_S = 0.3  # how long a stopping worker still takes requests from a connection at rest

_UNREAD = Head("", b"", {}, keeps_alive=False)
_CODES = {status.value: str(status.value) for status in HTTPStatus}


@final
class Exchange:
    """One request and the way to answer it, once.

    Attributes:
        method: upper case; HEAD is given as GET.
        path: the target without its query, not percent-decoded.
        body: whole.
        arrived: seconds on the listener's clock when it was complete.
        client: whom it is from: the name of its key, else the connection's.
        route: set by the application: the route's name, for metrics.
        model: set by the application: the model's name, for metrics.
        is_last: the connection closes after the answer.
        wire: the answer's bytes, once there is one.
    """

    __slots__ = (
        "_connection",
        "_head",
        "arrived",
        "body",
        "client",
        "is_last",
        "method",
        "model",
        "path",
        "route",
        "wire",
    )

    def __init__(self, connection: Connection, head: Head, body: bytes, arrived: float) -> None:
        self._connection = connection
        self._head = head
        self.method = "GET" if head.method == "HEAD" else head.method
        self.path = head.path
        self.body = body
        self.arrived = arrived
        self.client = connection.client
        self.is_last = not head.keeps_alive
        self.route = ""
        self.model = ""
        self.wire: bytes | None = None

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Names in lower case."""
        return self._head.headers

    @property
    def size_bytes(self) -> int:
        """Of its body."""
        return len(self.body)

    def header(self, name: bytes) -> bytes | None:
        """A header by its lower-case name; of a repeated one the last."""
        return self.headers.get(name)

    @property
    def deadline_ms(self) -> int | None:
        """How long the client waits, by the header ``X-Deadline-Ms``; None without it.

        Raises:
            BadUsage: it is not 1 to 600,000 milliseconds.
        """
        text = self._head.headers.get(b"x-deadline-ms")
        if text is None:
            return None
        if not (text.isdigit() and len(text) < 10 and 1 <= int(text) <= LONGEST_DEADLINE_MS):
            raise BadUsage(
                where="header X-Deadline-Ms",
                found="something else",
                expected=f"milliseconds, 1 to {LONGEST_DEADLINE_MS}",
                remedy="Leave it out to use the server's deadline.",
            )
        return int(text)

    def refuse(self, error: YardError) -> None:
        """Answer with a refusal."""
        self.answer(refuse(error, in_words=speaks_in_words(self.path)))

    def fail(self, incident: str) -> None:
        """Answer that this worker is at fault."""
        self.answer(fail(incident, in_words=speaks_in_words(self.path)))

    def answer(self, answer: Answer) -> None:
        """Answer. Nothing happens when the exchange was answered before."""
        if self.wire is None:
            connection, head = self._connection, self._head
            if NAME in head.headers:
                answer = answer.with_header(NAME, well_formed(head.headers[NAME]))
            self.is_last = self.is_last or connection.ends_with(self)
            self.wire = answer.to_bytes(is_last=self.is_last, without_body=head.method == "HEAD")
            connection.answered(self, answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one connection may ask for. Sizes in bytes, times in seconds."""

    head_bytes: int
    body_bytes: int
    head_s: float
    body_s: float
    idle_s: float
    first_byte_s: float = inf
    body_bytes_per_s: int = 0
    headers: int = MOST_HEADERS


@dataclass(slots=True, kw_only=True)
class Listener:
    """What all connections of a worker share.

    Attributes:
        handle: given every complete request; it must not raise.
        observe: told of every answer, with its status as text.
        limits: see ``Limits``.
        clock: seconds, monotonic.
        connections: those that are open.
        is_draining: connections end after the answers they owe.
        heads: those that were read before.
        tls: what connections are encrypted with, None for plain ones.
        vet: refuses requests before their long bodies are read.
        crowd: counts them; unbounded unless told otherwise.
        proxies: whose word about their clients is believed.
    """

    handle: Callable[[Exchange], None]
    observe: Callable[[Exchange, str], None]
    limits: Limits
    clock: Callable[[], float]
    connections: set[Connection]
    is_draining: bool = False
    heads: KnownHeads = field(default_factory=KnownHeads)
    tls: Tls | None = None
    vet: Vet | None = None
    crowd: Crowd = field(default_factory=Crowd)
    proxies: Proxies = field(default_factory=Proxies)

    @property
    def idle_s(self) -> float:
        """How long a connection may rest now."""
        return DRAIN_IDLE_S if self.is_draining else self.limits.idle_s

    def connect(self) -> Connection:
        """A protocol for a new connection."""
        return Connection(self)

    def sweep(self) -> None:
        """Close what took too long; called a few times a second."""
        now = self.clock()
        for connection in tuple(self.connections):
            connection.sweep(now)


@final
class Connection(asyncio.Protocol):
    """One client's connection.

    It ends when its reader is closed (by a refusal, by the client, by ``Connection: close``) and
    everything pending has been answered.

    Args:
        listener: what it shares with others.
        told: the answer with which it is ended, whatever it sends; None for one that is served.

    Attributes:
        client: the name in the other side's certificate, else its address, without its port.
    """

    def __init__(self, listener: Listener, told: Answer | None = None) -> None:
        self.client = ""
        self._told = told
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._reader = RequestReader(
            take=self._take,
            refuse=self._refuse,
            go_on=self._go_on,
            head_bytes=listener.limits.head_bytes,
            body_bytes=listener.limits.body_bytes,
            most_headers=listener.limits.headers,
            vet=listener.vet,
            heads=listener.heads,
        )
        self._pending: deque[Exchange] = deque()
        self._since = listener.clock()
        self._is_silent = True  # nothing was ever read from it
        self._is_proxy = False
        self._is_lingering = False
        self._is_paused = False
        self._is_blocked = False  # the client does not take its answers
        self._owes_continue = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: the connection is open."""
        self._transport = cast(asyncio.Transport, transport)
        address = str((transport.get_extra_info("peername") or ("",))[0])
        self.client = client_name(transport.get_extra_info("peercert")) or address
        self._is_proxy = self._listener.proxies.trusts(address)
        self._listener.connections.add(self)
        refusal = self._listener.crowd.enter(self.client, is_proxy=self._is_proxy)
        told = self._told if refusal is None else refuse(refusal)
        if told is not None:
            self._turn_away(told)

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio: the connection is gone; answers still to come are dropped."""
        if self._transport is not None:
            self._reader.let_go()
        self._transport = None
        self._pending.clear()
        if self in self._listener.connections:
            self._listener.connections.discard(self)
            self._listener.crowd.leave(self.client)

    def data_received(self, data: bytes) -> None:
        """Asyncio: the client sent something."""
        reader = self._reader
        if not reader.is_inside and not self._is_lingering:
            self._since = self._listener.clock()
            self._is_silent = False
        reader.feed(data)
        if len(self._pending) >= MOST_PIPELINED:
            self._pause()

    def eof_received(self) -> bool:
        """Asyncio: the client sends no more; it may still wait for answers."""
        self._reader.close()
        if self._transport is None or not self._transport.can_write_eof():
            return False  # TLS has no connection that is half closed
        return bool(self._pending) and not self._is_lingering

    def pause_writing(self) -> None:
        """Asyncio: the client does not take its answers fast enough."""
        self._is_blocked = True
        self._since = self._listener.clock()
        self._pause()

    def resume_writing(self) -> None:
        """Asyncio: the client takes its answers again."""
        self._is_blocked = False
        self._resume()

    def ends_with(self, exchange: Exchange) -> bool:
        """Whether nothing will follow this exchange."""
        if not self._pending or self._pending[-1] is not exchange:
            return False
        return self._reader.is_closed or (self._listener.is_draining and not self._reader.is_inside)

    def answered(self, exchange: Exchange, answer: Answer) -> None:
        """Send what can be sent, in order, now that this exchange has its answer."""
        self._listener.observe(exchange, _CODES[answer.status])
        pending = self._pending
        if not pending or pending[0] is not exchange:
            return
        if not self._is_blocked:
            self._since = self._listener.clock()
        while pending and (wire := pending[0].wire) is not None:
            if pending.popleft().is_last:
                self._reader.close()
            self._write(wire)
        if pending:
            return
        if self._reader.is_closed:
            self._end()
        elif self._owes_continue:
            self._owes_continue = False
            self._write(CONTINUE)
        if self._is_paused and not self._is_blocked:
            self._resume()

    def sweep(self, now: float) -> None:
        """Close the connection if what it waits for took too long."""
        limits, waited_s = self._listener.limits, now - self._since
        if self._is_lingering or self._is_blocked:
            if waited_s > (LINGER_S if self._is_lingering else limits.body_s):
                self._abort()
        elif self._reader.is_inside:
            if self._is_slow(waited_s):
                self._reader.give_up()
        elif not self._pending and waited_s > self._rest_s():
            self._close()

    def _take(self, head: Head, body: bytes) -> None:
        listener = self._listener
        exchange = Exchange(self, head, body, listener.clock())
        if self._is_proxy:
            exchange.client = listener.proxies.client(head.headers, self.client)
        if not head.keeps_alive:
            self._reader.close()
        self._pending.append(exchange)
        listener.handle(exchange)

    def _turn_away(self, told: Answer) -> None:
        """End a connection that is not served: with a word, while there is room for that."""
        self._reader.close()
        if self._listener.crowd.is_overfull:
            self._abort()
        else:
            self._refuse(told)

    def _is_slow(self, waited_s: float) -> bool:
        """Whether the rest of a request takes too long, in all or for what there is of its body."""
        limits, reader = self._listener.limits, self._reader
        if not reader.is_in_body:
            return waited_s > limits.head_s
        least_bytes = (waited_s - BODY_GRACE_S) * limits.body_bytes_per_s
        return waited_s > limits.body_s or reader.received_bytes < least_bytes

    def _rest_s(self) -> float:
        """How long the connection may say nothing."""
        idle_s = self._listener.idle_s
        return min(idle_s, self._listener.limits.first_byte_s) if self._is_silent else idle_s

    def _refuse(self, answer: Answer) -> None:
        exchange = Exchange(self, _UNREAD, b"", self._listener.clock())
        exchange.route = "unreadable"
        self._is_lingering = True
        self._pending.append(exchange)
        exchange.answer(answer)

    def _go_on(self) -> None:
        if self._pending:  # an interim answer must not overtake the answers before it
            self._owes_continue = True
        else:
            self._write(CONTINUE)

    def _end(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._is_lingering and transport.can_write_eof():
            # Closing now, with bytes unread, would reset the connection and take the answer away.
            self._since = self._listener.clock()
            transport.write_eof()
        else:
            self._close()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _write(self, content: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(content)

    def _pause(self) -> None:
        if self._transport is not None and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._transport is not None and self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
