"""One call over gRPC, as the application sees it."""

from __future__ import annotations

import asyncio
from typing import Any, Self, final
from urllib.parse import unquote

from torchyard.core.errors import YardError
from torchyard.serve.calls import LONGEST_DEADLINE_MS
from torchyard.serve.inference.grpc.messages import Message
from torchyard.serve.inference.grpc.status import Status, failed, refused
from torchyard.serve.telemetry.request_ids import NAME, well_formed


@final
class GrpcCall:
    """One request and the way to answer it, once.

    Args:
        context: grpcio's ``grpc.aio.ServicerContext``.
        reply: where the answer goes; cancelled when the client is gone.
        route: ``grpc/`` and the name of the method.
        client: whom it is from: the name of its key, else in its certificate, else its address.
        arrived: seconds on the worker's clock when it began; when it was whole, once it is.

    Attributes:
        body: the request as it came, empty before and after.
        model: set by the service: the model's name, for metrics.
        headers: the metadata beside the request, names in lower case; of two of one name the first.
    """

    __slots__ = (
        "_context",
        "arrived",
        "body",
        "client",
        "headers",
        "model",
        "reply",
        "route",
        "size_bytes",
    )

    def __init__(
        self,
        context: Any,
        reply: asyncio.Future[Message | Status],
        *,
        route: str,
        client: str,
        arrived: float,
        headers: dict[bytes, bytes] | None = None,
    ) -> None:
        self._context = context
        self.reply = reply
        self.route = route
        self.client = client
        self.arrived = arrived
        self.headers = _headers_of(context) if headers is None else headers
        self.body = b""
        self.size_bytes = 0
        self.model = ""

    def hear(self, body: bytes, arrived: float) -> None:
        """Its message is there."""
        self.body = body
        self.size_bytes = len(body)
        self.arrived = arrived

    def another(self, reply: asyncio.Future[Message | Status], body: bytes, arrived: float) -> Self:
        """A request of the stream that this call is."""
        call = type(self)(
            self._context,
            reply,
            route=self.route,
            client=self.client,
            arrived=arrived,
            headers=self.headers,
        )
        call.hear(body, arrived)
        return call

    @property
    def echo(self) -> tuple[tuple[str, str], ...]:
        """What its client calls it, as metadata to go with the answer."""
        name = well_formed(self.headers.get(NAME))
        return ((NAME.decode(), name),) if name else ()

    def header(self, name: bytes) -> bytes | None:
        """What the metadata beside the request say, by lower-case name."""
        return self.headers.get(name)

    @property
    def deadline_ms(self) -> int | None:
        """How long the client waits from now on, at most ten minutes; None where it does not say.

        A deadline that has passed reads as 1 ms: gRPC ends such a call itself.
        """
        left_s: float | None = self._context.time_remaining()
        if left_s is None:
            return None
        return max(1, min(int(1000 * left_s), LONGEST_DEADLINE_MS))

    @property
    def is_late(self) -> bool:
        """Whether the client's deadline has passed."""
        left_s = self._context.time_remaining()
        return left_s is not None and left_s <= 0

    def answer(self, message: Message) -> None:
        """Answer. Nothing happens when the call has ended, by its client or by an answer."""
        self._end(message)

    def refuse(self, error: YardError) -> None:
        """Answer with a refusal."""
        self._end(refused(error))

    def fail(self, incident: str) -> None:
        """Answer that this worker is at fault."""
        self._end(failed(incident))

    def _end(self, reply: Message | Status) -> None:
        if not self.reply.done():
            self.reply.set_result(reply)
            self.body = b""  # a stream's calls wait for those before them, and may be many


def client_of(context: Any) -> str:
    """The name in the other side's verified certificate, else its address, without its port."""
    names = context.auth_context().get("x509_common_name") or ()
    return b"".join(names).decode(errors="replace") or address_of(context.peer())


def _headers_of(context: Any) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for name, value in context.invocation_metadata() or ():
        content = value if isinstance(value, bytes) else str(value).encode()
        headers.setdefault(name.encode(), content)
    return headers


def address_of(peer: str) -> str:
    """The address in what gRPC calls a peer.

    Example:
        >>> address_of("ipv4:192.0.2.7:41234"), address_of("ipv6:%5B2001:db8::7%5D:41234")
        ('192.0.2.7', '2001:db8::7')
        >>> address_of("unix:/run/models.sock")
        '/run/models.sock'
    """
    kind, _, rest = unquote(peer).partition(":")
    return rest.rpartition(":")[0].strip("[]") if kind.startswith("ipv") else rest
