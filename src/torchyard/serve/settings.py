"""What a server is told: where things lie, where it listens, what it bounds.

The type of a setting says its range. ``check`` holds a value against it, whether it came from the
command line, from ``torchyard.toml`` (``configured.py``) or from Python.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from torchyard.core.errors import BadProject, BadUsage
from torchyard.records.evidence import AskedDevice
from torchyard.serve.admission.proxies import Proxies

Amount = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]

AUTO = ("workers", "lanes", "threads")  # left to the server where nobody sets them

_KINDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    Path: "a path",
}


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
        control_apart: whether metrics and what else is for operators has a port of its own.
        control_host: address of that port.
        control_port: that port, 0 takes a free one; None for the second one after ``port``, or a
            free one where that is taken.
        repository_control: whether loading and unloading of the model repository decide who serves,
            with an event in the channel log each; else such requests are refused.
        api_keys: file of what is kept of clients' keys; None for a server without.
        require_keys: whether a key is asked for; None to ask as soon as that file is there.
        tls_certificate: file of the server's certificate and those above it, PEM.
        tls_key: file of its private key.
        tls_client_ca: file of the authorities that clients' certificates are held against; clients
            without one are turned away.
        grpc_port: TCP port for gRPC, 0 takes a free one; None for no gRPC.
        grpc_max_calls: calls over gRPC that may be open at one worker; more are refused.
        grpc_max_calls_per_client: of one client: a key, the name in a certificate, or an address.
        workers: processes; these numbers and the next two are what a server has that nobody chose
            for, see ``tuning/settling.py``.
        threads: threads inside one model call.
        lanes: model calls that one worker runs side by side when a model is too dear for its loop.
        device: where models run: ``cuda`` is a GPU of NVIDIA's, ``auto`` one where it is there and
            worth it, see ``runtimes/devices.py``.
        max_body_bytes: largest request body; a few pictures fit the default.
        max_head_bytes: largest request head (line and headers together).
        max_rows: most rows in one request.
        max_queue_bytes: bytes of the bodies of what may wait for a model in one worker; how many
            requests may wait is decided by time alone.
        deadline_ms: how long a request may wait for its answer unless it says so itself; None to
            take it from the release's objective, see ``admission/deadlines.py``.
        max_headers: most headers in one request, by different names.
        max_connections: connections to one worker; as many as its limit of open files allows, if
            that is less.
        max_connections_per_client: of one client: an address, or the name in its certificate.
        trusted_proxies: addresses or networks, such as ``10.0.0.0/8``, whose ``X-Forwarded-For``
            says who a client is; they may have ``max_connections``.
        first_byte_timeout_s: how long a new connection may say nothing.
        head_timeout_s: longest time for a request's head to arrive.
        body_timeout_s: longest time for a request's body to arrive.
        min_body_bytes_per_s: slowest pace of a body, on average, from its fifth second on; 0 for
            none.
        idle_timeout_s: how long a connection may stay open without a request.
        drain_timeout_s: how long stopping waits for requests in flight.
        poll_s: seconds between looks at the channel log.
        segment_bytes: size at which a log segment is closed and the next one begun.
        max_log_rows: answered rows that may wait to be logged before some are dropped, counted.
        access_log: share of the ordinary answers that get a line in the output, 0 to 1.
        slow_ms: an answer that took longer gets a line in any case.
        trace_endpoint: URL of a collector that takes traces (OTLP over HTTP); where it is empty,
            OpenTelemetry's environment variables say whether there is one.
        trace_share: share of the requests that are traced, of those that come without a trace.
    """

    releases: Path
    channels_url: str
    trusted_keys: Path
    predictions: Path
    labels: Path
    state: Path
    project_name: str = "models"
    host: str = "127.0.0.1"
    port: Port = 8000
    control_apart: bool = True
    control_host: str = "127.0.0.1"
    control_port: Port | None = None
    repository_control: bool = False
    api_keys: Path | None = None
    require_keys: bool | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    grpc_port: Port | None = None
    grpc_max_calls: Count = 10_000
    grpc_max_calls_per_client: Count = 1_000
    workers: Count = 2
    threads: Count = 1
    lanes: Count = 2
    device: AskedDevice = "auto"
    max_body_bytes: Count = 32 << 20
    max_head_bytes: Count = 32 << 10
    max_rows: Count = 10_000
    max_queue_bytes: Count = 256 << 20
    deadline_ms: Count | None = None
    max_headers: Count = 100
    max_connections: Count = 10_000
    max_connections_per_client: Count = 1_000
    trusted_proxies: tuple[str, ...] = ()
    first_byte_timeout_s: Seconds = 10.0
    head_timeout_s: Seconds = 10.0
    body_timeout_s: Seconds = 60.0
    min_body_bytes_per_s: Amount = 1024
    idle_timeout_s: Seconds = 75.0
    drain_timeout_s: Seconds = 10.0
    poll_s: Seconds = 0.2
    segment_bytes: Count = 64 << 20
    max_log_rows: Count = 100_000
    access_log: Share = 0.0
    slow_ms: Count = 1_000
    trace_endpoint: str = ""
    trace_share: Share = 1.0

    def __post_init__(self) -> None:
        for name in settable():
            check(name, getattr(self, name), where=f"serve setting {name}")
        Proxies(self.trusted_proxies)  # refuses what is no address


