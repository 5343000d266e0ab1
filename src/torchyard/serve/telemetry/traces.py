"""Which requests are traced, and what is kept of them until a thread makes spans of it.

A request that comes with a W3C ``traceparent`` is traced if its sender traces it; others are drawn
by share. Nothing of OpenTelemetry is loaded where no traces are asked for, and none of it runs on
the loop: see ``spans.py``.

Source: W3C Trace Context, https://www.w3.org/TR/trace-context/; sampling as
``parentbased_traceidratio`` in the OpenTelemetry specification.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, final

from torchyard.core.errors import BadUsage
from torchyard.serve.calls import Call
from torchyard.serve.settings import Settings
from torchyard.serve.telemetry.request_ids import NAME, well_formed

if TYPE_CHECKING:  # the supervisor checks settings of traces, and runs no model
    from torchyard.serve.running import Ran, Waiting

MOST_WAITING = 4096
FLUSH_S = 0.25
_LAST_SPANS_S = 3.0
_LIBRARIES = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter")
_PARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


@dataclass(slots=True, eq=False)
class Traced:
    """One traced request: what the spans need, and nothing of its content.

    Times are seconds on the worker's clock; ``stages`` are name, begin and end.
    """

    parent: str
    state: str
    method: str
    route: str
    model: str
    client: str
    request_id: str
    began: float
    ended: float = 0.0
    code: str = ""
    rows: int = 0
    batch_rows: int = 0
    stages: list[tuple[str, float, float]] = field(default_factory=list)


class Emit(Protocol):
    """Makes spans; ``spans.SpanMaker`` is one."""

    def emit(self, traced: Traced) -> None:
        """Make the spans of one request."""

    def close(self) -> None:
        """Send what is left."""


@final
class Traces:
    """One worker's. All but the thread's part is for the loop's thread only.

    Args:
        open_maker: loads OpenTelemetry and makes what makes spans; called in the thread.
        share: of the requests without a parent that are traced.
        clock: seconds, monotonic, as in ``Call.arrived``.
        chance: draws.

    Attributes:
        dropped: traced requests that found no room.
    """

    def __init__(
        self,
        open_maker: Callable[[], Emit],
        *,
        share: float,
        clock: Callable[[], float],
        chance: random.Random | None = None,
    ) -> None:
        self._open_maker = open_maker
        self._share = share
        self._clock = clock
        self._chance = chance or random.Random()
        self._open: dict[Call, Traced | None] = {}  # seen by one of the two who tell, not by both
        self._waiting: deque[Traced] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self.dropped = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def answered(self, call: Call, code: str, now: float) -> None:
        """A request has its answer."""
        traced = self._open[call] if call in self._open else self._begin(call)
        if traced is None:
            self._open.pop(call, None)
            return
        traced.code, traced.ended = code, now
        if traced.stages:
            self._end(call, traced)
        else:
            self._open[call] = traced  # its batch will be told next, if it was in one

    def ran(self, batch: Sequence[Waiting], ran: Ran, landed: float, now: float) -> None:
        """A batch is over: over HTTP its answers were told before, over gRPC they will be."""
        rows = sum([len(one.rows) for one in batch])
        began, ended = ran.began, ran.began + ran.seconds
        for one in batch:
            call = one.call
            if call in self._open:
                traced = self._open[call]
            elif not call.route.startswith("grpc/"):
                continue  # told before, and not drawn
            else:
                traced = self._open[call] = self._begin(call)
            if traced is None:
                continue
            traced.rows, traced.batch_rows = len(one.rows), rows
            traced.stages = [
                ("decode", call.arrived, one.queued_at),
                ("queue", one.queued_at, began),
                ("model", began, ended),
                ("encode", landed, now),
            ]
            if traced.code:
                self._end(call, traced)

    def tend(self) -> None:
        """Let go of those that no batch will be told of: they were refused before. On a timer."""
        for call, traced in list(self._open.items()):
            if traced is not None and traced.code:
                self._end(call, traced)
        if len(self._open) > MOST_WAITING:
            self.dropped += len(self._open)
            self._open.clear()

    def take_dropped(self) -> int:
        """How many found no room since the last time this was asked."""
        dropped, self.dropped = self.dropped, 0
        return dropped

    def close(self) -> None:
        """Send what is left, if somebody takes it, and end the thread."""
        self.tend()
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_LAST_SPANS_S)

    def _begin(self, call: Call) -> Traced | None:
        parent = call.header(b"traceparent")
        if parent is not None and _PARENT.fullmatch(parent):
            if not int(parent[-2:], 16) & 1:
                return None
            given, state = parent.decode("ascii"), call.header(b"tracestate") or b""
        elif self._chance.random() < self._share:
            given, state = "", b""
        else:
            return None
        return Traced(
            parent=given,
            state=state.decode("ascii", "ignore"),
            method=getattr(call, "method", "POST"),  # a protocol without methods, as gRPC, posts
            route=call.route,
            model=call.model,
            client=call.client,
            request_id=well_formed(call.header(NAME)),
            began=call.arrived,
        )

    def _end(self, call: Call, traced: Traced) -> None:
        self._open.pop(call, None)
        traced.route, traced.model = call.route, call.model
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
        else:
            self._waiting.append(traced)

    def _run(self) -> None:
        maker = self._open_maker()
        while not self._stop.wait(FLUSH_S):
            self._make(maker)
        self._make(maker)
        maker.close()

    def _make(self, maker: Emit) -> None:
        while self._waiting:
            maker.emit(self._waiting.popleft())


def traces_for(settings: Settings, worker: int, environment: Mapping[str, str]) -> Traces | None:
    """What traces a worker's requests; None where no traces are asked for."""
    endpoint = endpoint_of(settings.trace_endpoint, environment)
    if endpoint is None:
        return None

    def open_maker() -> Emit:
        from torchyard.serve.telemetry.spans import SpanMaker, exporting

        return SpanMaker(
            exporting(endpoint),
            project=settings.project_name,
            worker=worker,
            clock_offset=time.time() - time.monotonic(),
        )

    return Traces(open_maker, share=settings.trace_share, clock=time.monotonic)


def endpoint_of(setting: str, environment: Mapping[str, str]) -> str | None:
    """Where traces go; None where none are asked for, empty where OpenTelemetry knows by itself.

    Args:
        setting: the server's own; it wins.
        environment: OpenTelemetry's standard variables.

    Example:
        >>> endpoint_of("", {}) is None
        True
        >>> endpoint_of("http://collector:4318/v1/traces", {})
        'http://collector:4318/v1/traces'
        >>> endpoint_of("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"})
        ''
    """
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    exporter = environment.get("OTEL_TRACES_EXPORTER", "")
    if exporter == "none":
        return None
    if setting:
        return setting
    is_asked = exporter == "otlp" or any(environment.get(name) for name in _ENDPOINTS)
    return "" if is_asked else None


def check_traces(settings: Settings, environment: Mapping[str, str]) -> None:
    """Refuse to trace where OpenTelemetry is not installed.

    Raises:
        BadUsage: traces are asked for, and it is not.
    """
    if endpoint_of(settings.trace_endpoint, environment) is None:
        return
    for name in _LIBRARIES:
        try:
            is_there = find_spec(name) is not None
        except ModuleNotFoundError:
            is_there = False
        if not is_there:
            raise BadUsage(
                where="traces",
                found=f"no module {name}",
                expected="OpenTelemetry and its exporter",
                remedy="Install them: pip install 'torchyard[otel]', or ask for no traces.",
            )
