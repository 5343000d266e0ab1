"""What one request is to the application, whatever protocol brought it."""

from __future__ import annotations

from typing import Protocol

from torchyard.core.errors import YardError

LONGEST_DEADLINE_MS = 600_000


class Call(Protocol):
    """One request for answers.

    HTTP's is ``serve.http.connection.Exchange``. Whoever reads a protocol makes one and hands it to
    ``Application.score`` with a function that puts the scores into the protocol's words.
    """

    @property
    def arrived(self) -> float:
        """Seconds on the worker's clock when the request was whole."""

    @property
    def size_bytes(self) -> int:
        """Of its body."""

    @property
    def body(self) -> bytes:
        """As it came: a request that killed a worker is known again by it."""

    def header(self, name: bytes) -> bytes | None:
        """What the client says beside it, by lower-case name: a header, or gRPC's metadata."""

    @property
    def deadline_ms(self) -> int | None:
        """How long the client waits, None where it does not say.

        Raises:
            BadUsage: what it says is not 1 to 600,000 milliseconds.
        """

    @property
    def client(self) -> str:
        """Whom it is from, for fairness between clients and for logs: an address."""

    @property
    def route(self) -> str:
        """The route's name, for metrics and logs."""

    @property
    def model(self) -> str:
        """The model's name, empty before it is known to exist."""

    def refuse(self, error: YardError) -> None:
        """Answer with a refusal."""

    def fail(self, incident: str) -> None:
        """Answer that this worker is at fault; ``incident`` finds it in the server's output."""
