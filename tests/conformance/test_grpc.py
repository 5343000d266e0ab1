"""The protocol over gRPC: every required call, both forms of contents, and what must be refused.

Source: the protocol's gRPC specification,
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_grpc.md
Messages are those of ``tritonclient``, so that the definition is not the server's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conformance.asking import RAW_ALONE, Asking, Tensor, from_bytes, to_bytes

grpc = pytest.importorskip("grpc")
pb = pytest.importorskip("tritonclient.grpc.service_pb2")
services = pytest.importorskip("tritonclient.grpc.service_pb2_grpc")

PATIENCE_S = 30.0
OURS = {"INTERNAL", "UNKNOWN", "UNAVAILABLE", "DATA_LOSS", "DEADLINE_EXCEEDED", "UNIMPLEMENTED"}
TOLERANCE = 1e-5  # between one way of asking and another

_LISTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def stub(grpc_target: str) -> Iterator[Any]:
    """The server's calls."""
    with grpc.insecure_channel(grpc_target) as channel:
        yield services.GRPCInferenceServiceStub(channel)


@pytest.fixture
def infer(stub: Any, model: str) -> Ask:
    """Asks the model; keyword arguments are fields of the request."""

    def ask(request: Any, **fields: Any) -> Any:
        for name, value in fields.items():
            setattr(request, name, value)
        request.model_name = request.model_name or model
        return stub.ModelInfer(request, timeout=PATIENCE_S)

    return ask


def raw(tensors: list[Tensor]) -> Any:
    """A request whose elements are bytes."""
    request = pb.ModelInferRequest()
    for tensor in tensors:
        request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        request.raw_input_contents.append(to_bytes(tensor.datatype, tensor.values))
    return request


def typed(tensors: list[Tensor]) -> Any:
    """A request whose elements are in the list of their datatype."""
    if any(tensor.datatype in RAW_ALONE for tensor in tensors):
        pytest.skip("an input's datatype has no list")
    request = pb.ModelInferRequest()
    for tensor in tensors:
        one = request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        values = tensor.values
        if tensor.datatype == "BYTES":
            values = [value.encode() if isinstance(value, str) else value for value in values]
        getattr(one.contents, _LISTS[tensor.datatype]).extend(values)
    return request


def outputs(answer: Any) -> dict[str, list[Any]]:
    """The values of an answer's outputs, whichever way they came; each way as it must be."""
    if answer.raw_output_contents:
        assert len(answer.raw_output_contents) == len(answer.outputs)
        assert not any(output.HasField("contents") for output in answer.outputs)
    found = {}
    for place, output in enumerate(answer.outputs):
        if answer.raw_output_contents:
            values = from_bytes(output.datatype, answer.raw_output_contents[place])
        else:
            values = list(getattr(output.contents, _LISTS[output.datatype]))
            if output.datatype == "BYTES":
                values = [value.decode() for value in values]
        assert len(values) == math.prod(output.shape), f"{output.name}: not what its shape says"
        found[output.name] = values
    return found


def same(one: dict[str, list[Any]], other: dict[str, list[Any]]) -> bool:
    """Whether two answers say the same, but for rounding."""
    return one.keys() == other.keys() and all(
        one[name] == other[name]
        or one[name] == pytest.approx(other[name], abs=TOLERANCE, nan_ok=True)
        for name in one
    )


def code_of(ask: Ask, *args: Any, **kwargs: Any) -> str:
    """The status with which a call ends."""
    try:
        ask(*args, **kwargs)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def test_the_server_lives_and_is_ready(stub: Any) -> None:
    assert stub.ServerLive(pb.ServerLiveRequest(), timeout=PATIENCE_S).live
    assert stub.ServerReady(pb.ServerReadyRequest(), timeout=PATIENCE_S).ready


def test_the_server_says_what_it_is(stub: Any, server_metadata: dict[str, Any]) -> None:
    told = stub.ServerMetadata(pb.ServerMetadataRequest(), timeout=PATIENCE_S)

    assert (told.name, told.version) == (server_metadata["name"], server_metadata["version"])


def test_the_model_is_ready_and_another_is_not(stub: Any, model: str) -> None:
    def ready(name: str) -> bool:
        return bool(stub.ModelReady(pb.ModelReadyRequest(name=name), timeout=PATIENCE_S).ready)

    assert ready(model)
    try:
        assert not ready("no-such-model")
    except grpc.RpcError as error:
        assert error.code().name in ("NOT_FOUND", "INVALID_ARGUMENT", "UNAVAILABLE")  # noqa: PT017


