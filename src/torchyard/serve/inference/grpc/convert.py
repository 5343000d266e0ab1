"""Tensors from requests and answers from scores: between the protocol's messages and the rest.

The rules for rows are those of REST (``inference.tensors``), and so is the form of raw bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from torchyard.core.errors import BadData
from torchyard.serve.engine import Engine, Scores
from torchyard.serve.inference.binary import RAW_ALONE, decode, encode
from torchyard.serve.inference.choosing import answer_parameters
from torchyard.serve.inference.grpc.messages import Message, ModelInferResponse
from torchyard.serve.inference.tensors import Tensor
from torchyard.serve.predictions import Output, tensor_data

MOST_DIMENSIONS = 32

_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}

# where a list holds what the datatype holds and no more; the others are wider
_EXACT = {
    "BOOL": np.bool_,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "FP32": np.float32,
    "FP64": np.float64,
}


def tensors_of(request: Message) -> list[Tensor]:
    """The input tensors of a ``ModelInferRequest``, whichever way their elements came.

    Raises:
        BadData: elements came both ways, or in another list than the datatype's, or not as many
            as the shape says, or raw bytes cannot be those of the datatype.
    """
    inputs, raw = request.inputs, request.raw_input_contents
    if not raw:
        return [_typed(tensor, f"$.inputs[{place}]") for place, tensor in enumerate(inputs)]
    if len(raw) != len(inputs):
        expected = f"{len(inputs)}, one for each input"
        raise _refuse("$.raw_input_contents", f"{len(raw)} contents", expected)
    return [
        _raw(tensor, content, f"$.inputs[{place}]")
        for place, (tensor, content) in enumerate(zip(inputs, raw, strict=True))
    ]


def parameter(value: Message) -> str | int | float | bool:
    """What an ``InferParameter`` holds, an empty text where it holds nothing."""
    choice = value.WhichOneof("parameter_choice")
    held: str | int | float | bool = getattr(value, choice) if choice else ""
    return held


def response(
    engine: Engine, name: str, wanted: Sequence[Output], scores: Scores, *, is_raw: bool
) -> Message:
    """The ``ModelInferResponse`` that says some scores.

    Args:
        engine: who answered.
        name: the request's id.
        wanted: the outputs to give, in this order.
        scores: one list for each row.
        is_raw: whether elements go as raw bytes, not as lists of their type.
    """
    answer = ModelInferResponse(model_name=engine.model, model_version=engine.version, id=name)
    for key, text in answer_parameters(engine).items():
        answer.parameters[key].string_param = text
    for output in wanted:
        values = tensor_data(engine.task, output, scores)
        tensor = answer.outputs.add(
            name=output.name, datatype=output.datatype, shape=[len(scores), *output.shape]
        )
        if is_raw:
            answer.raw_output_contents.append(encode(values, output.datatype))
        elif output.datatype == "BYTES":
            tensor.contents.bytes_contents.extend(str(value).encode() for value in values)
        else:
            getattr(tensor.contents, _CONTENTS[output.datatype]).extend(values)
    return answer


def _raw(tensor: Message, content: bytes, where: str) -> Tensor:
    if tensor.HasField("contents"):
        raise _refuse(f"{where}.contents", "contents", "none, as the request has raw contents")
    if tensor.datatype not in _CONTENTS and tensor.datatype not in RAW_ALONE:
        raise _unknown(where, (*_CONTENTS, *RAW_ALONE))
    count = _count(tensor, where)
    data = decode(content, tensor.datatype, count=count, where=where)
    return Tensor(tensor.name, list(tensor.shape), tensor.datatype, data)


def _typed(tensor: Message, where: str) -> Tensor:
    if tensor.datatype not in _CONTENTS:
        raise _unknown(where, tuple(_CONTENTS))
    mine, count = _CONTENTS[tensor.datatype], _count(tensor, where)
    for field, _ in tensor.contents.ListFields():
        if field.name != mine:
            expected = f"{mine}, as {tensor.datatype} says"
            raise _refuse(f"{where}.contents", field.name, expected)
    values = getattr(tensor.contents, mine)
    if len(values) != count:
        expected = f"{count}, as its shape says"
        raise _refuse(f"{where}.contents.{mine}", f"{len(values)} elements", expected)
    dtype = _EXACT.get(tensor.datatype)
    data = list(values) if dtype is None else np.array(values, dtype)
    return Tensor(tensor.name, list(tensor.shape), tensor.datatype, data)


def _count(tensor: Message, where: str) -> int:
    """How many elements a tensor's shape claims; only ever compared with what is there."""
    shape = tensor.shape
    if len(shape) > MOST_DIMENSIONS or any(size < 0 for size in shape):
        expected = f"at most {MOST_DIMENSIONS} sizes, none below 0"
        raise _refuse(f"{where}.shape", "another shape", expected)
    return math.prod(shape)


def _unknown(where: str, known: Sequence[str]) -> BadData:
    return _refuse(f"{where}.datatype", "another datatype", ", ".join(known))


def _refuse(where: str, found: str, expected: str) -> BadData:
    return BadData(where=where, found=found, expected=expected, remedy="Correct the request.")
