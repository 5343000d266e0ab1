"""Bodies of infer requests: JSON, and the binary data that may follow it."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
from msgspec import Meta

from torchyard.core.errors import BadUsage
from torchyard.serve.decoding.misfit import JsonFault, misfit, not_json, place_of
from torchyard.serve.inference import binary
from torchyard.serve.inference.tensors import Tensor

KNOWN = ("inputs", "outputs", "id", "parameters", "name", "shape", "datatype", "data")
MOST_DIMENSIONS = 32

Parameters = dict[str, str | int | float | bool]
RequestId = Annotated[str, Meta(min_length=1, max_length=200)]


class JsonTensor(Tensor, forbid_unknown_fields=True):
    """One input as it comes: ``data`` is JSON that nobody has looked at, or what binary data holds.

    Attributes:
        parameters: ``binary_data_size`` among them says that the elements follow the JSON.
    """

    data: msgspec.Raw = msgspec.Raw()
    parameters: Parameters | None = None


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """An output that the client asks for."""

    name: str
    parameters: Parameters | None = None


class InferBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of an infer request."""

    inputs: Annotated[list[JsonTensor], Meta(min_length=1)]
    id: RequestId | None = None
    parameters: Parameters | None = None
    outputs: list[Wanted] | None = None
    model_name: str | None = None  # the path has it; the examples of the binary extension say both


_DECODER = msgspec.json.Decoder(InferBody)


def decode_infer(body: bytes, header: bytes | None = None) -> InferBody:
    """Read an infer body; values in JSON are not looked at yet.

    Args:
        body: whole.
        header: ``Inference-Header-Content-Length``, None where the client sent none.

    Raises:
        BadUsage: it is not JSON, or its binary data is not what sizes, shapes and datatypes say.
        BadData: it is not of the protocol's form.
    """
    text, content = binary.split(body, header)
    try:
        request = _DECODER.decode(text)
    except JsonFault as error:
        if not isinstance(error, msgspec.ValidationError):
            raise not_json(error, text) from error
        what, path = place_of(error)
        raise misfit(path, what, known=KNOWN) from error
    _attach(request.inputs, content)
    return request


def _attach(inputs: list[JsonTensor], content: memoryview) -> None:
    """Put the elements that follow the JSON into their tensors."""
    sizes = {
        place: size
        for place, tensor in enumerate(inputs)
        if (size := _size(tensor, f"$.inputs[{place}]")) is not None
    }
    pieces = binary.portions(tuple(sizes.values()), content)
    for place, piece in zip(sizes, pieces, strict=True):
        tensor, where = inputs[place], f"$.inputs[{place}]"
        if tensor.datatype not in binary.DATATYPES:
            known = ", ".join(binary.DATATYPES)
            raise _refusal(f"{where}.datatype", "another datatype", known)
        count = _count(tensor.shape, where)
        tensor.data = binary.decode(piece, tensor.datatype, count=count, where=where)  # type: ignore[assignment]


def _size(tensor: JsonTensor, where: str) -> int | None:
    """How many bytes of elements follow the JSON; None where they are in it."""
    size = tensor.parameters.get("binary_data_size") if tensor.parameters else None
    if size is None:
        if not tensor.data:
            raise misfit(where, "Object missing required field `data`", known=KNOWN)
        return None
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        where = f"{where}.parameters.binary_data_size"
        raise _refusal(where, "something else", "a number of bytes")
    if tensor.data:
        raise _refusal(where, "'data' beside 'binary_data_size'", "one of them")
    return size


def _count(shape: list[int], where: str) -> int:
    if len(shape) > MOST_DIMENSIONS or any(size < 0 for size in shape):
        expected = f"at most {MOST_DIMENSIONS} sizes, none below 0"
        raise _refusal(f"{where}.shape", "another shape", expected)
    return math.prod(shape)


def _refusal(where: str, found: str, expected: str) -> BadUsage:
    return BadUsage(
        where=where, found=found, expected=expected, remedy="Correct the request's JSON."
    )
