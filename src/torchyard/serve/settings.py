"""What a server is told: where things lie, where it listens, what it bounds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from torchyard.core.errors import BadUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a server and its workers need to know.

    Attributes:
        releases: folder of sealed releases, each under the hex digits of its id.
        channels_url: SQLAlchemy URL of the channel log.
        trusted_keys: folder of the public keys whose seals are accepted.
        predictions: folder of the prediction log.
        labels: folder of the label log.
        state: folder of ``server.json`` and the workers' own states.
        project_name: what the server says it serves.
        host: address to listen on.
        port: TCP port; 0 takes a free one.
        workers: processes, at least 1.
        threads: threads inside one model call.
        lanes: model calls that one worker runs side by side when a model is too dear for its loop.
        max_body_bytes: largest request body; a few pictures fit the default.
        max_head_bytes: largest request head (line and headers together).
        max_rows: most rows in one request.
        max_queue_rows: rows that may wait for a model in one worker before requests are refused.
        max_queue_bytes: bytes of their bodies.
        deadline_ms: how long a request may wait for its answer unless it says so itself.
        head_timeout_s: longest time for a request's head to arrive.
        body_timeout_s: longest time for a request's body to arrive.
        idle_timeout_s: how long a connection may stay open without a request.
        drain_timeout_s: how long stopping waits for requests in flight.
        poll_s: seconds between looks at the channel log.
        segment_bytes: size at which a log segment is closed and the next one begun.
        max_log_rows: answered rows that may wait to be logged before some are dropped, counted.
    """

    releases: Path
    channels_url: str
    trusted_keys: Path
    predictions: Path
    labels: Path
    state: Path
    project_name: str = "models"
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 2
    threads: int = 1
    lanes: int = 2
    max_body_bytes: int = 32 << 20
    max_head_bytes: int = 32 << 10
    max_rows: int = 10_000
    max_queue_rows: int = 50_000
    max_queue_bytes: int = 256 << 20
    deadline_ms: int = 10_000
    head_timeout_s: float = 10.0
    body_timeout_s: float = 60.0
    idle_timeout_s: float = 75.0
    drain_timeout_s: float = 10.0
    poll_s: float = 0.2
    segment_bytes: int = 64 << 20
    max_log_rows: int = 100_000

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise _refuse("port", self.port, "0 to 65535")
        for name in ("workers", "threads", "lanes", "max_rows", "deadline_ms", "segment_bytes"):
            if getattr(self, name) < 1:
                raise _refuse(name, getattr(self, name), "1 or more")


class WorkerStart(msgspec.Struct, frozen=True, kw_only=True):
    """What a supervisor tells a worker, as one JSON line on its standard input.

    ``worker`` counts from 0; ``socket`` is the inherited file descriptor to accept on.
    """

    worker: int
    socket: int
    settings: Settings

    def to_line(self) -> bytes:
        """The start as one line of JSON, newline included."""
        return msgspec.json.encode(self, enc_hook=str) + b"\n"

    @staticmethod
    def from_line(line: bytes) -> WorkerStart:
        """Read the line back.

        Raises:
            BadUsage: a person started a worker by hand, or the supervisor is of another version.
        """
        try:
            return msgspec.json.decode(line, type=WorkerStart, dec_hook=_revive)
        except msgspec.MsgspecError as error:
            raise BadUsage(
                where="standard input of a worker",
                found=str(error),
                expected="one line that a supervisor writes",
                remedy="Start the server with: torchyard serve",
            ) from error


def _revive(kind: type, value: object) -> object:
    return kind(value)


def _refuse(name: str, found: int, expected: str) -> BadUsage:
    return BadUsage(
        where=f"serve setting {name}",
        found=str(found),
        expected=expected,
        remedy=f"Give {name} a value in that range.",
    )
