"""A real server asked over gRPC, by stubs and by a client that is used everywhere, unchanged."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.serve.grpc_clients import (
    DEPARTS,
    MODEL,
    PATIENCE_S,
    channel_to,
    late,
    raw_request,
    stub,
    typed_request,
)
from tests.serve.running import Server
from torchyard.release import Release
from torchyard.serve.inference.grpc import messages
from torchyard.version import __version__


@pytest.fixture(name="port")
def _port(server: Server) -> int:
    assert server.state.grpc_port is not None
    return server.state.grpc_port


@pytest.fixture(name="channel")
def _channel(port: int) -> Iterator[Any]:
    with channel_to(port) as channel:
        yield channel


@pytest.fixture(name="client")
def _client(port: int) -> Iterator[Any]:
    with triton.InferenceServerClient(f"127.0.0.1:{port}") as client:
        yield client


def ask(channel: Any, name: str, message: Any = b"", **more: Any) -> Any:
    return stub(channel, name)(message, timeout=PATIENCE_S, **more)


def infer(channel: Any, request: Any, **more: Any) -> Any:
    return ask(channel, "ModelInfer", request, **more)


def refusal(channel: Any, name: str, message: Any, **more: Any) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        ask(channel, name, message, **more)
    return caught.value


def triton_inputs(distances: list[float]) -> list[Any]:
    columns = {
        "distance": np.array(distances, np.float64),
        "carrier": np.array(["DL"] * len(distances), np.object_),
        "departs": np.array([DEPARTS] * len(distances), np.object_),
    }
    inputs = []
    for name, column in columns.items():
        tensor = triton.InferInput(
            name, [len(distances)], "FP64" if name == "distance" else "BYTES"
        )
        tensor.set_data_from_numpy(column)
        inputs.append(tensor)
    return inputs


def test_the_port_is_announced(server: Server, port: int) -> None:
    assert f" and gRPC at 127.0.0.1:{port} with " in server.lines[-1]


def test_what_the_server_says_of_itself(channel: Any, sealed: Release) -> None:
    version = sealed.id.removeprefix("sha256:")[:12]
    metadata = ask(channel, "ModelMetadata", messages_request("ModelMetadata", name=MODEL))

    assert ask(channel, "ServerLive").live
    assert ask(channel, "ServerReady").ready
    assert ask(channel, "ServerMetadata").name == MODEL
    assert ask(channel, "ServerMetadata").version == __version__
    assert (metadata.name, list(metadata.versions)) == (MODEL, [version])
    assert [(one.name, one.datatype, list(one.shape)) for one in metadata.inputs] == [
        ("distance", "FP64", [-1, 1]),
        ("carrier", "BYTES", [-1, 1]),
        ("departs", "BYTES", [-1, 1]),
        ("seat", "BYTES", [-1, 1]),
    ]
    assert [(one.name, one.datatype, list(one.shape)) for one in metadata.outputs] == [
        ("probabilities", "FP32", [-1, 2]),
        ("label", "BYTES", [-1]),
    ]


@pytest.mark.parametrize(
    ("name", "version", "is_ready"),
    [(MODEL, "", True), (MODEL, "own", True), (MODEL, "0123456789ab", False), ("no", "", False)],
)
def test_what_is_not_there_is_not_ready(
    channel: Any, sealed: Release, name: str, version: str, is_ready: bool
) -> None:
    version = sealed.id.removeprefix("sha256:")[:12] if version == "own" else version
    request = messages_request("ModelReady", name=name, version=version)

    assert ask(channel, "ModelReady", request).ready is is_ready


def test_raw_and_typed_contents_are_answered_alike_each_in_its_form(channel: Any) -> None:
    raw, typed = infer(channel, raw_request([0, 1000])), infer(channel, typed_request([0, 1000]))

    assert late(raw) == late(typed) == pytest.approx([0.268941, 0.5], abs=1e-5)
    assert len(raw.raw_output_contents) == 2
    assert not any(output.HasField("contents") for output in raw.outputs)
    assert not typed.raw_output_contents
    assert list(typed.outputs[1].contents.bytes_contents) == [b"on time", b"late"]
    assert raw.raw_output_contents[1] == b"\x07\0\0\0on time\x04\0\0\0late"


def test_an_answer_says_who_gave_it(channel: Any, sealed: Release) -> None:
    answer = infer(channel, raw_request([1], id="order-17"))

    assert (answer.model_name, answer.id) == (MODEL, "order-17")
    assert sealed.id.startswith(f"sha256:{answer.model_version}")
    assert answer.parameters["release"].string_param == sealed.id
    assert answer.parameters["variant"].string_param == "onnx-fp32"


def test_outputs_that_are_asked_for_are_given_in_that_order(channel: Any) -> None:
    request = raw_request([1])
    request.outputs.add(name="label")

    assert [output.name for output in infer(channel, request).outputs] == ["label"]


def test_an_answer_is_logged_under_its_id_and_counted(channel: Any, server: Server) -> None:
    infer(channel, raw_request([1, 2], id="counted"))
    metrics = httpx.get(f"{server.url}/metrics").text

    assert 'code="OK",model="demo",route="grpc/ModelInfer"' in metrics


@pytest.mark.parametrize(
    ("request_", "code", "family"),
    [
        (raw_request([-1]), "INVALID_ARGUMENT", "bad_data"),
        (raw_request([1], model_version="0123456789ab"), "NOT_FOUND", "not_found"),
        (raw_request([1], id="x" * 201), "INVALID_ARGUMENT", "bad_data"),
        (messages.ModelInferRequest(model_name="no"), "NOT_FOUND", "not_found"),
        (b"\xff\xff\xff", "INVALID_ARGUMENT", "bad_usage"),
    ],
)
def test_a_refusal_has_a_code_and_a_family(
    channel: Any, request_: Any, code: str, family: str
) -> None:
    error = refusal(channel, "ModelInfer", request_)

    assert error.code().name == code
    assert dict(error.trailing_metadata())["error"] == family
    assert "found" in error.details()


def test_a_message_that_is_too_large_is_refused(channel: Any) -> None:
    error = refusal(channel, "ModelInfer", raw_request([1.0] * 20_000))

    assert error.code().name == "RESOURCE_EXHAUSTED"


def test_metadata_that_are_too_large_are_refused(channel: Any) -> None:
    error = refusal(channel, "ServerLive", b"", metadata=(("x", "y" * 40_000),))

    assert error.code().name == "RESOURCE_EXHAUSTED"


def test_a_call_that_is_none_of_the_protocols_is_refused(channel: Any) -> None:
    call = channel.unary_unary(f"/{messages.SERVICE}/ModelDance")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"", timeout=PATIENCE_S)

    assert caught.value.code().name == "UNIMPLEMENTED"


def test_many_at_once_get_their_own_answers(channel: Any) -> None:
    distances = [7.0 * number for number in range(400)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda one: infer(channel, raw_request([one], id=str(one))), distances)
        )

    assert [answer.id for answer in answers] == list(map(str, distances))
    expected = [1 / (1 + np.exp(1 - distance / 1000)) for distance in distances]
    assert [late(answer)[0] for answer in answers] == pytest.approx(expected, abs=1e-5)


def test_a_stream_is_answered_in_order_faults_included(channel: Any) -> None:
    distances = [float(number) for number in range(300)]
    requests = (raw_request([one if one != 7 else -1], id=str(one)) for one in distances)
    parts = list(stub(channel, "ModelStreamInfer")(requests, timeout=PATIENCE_S))

    assert "expected a number from 0 to 5000" in parts[7].error_message
    ids = [part.infer_response.id for part in parts]
    assert ids == [str(one) if one != 7 else "" for one in distances]


def test_a_stream_that_breaks_off_takes_nobody_along(channel: Any) -> None:
    going = threading.Event()

    def forever() -> Iterator[Any]:
        while not going.is_set():
            yield raw_request([1])

    parts = stub(channel, "ModelStreamInfer")(forever(), timeout=PATIENCE_S)
    for _ in range(5):
        next(parts)
    parts.cancel()
    going.set()

    assert late(infer(channel, raw_request([1000]))) == [0.5]


def test_the_repository_is_listed_and_not_changed(channel: Any, sealed: Release) -> None:
    # other tests may have sealed releases beside the one that serves
    (entry,) = (one for one in ask(channel, "RepositoryIndex").models if one.state == "READY")
    change = messages_request("RepositoryModelUnload", model_name=MODEL)

    assert entry.name == MODEL
    assert sealed.id.startswith(f"sha256:{entry.version}")
    error = refusal(channel, "RepositoryModelUnload", change)
    assert error.code().name == "INVALID_ARGUMENT"
    assert "torchyard undeploy" in error.details()


def test_health_is_told(channel: Any) -> None:
    check = health_pb2_grpc.HealthStub(channel).Check

    for service in ("", messages.SERVICE):
        told = check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE_S)
        assert told.status == health_pb2.HealthCheckResponse.SERVING


def test_the_service_can_be_asked_for_its_definition(channel: Any) -> None:
    ask_for = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
    request = reflection_pb2.ServerReflectionRequest
    names = ("inference.GRPCInferenceService", "grpc.health.v1.Health")
    listed, *files = ask_for(
        iter([request(list_services=""), *(request(file_containing_symbol=n) for n in names)]),
        timeout=PATIENCE_S,
    )

    assert set(names) <= {one.name for one in listed.list_services_response.service}
    assert all(file.file_descriptor_response.file_descriptor_proto for file in files)


def test_tritons_client_works_unchanged(client: Any, sealed: Release) -> None:
    answer = client.infer(MODEL, triton_inputs([0, 1000, 3000]), request_id="t")

    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert not client.is_model_ready("no")
    assert client.get_model_metadata(MODEL).name == MODEL
    assert client.get_model_repository_index().models[0].state == "READY"
    assert answer.as_numpy("probabilities").shape == (3, 2)
    assert answer.as_numpy("label").tolist() == [b"on time", b"late", b"late"]
    with pytest.raises(triton.InferenceServerException, match="a number from 0 to 5000"):
        client.infer(MODEL, triton_inputs([-1]))


def test_tritons_client_asks_what_was_counted(client: Any, sealed: Release) -> None:
    (before,) = client.get_inference_statistics(MODEL).model_stats
    client.infer(MODEL, triton_inputs([0, 1000, 3000]))
    (after,) = client.get_inference_statistics(MODEL, before.version).model_stats

    assert sealed.id.startswith(f"sha256:{after.version}")
    assert after.inference_count == before.inference_count + 3
    assert after.inference_stats.success.count == before.inference_stats.success.count + 1
    assert {size.batch_size for size in after.batch_stats} >= {3}
    assert len(client.get_inference_statistics().model_stats) == 1
    with pytest.raises(triton.InferenceServerException, match="a version without a model"):
        client.get_inference_statistics("", before.version)


def test_tritons_client_streams_unchanged(client: Any) -> None:
    seen: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: seen.put(error or result))
    for number in range(3):
        client.async_stream_infer(MODEL, triton_inputs([number]), request_id=str(number))
    answers = [seen.get(timeout=PATIENCE_S) for _ in range(3)]
    client.stop_stream()

    assert [answer.get_response().id for answer in answers] == ["0", "1", "2"]


def messages_request(method: str, **fields: Any) -> Any:
    """The request of a call."""
    (request,) = (one.request for one in messages.methods() if one.name == method)
    return request(**fields)
