"""A request without a protocol, for what lies behind the protocols."""

from __future__ import annotations

from dataclasses import dataclass, field

from torchyard.core.errors import YardError


@dataclass(eq=False)
class Asked:
    """A ``Call`` that remembers how it was answered."""

    body: bytes = b"{}"
    size_bytes: int = 10
    arrived: float = 0.0
    deadline_ms: int | None = None
    client: str = "192.0.2.7"
    route: str = "/v1/models/{}/predict"
    model: str = "demo"
    headers: dict[bytes, bytes] = field(default_factory=dict)
    refusals: list[YardError] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)

    def header(self, name: bytes) -> bytes | None:
        return self.headers.get(name)

    def refuse(self, error: YardError) -> None:
        self.refusals.append(error)

    def fail(self, incident: str) -> None:
        self.incidents.append(incident)
