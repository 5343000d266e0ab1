"""Calls over gRPC without a client library of the protocol: stubs, messages, whole requests."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc

from torchyard.serve.inference.grpc import messages
from torchyard.serve.inference.grpc.messages import ModelInferRequest

PATIENCE_S = 20.0
MODEL = "demo"
DEPARTS = "2026-02-01T09:30:00"

Stub = Callable[..., Any]


@contextmanager
def channel_to(port: int) -> Iterator[Any]:
    """A channel of its own connection."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield channel


def stub(channel: Any, name: str) -> Stub:
    """A call that takes a message or bytes and answers with a message."""
    answer = messages.POOL.FindMethodByName(f"{messages.SERVICE}.{name}").output_type.name
    kind = "stream_stream" if name == "ModelStreamInfer" else "unary_unary"
    call: Stub = getattr(channel, kind)(
        f"/{messages.SERVICE}/{name}",
        request_serializer=lambda one: one if isinstance(one, bytes) else one.SerializeToString(),
        response_deserializer=getattr(messages, answer).FromString,
    )
    return call


def texts(*values: str) -> bytes:
    """Elements of BYTES, raw."""
    return b"".join(struct.pack("<I", len(value.encode())) + value.encode() for value in values)


def raw_request(distances: Sequence[float], **more: Any) -> Any:
    """A request for the sample model, its tensors as raw bytes."""
    rows = len(distances)
    request = ModelInferRequest(model_name=MODEL, **more)
    contents = {
        ("distance", "FP64"): struct.pack(f"<{rows}d", *distances),
        ("carrier", "BYTES"): texts(*["DL"] * rows),
        ("departs", "BYTES"): texts(*[DEPARTS] * rows),
    }
    for (name, datatype), content in contents.items():
        request.inputs.add(name=name, datatype=datatype, shape=[rows])
        request.raw_input_contents.append(content)
    return request


def typed_request(distances: Sequence[float], **more: Any) -> Any:
    """The same request, its tensors as lists of their types."""
    rows = len(distances)
    request = ModelInferRequest(model_name=MODEL, **more)
    distance = request.inputs.add(name="distance", datatype="FP64", shape=[rows])
    distance.contents.fp64_contents.extend(distances)
    for name, value in (("carrier", "DL"), ("departs", DEPARTS)):
        tensor = request.inputs.add(name=name, datatype="BYTES", shape=[rows])
        tensor.contents.bytes_contents.extend([value.encode()] * rows)
    return request


def late(answer: Any) -> list[float]:
    """The probabilities of being late in an answer, raw or typed."""
    if answer.raw_output_contents:
        content = answer.raw_output_contents[0]
        values = struct.unpack(f"<{len(content) // 4}f", content)
    else:
        values = tuple(answer.outputs[0].contents.fp32_contents)
    return list(values[1::2])
