"""Hostile requests over gRPC: each gets a refusal that fits, and the server goes on."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serve.grpc_clients import (
    PATIENCE_S,
    channel_to,
    late,
    raw_request,
    stub,
    texts,
    typed_request,
)
from tests.serve.running import Place, serving
from torchyard.serve.inference.grpc.messages import ModelInferRequest

OURS = {"INTERNAL", "UNKNOWN", "UNAVAILABLE", "DATA_LOSS", "DEADLINE_EXCEEDED"}  # not the client's


@pytest.fixture(scope="module", name="port")
def _port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    place = Place(tmp_path_factory.mktemp("grpc"))
    place.post("deploy", place.seal())
    with serving(place, grpc_port=0, max_rows=100, max_body_bytes=1 << 20) as server:
        assert server.state.grpc_port is not None
        yield server.state.grpc_port
        assert [worker.pid for worker in place.workers()]


@pytest.fixture(scope="module", name="channel")
def _channel(port: int) -> Iterator[Any]:
    with channel_to(port) as channel:
        yield channel


def code_of(channel: Any, request: Any) -> str:
    """The code of an infer call; afterwards a good one is answered right."""
    infer = stub(channel, "ModelInfer")
    try:
        infer(request, timeout=PATIENCE_S)
        code = "OK"
    except grpc.RpcError as error:
        code = error.code().name
    assert late(infer(raw_request([1000]), timeout=PATIENCE_S)) == [0.5]
    return code


def changed(place: int = 0, content: bytes | None = None, **fields: Any) -> Any:
    """A good raw request of one row, one of its inputs changed."""
    request = raw_request([1000.0])
    tensor = request.inputs[place]
    for name, value in fields.items():
        if name == "shape":
            del tensor.shape[:]
            tensor.shape.extend(value)
        else:
            setattr(tensor, name, value)
    if content is not None:
        request.raw_input_contents[place] = content
    return request


def with_inputs(count: int, name: str = "distance") -> Any:
    request = raw_request([1000.0])
    for number in range(count):
        request.inputs.add(
            name=f"{name}{number if name == 'x' else ''}", datatype="FP64", shape=[1]
        )
        request.raw_input_contents.append(bytes(8))
    return request


def with_parameters(count: int) -> Any:
    request = raw_request([1000.0])
    for number in range(count):
        request.parameters[str(number)].string_param = "x"
        request.inputs[0].parameters[str(number)].int64_param = number
    return request


SHAPES: tuple[list[int], ...] = (
    [2**62],
    [1, 2**62],
    [2**31, 2**31, 2**31],
    [-1],
    [1, -(2**63)],
    [],
    [0],
    [1] * 10_000,
)
NUMBERS = (float("inf"), float("-inf"), 1e308, -1e-300, -0.5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("place", [0, 1])
def test_shapes_beyond_reason(channel: Any, shape: list[int], place: int) -> None:
    assert code_of(channel, changed(place, shape=shape)) == "INVALID_ARGUMENT"


@pytest.mark.parametrize("value", NUMBERS)
def test_numbers_beyond_the_schema(channel: Any, value: float) -> None:
    assert code_of(channel, changed(content=struct.pack("<d", value))) == "INVALID_ARGUMENT"
    assert code_of(channel, typed_request([value])) == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"\xff\xff\xff\xff",
        b"\xff\xff\xff\x7fDL",
        b"\x03\0\0\0DL",
        b"\x01\0\0\0DL",
        texts("DL", "DL"),
        texts("DL") + b"\0",
        b"\x02\0\0\0\xff\xfe",
        b"\x04\0\0\0\xf0\x9f\x98",
        texts("D" * 100_000),
        texts("'; DROP TABLE"),
        texts("DL\0"),
    ],
)
def test_texts_that_are_cut_off_or_none(channel: Any, content: bytes) -> None:
    assert code_of(channel, changed(1, content=content)) == "INVALID_ARGUMENT"


@pytest.mark.parametrize("datatype", ["", "FP8", "fp64", "BYTES", "BOOL", "INT4", "\N{SNOWMAN}"])
def test_datatypes_that_are_none_or_anothers(channel: Any, datatype: str) -> None:
    assert code_of(channel, changed(datatype=datatype)) == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "request_",
    [
        ModelInferRequest(model_name="demo"),
        with_inputs(1),
        with_inputs(10_000),
        with_inputs(10_000, "x"),
        changed(name=""),
        changed(name="x" * 100_000),
        raw_request([1.0] * 101),
        raw_request([]),
    ],
    ids=["none", "doubled", "10,000", "unknown", "unnamed", "long name", "rows", "no rows"],
)
def test_inputs_too_many_too_few_or_unknown(channel: Any, request_: Any) -> None:
    assert code_of(channel, request_) == "INVALID_ARGUMENT"


def test_parameters_are_passed_over(channel: Any) -> None:
    assert code_of(channel, with_parameters(10_000)) == "OK"


def test_what_a_client_sent_is_not_repeated_to_it(channel: Any) -> None:
    for request in (
        changed(1, content=texts("<script>")),
        changed(name="<script>"),
        changed(datatype="<script>"),
        raw_request([1], model_version="<script>"),
        ModelInferRequest(model_name="<script>"),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            stub(channel, "ModelInfer")(request, timeout=PATIENCE_S)
        assert "script" not in caught.value.details()


def test_a_small_message_that_unpacks_to_a_large_one_is_refused(port: int) -> None:
    request = raw_request([1.0], id="x")
    request.raw_input_contents[0] = bytes(64 << 20)
    options = [("grpc.max_send_message_length", -1)]
    with (
        grpc.insecure_channel(
            f"127.0.0.1:{port}", options=options, compression=grpc.Compression.Gzip
        ) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        stub(channel, "ModelInfer")(request, timeout=PATIENCE_S)
    assert caught.value.code().name == "RESOURCE_EXHAUSTED"


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=200))
def test_bytes_that_mean_nothing(channel: Any, content: bytes) -> None:
    assert code_of(channel, content) not in OURS


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_good_requests_with_bytes_changed(channel: Any, data: st.DataObject) -> None:
    make = data.draw(st.sampled_from([raw_request, typed_request]))
    content = bytearray(make([1000.0, 2.0]).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    content = content[:cut] if data.draw(st.booleans()) else content

    assert code_of(channel, bytes(content)) not in OURS


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 4096,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00" * 2,
        bytes(10_000),
    ],
)
def test_what_is_no_http2_takes_nobody_along(channel: Any, port: int, garbage: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        connection.sendall(garbage)
        assert code_of(channel, raw_request([1.0])) == "OK"
