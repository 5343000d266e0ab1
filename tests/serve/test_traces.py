"""Traces: whose requests, which spans, and that nothing of it is there when nobody asked."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.serve.calling import Asked
from torchyard.core.errors import BadUsage
from torchyard.serve.running import Ran, Waiting
from torchyard.serve.settings import Settings
from torchyard.serve.telemetry import traces as module
from torchyard.serve.telemetry.spans import SpanMaker
from torchyard.serve.telemetry.traces import MOST_WAITING, Traces, check_traces, endpoint_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collected:
    """Traces into memory; ``spans`` makes them."""

    def __init__(self, share: float = 1.0) -> None:
        self.exporter = InMemorySpanExporter()
        self.maker = SpanMaker(
            SimpleSpanProcessor(self.exporter), project="shop", worker=1, clock_offset=1000.0
        )
        self.traces = Traces(
            lambda: self.maker, share=share, clock=lambda: 0.0, chance=random.Random(3)
        )

    def spans(self) -> dict[str, ReadableSpan]:
        self.traces._make(self.maker)
        return {span.name: span for span in self.exporter.get_finished_spans()}


def parent(flags: str = "01", version: str = "00") -> dict[bytes, bytes]:
    return {b"traceparent": f"{version}-{TRACE}-{SPAN}-{flags}".encode()}


def ran(collected: Collected, *calls: Asked) -> None:
    batch = [Waiting(one, [1, 2], 10, 99.0, lambda _: None, 3.0, 99.0) for one in calls]
    collected.traces.ran(batch, Ran([], began=5.0, seconds=2.0), 8.0, 9.0)


def served(collected: Collected, call: Asked, code: str = "200") -> None:
    collected.traces.answered(call, code, 8.5)
    ran(collected, call)


def at(nanoseconds: int | None) -> float:
    assert nanoseconds is not None
    return nanoseconds / 1e9 - 1000.0


def test_a_request_becomes_a_server_span_with_its_stages_below() -> None:
    collected = Collected()
    headers = {**parent(), b"tracestate": b"vendor=1", b"x-request-id": b"req-17"}
    served(collected, Asked(arrived=2.0, headers=headers))
    spans = collected.spans()
    server = spans.pop("POST /v1/models/{}/predict")
    assert server.kind is SpanKind.SERVER
    assert (at(server.start_time), at(server.end_time)) == (2.0, 8.5)
    assert server.context is not None
    assert server.parent is not None
    assert (f"{server.context.trace_id:032x}", f"{server.parent.span_id:016x}") == (TRACE, SPAN)
    assert server.context.trace_state.get("vendor") == "1"
    assert dict(server.attributes or {}) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/v1/models/{}/predict",
        "url.path": "/v1/models/demo/predict",
        "url.scheme": "http",
        "client.address": "192.0.2.7",
        "torchyard.model": "demo",
        "torchyard.request_id": "req-17",
        "torchyard.rows": 2,
    }
    assert server.resource.attributes["service.name"] == "shop"
    assert server.resource.attributes["service.instance.id"] == "worker-1"
    stages = {name: (at(span.start_time), at(span.end_time)) for name, span in spans.items()}
    assert stages == {
        "decode": (2.0, 3.0), "queue": (3.0, 5.0), "model": (5.0, 7.0), "encode": (8.0, 9.0),
    }  # fmt: skip
    for span in spans.values():
        assert span.parent is not None
        assert span.parent.span_id == server.context.span_id
        assert span.kind is SpanKind.INTERNAL
    assert dict(spans["model"].attributes or {}) == {"torchyard.batch.rows": 2}


def test_over_grpc_the_answer_is_told_after_the_batch() -> None:
    collected = Collected()
    call = Asked(route="grpc/ModelInfer", arrived=2.0)
    ran(collected, call)
    assert collected.spans() == {}
    collected.traces.answered(call, "INTERNAL", 9.5)
    spans = collected.spans()
    server = spans["inference.GRPCInferenceService/ModelInfer"]
    assert len(spans) == 5
    assert server.attributes is not None
    assert server.attributes["rpc.system.name"] == "grpc"
    assert server.attributes["rpc.response.status_code"] == "INTERNAL"
    assert server.attributes["error.type"] == "INTERNAL"
    assert server.status.status_code is StatusCode.ERROR


def test_a_refusal_has_no_stages_and_is_no_fault_of_the_server() -> None:
    collected = Collected()
    collected.traces.answered(Asked(), "422", 1.0)
    assert collected.spans() == {}
    collected.traces.tend()
    (server,) = collected.spans().values()
    assert server.status.status_code is StatusCode.UNSET
    assert "error.type" not in (server.attributes or {})


def test_a_fault_is_an_error() -> None:
    collected = Collected()
    served(collected, Asked(), "500")
    server = collected.spans()["POST /v1/models/{}/predict"]
    assert server.status.status_code is StatusCode.ERROR
    assert (server.attributes or {})["error.type"] == "500"


def test_a_parent_decides_and_else_the_share_does() -> None:
    nobody, everybody = Collected(share=0.0), Collected(share=1.0)
    served(nobody, Asked(headers=parent("01")))
    served(everybody, Asked(headers=parent("00")))
    assert len(nobody.spans()) == 5
    assert everybody.spans() == {}
    some = Collected(share=0.25)
    for _ in range(400):
        served(some, Asked())
    assert 70 < len(some.traces._waiting) < 130


@pytest.mark.parametrize(
    "given",
    [
        b"", b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01", b"nonsense",
        f"00-{TRACE}-{SPAN}".encode(),
        f"ff-{TRACE}-{SPAN}-01".encode(), f"00-{TRACE.upper()}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(), f"00-{TRACE}-{SPAN}-01\n".encode(),
    ],
)  # fmt: skip
def test_a_parent_that_is_none_is_passed_over(given: bytes) -> None:
    collected = Collected(share=1.0)
    served(collected, Asked(headers={b"traceparent": given}))
    server = collected.spans()["POST /v1/models/{}/predict"]
    assert server.parent is None


def test_what_is_not_drawn_is_not_kept() -> None:
    collected = Collected(share=0.0)
    for route in ("/v1/models/{}/predict", "grpc/ModelInfer"):
        call = Asked(route=route)
        if route.startswith("grpc/"):
            ran(collected, call)
        collected.traces.answered(call, "200", 1.0)
        if not route.startswith("grpc/"):
            ran(collected, call)
    assert collected.traces._open == {}
    assert collected.spans() == {}


def test_too_many_at_once_are_dropped_and_counted() -> None:
    collected = Collected()
    for _ in range(MOST_WAITING + 7):
        served(collected, Asked())
    assert collected.traces.take_dropped() == 7
    assert collected.traces.take_dropped() == 0


def test_the_thread_makes_what_is_left_at_the_end() -> None:
    collected = Collected()
    collected.traces.start()
    served(collected, Asked())
    collected.traces.close()
    assert len(collected.exporter.get_finished_spans()) == 5


@pytest.mark.parametrize(
    ("setting", "environment", "found"),
    [
        ("", {}, None),
        ("http://a", {}, "http://a"),
        ("", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b"}, ""),
        ("", {"OTEL_TRACES_EXPORTER": "otlp"}, ""),
        ("http://a", {"OTEL_TRACES_EXPORTER": "none"}, None),
        ("http://a", {"OTEL_SDK_DISABLED": "TRUE"}, None),
    ],
)
def test_the_standard_variables_decide(
    setting: str, environment: dict[str, str], found: str | None
) -> None:
    assert endpoint_of(setting, environment) == found


def settings(**changes: Any) -> Settings:
    place = Path("/nowhere")
    return Settings(
        releases=place, channels_url="", trusted_keys=place, predictions=place, labels=place,
        state=place, **changes,
    )  # fmt: skip


@pytest.fixture(name="without_libraries")
def _without_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)


@pytest.mark.usefixtures("without_libraries")
def test_traces_without_the_extra_are_refused_at_the_start() -> None:
    check_traces(settings(), {})
    with pytest.raises(BadUsage) as caught:
        check_traces(settings(trace_endpoint="http://a"), {})
    assert caught.value.where == "traces"
    assert caught.value.found == "no module opentelemetry.sdk.trace"
    assert caught.value.remedy.startswith("Install them: pip install 'torchyard[otel]'")


def test_nothing_of_it_is_loaded_where_no_traces_are_asked_for() -> None:
    program = (
        "import sys, torchyard.serve.worker\n"
        "print(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