def settable() -> Mapping[str, object]:
    """The settings that a person may set, with their defaults; the rest is the project's folder."""
    return MappingProxyType({
        field.name: field.default
        for field in dataclasses.fields(Settings)
        if field.default is not dataclasses.MISSING
    })  # fmt: skip


def check(
    name: str, value: object, *, where: str, refusal: type[BadUsage | BadProject] = BadUsage
) -> Any:
    """The value of a setting, if it may have it.

    Args:
        name: one of ``settable()``.
        value: as it was given: TOML's or JSON's kinds of values, or Python's own.
        where: the setting, as the user wrote it.
        refusal: the kind of error.

    Raises:
        BadUsage: it is of another kind or out of range; or ``refusal``, if that is another.
    """
    kind = _kinds()[name]
    try:
        return msgspec.convert(value, kind, dec_hook=_revive)
    except msgspec.ValidationError as error:
        raise refusal(
            where=where,
            found=repr(value) if isinstance(value, str) else str(value),
            expected=wanted(name),
            remedy=f"Give {name} such a value, or leave it out: {default_of(name)}.",
        ) from error


def default_of(name: str) -> object:
    """What a setting is when nobody sets it; ``"auto"`` where the server chooses."""
    return "auto" if name in AUTO else settable()[name]


def wanted(name: str) -> str:
    """What a setting may be, in words.

    Example:
        >>> wanted("port"), wanted("workers"), wanted("host")
        ('a whole number, 0 to 65535', 'a whole number, 1 or more', 'a text')
    """
    return _words(_kinds()[name])


def _words(kind: Any) -> str:
    """A type in words; None is a setting left out, which no file can write."""
    parts = get_args(kind)
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, parts))
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_words(part) for part in parts if part is not NoneType)
    if get_origin(kind) is tuple:
        return "a list of texts"
    if hasattr(kind, "__metadata__"):
        return ", ".join([_words(parts[0]), *(_range(note) for note in parts[1:])])
    return _KINDS.get(kind, str(kind))


def _range(bounds: Meta) -> str:
    if bounds.le is None:
        return f"{bounds.ge} or more"
    if bounds.gt is not None:
        return f"more than {bounds.gt}, at most {bounds.le}"
    return f"{bounds.ge} to {bounds.le}"


@cache
def _kinds() -> Mapping[str, Any]:
    return get_type_hints(Settings, include_extras=True)


class WorkerStart(msgspec.Struct, frozen=True, kw_only=True):
    """What a supervisor tells a worker, as one JSON line on its standard input.

    ``worker`` counts from 0. ``socket`` is an inherited file descriptor: where ``loads`` is one
    too, the channel on which connections are handed over, else the socket to accept on. ``journal``
    is the memory in which it leaves what it runs, ``control`` the socket to accept operators'
    connections on.
    """

    worker: int
    socket: int
    loads: int | None = None
    journal: int | None = None
    control: int | None = None
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