def test_metadata_are_those_of_rest(stub: Any, model: str, metadata: dict[str, Any]) -> None:
    told = stub.ModelMetadata(pb.ModelMetadataRequest(name=model), timeout=PATIENCE_S)

    assert told.name == metadata["name"]
    assert list(told.versions) == metadata.get("versions", [])
    for ours, theirs in ((told.inputs, metadata["inputs"]), (told.outputs, metadata["outputs"])):
        found = [(one.name, one.datatype, list(one.shape)) for one in ours]
        assert found == [(one["name"], one["datatype"], one["shape"]) for one in theirs]


@pytest.mark.parametrize("make", [raw, typed])
@pytest.mark.parametrize("rows", [1, 3])
def test_an_answer_has_the_outputs_of_the_metadata(
    infer: Ask, asking: Asking, metadata: dict[str, Any], make: Ask, rows: int
) -> None:
    if rows > 1 and not asking.is_batched:
        pytest.skip("the model takes one row at a time")
    answer = infer(make(asking.tensors(rows=rows)), id="a")

    assert answer.id == "a"
    assert outputs(answer)
    told = {one["name"]: one for one in metadata["outputs"]}
    for output in answer.outputs:
        spec = told[output.name]
        assert output.datatype == spec["datatype"]
        assert len(output.shape) == len(spec["shape"])
        assert all(
            want in (-1, size) for want, size in zip(spec["shape"], output.shape, strict=True)
        )
        if asking.is_batched and spec["shape"][:1] == [-1]:
            assert output.shape[0] == rows


def test_raw_and_typed_contents_mean_the_same(infer: Ask, asking: Asking) -> None:
    tensors = asking.tensors(seed=1)

    assert same(outputs(infer(raw(tensors))), outputs(infer(typed(tensors))))


def test_rest_and_grpc_answer_alike(infer: Ask, asking: Asking, client: Any, model: str) -> None:
    body = {"inputs": asking.inputs(seed=2)}
    told = client.post(f"/v2/models/{model}/infer", json=body).json()

    found = outputs(infer(raw(asking.tensors(seed=2))))
    for output in told["outputs"]:
        assert same({"": found[output["name"]]}, {"": output["data"]})


def test_some_outputs_may_be_asked_for(
    infer: Ask, asking: Asking, metadata: dict[str, Any]
) -> None:
    last = metadata["outputs"][-1]["name"]
    request = raw(asking.tensors())
    request.outputs.add(name=last)

    assert list(outputs(infer(request))) == [last]


def test_a_version_of_the_metadata_answers(
    infer: Ask, asking: Asking, metadata: dict[str, Any]
) -> None:
    if not metadata.get("versions"):
        pytest.skip("the model has no versions")
    version = metadata["versions"][0]

    assert infer(raw(asking.tensors()), model_version=version).model_version == version


def test_many_at_once_get_their_own_answers(infer: Ask, asking: Asking) -> None:
    seeds = range(48)
    alone = [outputs(infer(raw(asking.tensors(seed=seed)))) for seed in seeds]
    with ThreadPoolExecutor(12) as pool:
        together = list(
            pool.map(lambda seed: infer(raw(asking.tensors(seed=seed)), id=str(seed)), seeds)
        )

    assert [answer.id for answer in together] == [str(seed) for seed in seeds]
    assert all(same(one, outputs(two)) for one, two in zip(alone, together, strict=True))


def doubled(request: Any) -> None:
    request.inputs.add().CopyFrom(request.inputs[0])
    request.raw_input_contents.append(request.raw_input_contents[0])


def mixed(request: Any) -> None:
    request.inputs[0].contents.fp32_contents.append(1.0)


def fewer_contents(request: Any) -> None:
    request.raw_input_contents.append(b"")


def cut_off(request: Any) -> None:
    request.raw_input_contents[0] = request.raw_input_contents[0][:-1]


def too_long(request: Any) -> None:
    request.raw_input_contents[0] += b"\0" * 3


def unknown_input(request: Any) -> None:
    request.inputs[0].name = "no such input"


def unknown_output(request: Any) -> None:
    request.outputs.add(name="no such output")


def unknown_datatype(request: Any) -> None:
    request.inputs[0].datatype = "FP7"


def reshaped(*shape: int) -> Callable[[Any], None]:
    def change(request: Any) -> None:
        del request.inputs[0].shape[:]
        request.inputs[0].shape.extend(shape)

    return change


