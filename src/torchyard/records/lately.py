"""How a running server does just now: what a screen of it shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What was asked of one model lately, or of all.

    ``p50_ms`` and ``p99_ms`` are None where nothing was answered.
    """

    requests_s: float
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerNumbers:
    """What one worker holds, as far as it said."""

    restarts: int
    connections: int
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lately:
    """A server's last seconds, and what it counted since its start.

    Attributes:
        all: requests to models, together.
        models: by name.
        served: model, release and variant of everything that is served.
        queue_rows: rows that wait.
        answered: requests to models since the start.
        refusals: by error code, faults (``internal``) not among them.
        faults: requests that failed by a fault of the server.
        abstentions: rows left without an answer.
        quarantined: requests that are refused because they killed workers.
        workers: by number.
    """

    all: Traffic
    models: dict[str, Traffic]
    served: tuple[tuple[str, str, str], ...]
    queue_rows: int
    answered: int
    refusals: dict[str, int]
    faults: int
    abstentions: int
    quarantined: int
    workers: dict[int, WorkerNumbers]
