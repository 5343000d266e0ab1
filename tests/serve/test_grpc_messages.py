"""Messages: the definition is its compiled form and others' definition; tensors survive the way."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2
from grpc_tools import protoc
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as theirs

from tests.serve.grpc_clients import raw_request, texts, typed_request
from torchyard.core.errors import BadData, BadUsage
from torchyard.serve.engine import Engine
from torchyard.serve.inference.grpc import messages
from torchyard.serve.inference.grpc.convert import (
    parameters_of,
    response,
    tensors_of,
    wishes_in,
)
from torchyard.serve.inference.grpc.messages import ModelInferRequest

FOLDER = Path(messages.__file__).parent

CONTENTS = {
    "BOOL": ("bool_contents", "?"),
    "INT8": ("int_contents", "b"),
    "INT16": ("int_contents", "h"),
    "INT32": ("int_contents", "i"),
    "INT64": ("int64_contents", "q"),
    "UINT8": ("uint_contents", "B"),
    "UINT16": ("uint_contents", "H"),
    "UINT32": ("uint_contents", "I"),
    "UINT64": ("uint64_contents", "Q"),
    "FP32": ("fp32_contents", "f"),
    "FP64": ("fp64_contents", "d"),
}


def fields_of(descriptor: Any) -> dict[str, tuple[int, int, bool]]:
    return {
        field.name: (field.number, field.type, field.is_repeated) for field in descriptor.fields
    }


def request_of(datatype: str, shape: list[int], content: bytes | list[Any]) -> Any:
    request = ModelInferRequest(model_name="demo")
    tensor = request.inputs.add(name="x", datatype=datatype, shape=shape)
    if isinstance(content, bytes):
        request.raw_input_contents.append(content)
    else:
        kind = CONTENTS.get(datatype, ("bytes_contents", ""))[0]
        getattr(tensor.contents, kind).extend(content)
    return request


def elements(request: Any) -> list[Any]:
    (tensor,) = tensors_of(request)
    data = tensor.data
    return list(data.tolist() if isinstance(data, np.ndarray) else data)


def test_the_compiled_definition_is_the_written_one(tmp_path: Path) -> None:
    made = tmp_path / "made.binpb"
    status = protoc.main(
        ["", f"-I{FOLDER}", f"--descriptor_set_out={made}", str(FOLDER / "inference.proto")]
    )
    assert status == 0
    read = descriptor_pb2.FileDescriptorSet.FromString
    kept = read((FOLDER / "inference.binpb").read_bytes())
    assert read(made.read_bytes()) == kept


def test_every_message_is_on_the_wire_what_tritons_client_has_there() -> None:
    seen = 0
    for name in (
        descriptor_pb2.FileDescriptorSet.FromString((FOLDER / "inference.binpb").read_bytes())
        .file[0]
        .message_type
    ):
        ours = messages.POOL.FindMessageTypeByName(f"inference.{name.name}")
        other = theirs.DESCRIPTOR.message_types_by_name[name.name]
        pairs = [(ours, other)]
        pairs += [(nested, other.nested_types_by_name[nested.name]) for nested in ours.nested_types]
        for one, two in pairs:
            found, known = fields_of(one), fields_of(two)
            assert {name: found[name] for name in known if name in found} == {
                name: known[name] for name in known if name in found
            }
            seen += len(found)
    assert seen > 80


@st.composite
def numbers(draw: st.DrawFn) -> tuple[str, list[int], list[Any]]:
    datatype = draw(st.sampled_from(sorted(CONTENTS)))
    shape = draw(st.lists(st.integers(0, 4), min_size=1, max_size=3))
    dtype = np.dtype(CONTENTS[datatype][1])
    if datatype == "BOOL":
        value: st.SearchStrategy[Any] = st.booleans()
    elif dtype.kind == "f":
        value = st.floats(width=8 * dtype.itemsize, allow_nan=False)  # type: ignore[arg-type]
    else:
        limits = np.iinfo(dtype)
        value = st.integers(int(limits.min), int(limits.max))
    size = math.prod(shape)
    return datatype, shape, draw(st.lists(value, min_size=size, max_size=size))


@settings(deadline=None, max_examples=60)
@given(numbers())
def test_numbers_come_out_as_they_went_in_raw_or_typed(
    tensor: tuple[str, list[int], list[Any]],
) -> None:
    datatype, shape, values = tensor
    raw = struct.pack(f"<{len(values)}{CONTENTS[datatype][1]}", *values)

    assert elements(request_of(datatype, shape, values)) == values
    assert elements(request_of(datatype, shape, raw)) == values or not values


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(max_size=5), min_size=1, max_size=5))
def test_texts_come_out_as_they_went_in_raw_or_typed(values: list[str]) -> None:
    encoded = [value.encode() for value in values]

    assert elements(request_of("BYTES", [len(values)], texts(*values))) == encoded
    assert elements(request_of("BYTES", [len(values)], encoded)) == encoded


@pytest.mark.parametrize(
    ("datatype", "content"),
    [("FP16", struct.pack("<2e", 1.5, -2.0)), ("BF16", b"\xc0\x3f\x00\xc0")],
)
def test_halves_are_read_raw(datatype: str, content: bytes) -> None:
    assert elements(request_of(datatype, [2], content)) == [1.5, -2.0]


def mixed() -> Any:
    request = typed_request([1.0])
    request.raw_input_contents.extend([b"", b"", b""])
    return request


def fewer() -> Any:
    request = raw_request([1.0])
    del request.raw_input_contents[1:]
    return request


@pytest.mark.parametrize(
    ("request_", "where", "words"),
    [
        (mixed(), r"$.inputs[0].contents", "none, as the request has raw contents"),
        (fewer(), r"$.raw_input_contents", "found 1 contents; expected 3, one for each input"),
        (request_of("FP16", [1], []), "$.inputs[0].datatype", "BOOL, UINT8"),
        (request_of("STRING", [1], b"abcd"), "$.inputs[0].datatype", "another datatype"),
        (request_of("FP32", [2], [1.0]), "$.inputs[0].contents.fp32_contents", "1 elements"),
        (request_of("FP32", [1, 2, -1], [1.0]), "$.inputs[0].shape", "none below 0"),
        (request_of("FP32", [1] * 33, [1.0]), "$.inputs[0].shape", "at most 32 sizes"),
        (request_of("FP32", [2**62, 2**62], b"abcd"), "$.inputs[0]", "found 4 bytes"),
        (request_of("FP32", [2], b"abcdefg"), "$.inputs[0]", "found 7 bytes; expected 8"),
        (request_of("BOOL", [1], b"\x02"), "$.inputs[0]", "0 or 1"),
        (request_of("BYTES", [1], b"\xff\xff\xff\xffab"), "$.inputs[0]", "too few for element 0"),
        (request_of("BYTES", [2], texts("a")), "$.inputs[0]", "1 elements"),
        (request_of("BYTES", [1], texts("a", "b")), "$.inputs[0]", "more elements"),
    ],
)
def test_contents_that_do_not_fit_are_refused(request_: Any, where: str, words: str) -> None:
    with pytest.raises((BadData, BadUsage)) as caught:
        tensors_of(request_)

    assert caught.value.where == where
    assert words in str(caught.value)


def test_elements_in_another_types_list_are_refused() -> None:
    request = typed_request([1.0])
    request.inputs[0].contents.fp32_contents.append(1.0)

    with pytest.raises(BadData, match="found fp32_contents; expected fp64_contents, as FP64 says"):
        tensors_of(request)


def test_parameters_are_read_whatever_they_hold() -> None:
    request = ModelInferRequest()
    request.parameters["text"].string_param = "a"
    request.parameters["whole"].int64_param = -3
    request.parameters["flag"].bool_param = False
    request.parameters["number"].double_param = 0.5
    request.parameters["large"].uint64_param = 2**64 - 1
    request.parameters["nothing"].SetInParent()

    assert parameters_of(request) == {
        "text": "a", "whole": -3, "flag": False, "number": 0.5, "large": 2**64 - 1
    }  # fmt: skip


@pytest.mark.parametrize("is_raw", [True, False])
def test_classes_are_given_as_texts_where_asked_for(engine: Engine, is_raw: bool) -> None:
    request = raw_request([1.0])
    request.outputs.add(name="probabilities").parameters["classification"].int64_param = 1
    answer = response(engine, "a", wishes_in(request, engine), [[0.25, 0.75]], is_raw=is_raw)

    assert (answer.outputs[0].datatype, list(answer.outputs[0].shape)) == ("BYTES", [1, 1])
    content = b"0.750000:1:late"
    if is_raw:
        assert answer.raw_output_contents[0] == struct.pack("<I", len(content)) + content
    else:
        assert list(answer.outputs[0].contents.bytes_contents) == [content]


def test_answers_do_not_go_to_shared_memory(engine: Engine) -> None:
    request = raw_request([1.0])
    output = request.outputs.add(name="probabilities")
    output.parameters["shared_memory_region"].string_param = "region"

    with pytest.raises(BadData, match="found shared memory"):
        wishes_in(request, engine)
