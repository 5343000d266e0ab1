"""Spans of traced requests, by OpenTelemetry's SDK. Loaded in the traces' thread, if at all.

A server span for each request, named and described by the stable semantic conventions for HTTP
(https://opentelemetry.io/docs/specs/semconv/http/http-spans/), or those for RPC where it came by
gRPC; below it a span for each stage.
"""

from __future__ import annotations

import os
from typing import final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from torchyard.serve.telemetry.traces import Traced
from torchyard.version import __version__

_OVER_GRPC = "grpc/"
_SERVICE = "inference.GRPCInferenceService"
# codes of gRPC that are the server's fault, as the conventions for RPC list them
_FAULTS = frozenset((
    "UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
))  # fmt: skip

Attributes = dict[str, str | int]


@final
class SpanMaker:
    """Makes spans and hands them to a processor.

    Args:
        processor: what takes them; ``exporting`` makes the usual one.
        project: names the service, unless the environment does.
        worker: this worker's number.
        clock_offset: seconds to add to the worker's clock for those since the epoch.
    """

    def __init__(
        self, processor: SpanProcessor, *, project: str, worker: int, clock_offset: float
    ) -> None:
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: project}
        resource = Resource.create({**named, "service.instance.id": f"worker-{worker}"})
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("torchyard", __version__)
        self._propagator = TraceContextTextMapPropagator()
        self._offset = clock_offset

    def emit(self, traced: Traced) -> None:
        """Make the spans of one request."""
        carrier = {"traceparent": traced.parent, "tracestate": traced.state}
        # an empty context: what this thread does otherwise is nobody's parent
        parent = self._propagator.extract(
            {name: value for name, value in carrier.items() if value}, Context()
        )
        span = self._tracer.start_span(
            _name(traced),
            context=parent,
            kind=SpanKind.SERVER,
            attributes=_attributes(traced),
            start_time=self._ns(traced.began),
        )
        inside = trace.set_span_in_context(span, Context())
        for name, began, ended in traced.stages:
            attributes: Attributes = {"torchyard.batch.rows": traced.batch_rows}
            child = self._tracer.start_span(
                name,
                context=inside,
                attributes=attributes if name == "model" else None,
                start_time=self._ns(began),
            )
            child.end(self._ns(max(began, ended)))
        if _is_fault(traced):
            span.set_attribute("error.type", traced.code)
            span.set_status(Status(StatusCode.ERROR))
        span.end(self._ns(max(traced.began, traced.ended)))

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()

    def _ns(self, seconds: float) -> int:
        return round((seconds + self._offset) * 1e9)


def exporting(endpoint: str) -> BatchSpanProcessor:
    """Sends spans in batches to a collector, by OTLP over HTTP.

    Args:
        endpoint: its URL, or empty to take it from the environment.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    exporter: SpanExporter = OTLPSpanExporter(endpoint=endpoint or None)
    return BatchSpanProcessor(exporter)


def _name(traced: Traced) -> str:
    if traced.route.startswith(_OVER_GRPC):
        return f"{_SERVICE}/{traced.route.removeprefix(_OVER_GRPC)}"
    return f"{traced.method} {traced.route}" if traced.route else traced.method


def _attributes(traced: Traced) -> Attributes:
    said: Attributes
    if traced.route.startswith(_OVER_GRPC):
        said = {
            "rpc.system.name": "grpc",
            "rpc.method": _name(traced),
            "rpc.response.status_code": traced.code,
        }
    else:
        said = {
            "http.request.method": traced.method,
            "http.response.status_code": int(traced.code),
            "http.route": traced.route,
            "url.path": traced.route.replace("{}", traced.model, 1),
            "url.scheme": "http",
        }
    said["client.address"] = traced.client
    for name, value in (
        ("torchyard.model", traced.model),
        ("torchyard.request_id", traced.request_id),
        ("torchyard.rows", traced.rows),
    ):
        if value:
            said[name] = value
    return said


def _is_fault(traced: Traced) -> bool:
    return traced.code in _FAULTS or (traced.code.isdigit() and int(traced.code) >= 500)