@pytest.mark.parametrize(
    "change",
    [
        doubled, mixed, fewer_contents, cut_off, too_long, unknown_input, unknown_output,
        unknown_datatype, reshaped(-1), reshaped(2**62), reshaped(2**31, 2**31, 2**31),
        reshaped(-1, -1), reshaped(*[1] * 200),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_right_is_the_clients_fault(
    infer: Ask, asking: Asking, change: Callable[[Any], None]
) -> None:
    request = raw(asking.tensors())
    change(request)

    assert code_of(infer, request) not in {"OK", *OURS}
    assert outputs(infer(raw(asking.tensors())))


@pytest.mark.parametrize("more", [-1, 1])
def test_lists_are_as_long_as_their_shape_says(infer: Ask, asking: Asking, more: int) -> None:
    request = typed(asking.tensors())
    tensor = request.inputs[0]
    values = getattr(tensor.contents, _LISTS[tensor.datatype])
    if more < 0:
        del values[-1]
    else:
        values.append(values[0])

    assert code_of(infer, request) not in {"OK", *OURS}


def test_an_element_longer_than_its_bytes_is_refused(infer: Ask, asking: Asking) -> None:
    request = raw(asking.tensors())
    places = [place for place, one in enumerate(request.inputs) if one.datatype == "BYTES"]
    if not places:
        pytest.skip("no input is of BYTES")
    request.raw_input_contents[places[0]] = b"\xff\xff\xff\xffab"

    assert code_of(infer, request) not in {"OK", *OURS}


@pytest.mark.parametrize("datatype", RAW_ALONE)
def test_halves_have_no_list(infer: Ask, asking: Asking, datatype: str) -> None:
    request = typed(asking.tensors())
    request.inputs[0].datatype = datatype

    assert code_of(infer, request) not in {"OK", *OURS}


@pytest.mark.parametrize("name", ["no-such-model", ""])
def test_a_model_that_is_not_there_is_not_found(stub: Any, asking: Asking, name: str) -> None:
    request = raw(asking.tensors())
    request.model_name = name

    assert code_of(stub.ModelInfer, request, timeout=PATIENCE_S) not in {
        "OK",
        *(OURS - {"UNAVAILABLE"}),
    }


def test_a_version_that_is_not_there_is_not_found(infer: Ask, asking: Asking) -> None:
    code = code_of(infer, raw(asking.tensors()), model_version="987654321")

    assert code not in {"OK", *(OURS - {"UNAVAILABLE"})}


def test_bytes_that_are_no_message_are_refused(
    grpc_target: str, infer: Ask, asking: Asking
) -> None:
    with grpc.insecure_channel(grpc_target) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        assert code_of(call, b"\xff\xff\xff\xff", timeout=PATIENCE_S) != "OK"
    assert outputs(infer(raw(asking.tensors())))


def test_a_call_that_the_protocol_does_not_have_is_unimplemented(grpc_target: str) -> None:
    with grpc.insecure_channel(grpc_target) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelDance")
        assert code_of(call, b"", timeout=PATIENCE_S) == "UNIMPLEMENTED"


def test_a_stream_answers_every_request(
    stub: Any, model: str, asking: Asking, needs_stream: None
) -> None:
    requests = [raw(asking.tensors(seed=seed)) for seed in range(5)]
    for number, request in enumerate(requests):
        request.model_name, request.id = model, str(number)
    parts = list(stub.ModelStreamInfer(iter(requests), timeout=PATIENCE_S))

    assert not any(part.error_message for part in parts)
    assert sorted(part.infer_response.id for part in parts) == [str(seed) for seed in range(5)]


def test_statistics_are_counted(
    stub: Any, infer: Ask, asking: Asking, model: str, needs_extension: Callable[[str], None]
) -> None:
    """Statistics extension, ModelStatistics: of a model, of every model, of none that is not."""
    needs_extension("statistics")

    def ask(**fields: str) -> Any:
        request = pb.ModelStatisticsRequest(**fields)
        return stub.ModelStatistics(request, timeout=PATIENCE_S).model_stats

    infer(raw(asking.tensors()))
    told = ask(name=model)
    assert {one.name for one in told} == {model}
    assert {one.version for one in told} == {one.version for one in ask() if one.name == model}
    for one in told:
        assert one.inference_stats.success.count == one.inference_stats.compute_infer.count
        assert one.inference_count >= one.execution_count
        for batch in one.batch_stats:
            assert batch.compute_infer.count > 0
    assert code_of(ask, name="no-such-model") not in ("OK", *OURS)


@pytest.fixture
def needs_stream(stub: Any) -> None:
    """Skips where the server does not have the streaming call, which Triton adds."""
    try:
        list(stub.ModelStreamInfer(iter(()), timeout=PATIENCE_S))
    except grpc.RpcError as error:
        if error.code().name == "UNIMPLEMENTED":
            pytest.skip("the server has no ModelStreamInfer")
        raise
