"""Tensors from requests and answers from scores: between the protocol's messages and the rest.

The rules for rows are those of REST (``inference.tensors``), and so is the form of raw bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from torchyard.core.errors import BadData
from torchyard.serve.engine import Engine, Scores
from torchyard.serve.inference.binary import DATATYPES, RAW_ALONE, decode, encode
from torchyard.serve.inference.bodies import MOST_DIMENSIONS, Parameters, Wanted
from torchyard.serve.inference.choosing import answer_parameters
from torchyard.serve.inference.grpc.messages import Message, ModelInferResponse
from torchyard.serve.inference.tensors import Tensor
from torchyard.serve.inference.wishes import Wish, explanation_of, given, wishes_of

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


def wishes_in(request: Message, engine: Engine) -> list[Wish]:
    """The outputs that a ``ModelInferRequest`` wants.

    Raises:
        BadData: there is no such output, or it is to go where it cannot.
    """
    wanted = [Wanted(output.name, parameters_of(output)) for output in request.outputs]
    for place, output in enumerate(wanted):
        if any(name.startswith("shared_memory") for name in output.parameters or ()):
            where = f"$.outputs[{place}].parameters"
            raise _refuse(where, "shared memory", "none, as the answer has the elements")
    return wishes_of(engine, None, wanted) + explanation_of(parameters_of(request))


def parameters_of(message: Message) -> Parameters:
    """The parameters of a request, an input or an output; those without a value are left out."""
    chosen = {
        name: value.WhichOneof("parameter_choice") for name, value in message.parameters.items()
    }
    return {
        name: getattr(message.parameters[name], choice) for name, choice in chosen.items() if choice
    }


def response(
    engine: Engine, name: str, wishes: Sequence[Wish], scores: Scores, *, is_raw: bool
) -> Message:
    """The ``ModelInferResponse`` that says some scores.

    Args:
        engine: who answered.
        name: the request's id.
        wishes: the outputs, in the order in which they are given.
        scores: one list for each row.
        is_raw: whether elements go as raw bytes, not as lists of their type.
    """
    answer = ModelInferResponse(model_name=engine.model, model_version=engine.version, id=name)
    for key, text in answer_parameters(engine).items():
        answer.parameters[key].string_param = text
    for wish in wishes:
        datatype, shape, values = given(engine.task, wish, scores)
        tensor = answer.outputs.add(name=wish.output.name, datatype=datatype, shape=shape)
        if is_raw:
            answer.raw_output_contents.append(encode(values, datatype))
        elif datatype == "BYTES":
            tensor.contents.bytes_contents.extend(str(value).encode() for value in values)
        else:
            getattr(tensor.contents, _CONTENTS[datatype]).extend(values)
    return answer


def _raw(tensor: Message, content: bytes, where: str) -> Tensor:
    if tensor.HasField("contents"):
        raise _refuse(f"{where}.contents", "contents", "none, as the request has raw contents")
    if tensor.datatype not in DATATYPES:
        raise _unknown(where, DATATYPES)
    count = _count(tensor, where)
    data = decode(content, tensor.datatype, count=count, where=where)
    return Tensor(tensor.name, list(tensor.shape), tensor.datatype, data)


def _typed(tensor: Message, where: str) -> Tensor:
    if tensor.datatype not in _CONTENTS:
        raise _unknown(where, [name for name in DATATYPES if name not in RAW_ALONE])
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
    data: Any = list(values) if dtype is None else np.array(values, dtype)
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
