"""Answers of the inference protocol over REST: outputs as JSON, as bytes after it, or as classes.

Sources: the binary tensor data and classification extensions,
https://github.com/triton-inference-server/server/tree/main/docs/protocol
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from torchyard.core.errors import BadData
from torchyard.serve.engine import Engine, Scores
from torchyard.serve.http.answers import Answer
from torchyard.serve.inference import binary
from torchyard.serve.inference.bodies import InferBody, Parameters
from torchyard.serve.inference.choosing import answer_parameters, wanted_outputs
from torchyard.serve.predictions import Output, tensor_data

BYTES_TYPE = b"application/octet-stream"


class Wish(NamedTuple):
    """An output as a client wants it.

    ``most`` is how many of the most probable classes it shall name, None for the tensor itself.
    """

    output: Output
    is_binary: bool
    most: int | None = None


def wishes_of(request: InferBody, engine: Engine) -> list[Wish]:
    """The outputs that a request wants, in its order; all of them when it names none.

    Raises:
        BadData: there is no such output, or a parameter is not what it should be.
    """
    is_binary = _flag(request.parameters, "binary_data_output", "$.parameters") or False
    if not request.outputs:
        return [Wish(output, is_binary) for output in wanted_outputs(engine, ())]
    outputs = wanted_outputs(engine, [wanted.name for wanted in request.outputs])
    wishes = []
    for place, (output, wanted) in enumerate(zip(outputs, request.outputs, strict=True)):
        where = f"$.outputs[{place}].parameters"
        own = _flag(wanted.parameters, "binary_data", where)
        most = _most(wanted.parameters, output, engine, where)
        wishes.append(Wish(output, is_binary if own is None else own, most))
    return wishes


def answer_of(engine: Engine, name: str, wishes: Sequence[Wish], scores: Scores) -> Answer:
    """The answer to a request.

    Args:
        engine: who answered.
        name: the request's id.
        wishes: the outputs, in the order in which they are given.
        scores: one list for each row.
    """
    tensors, pieces = [], []
    for wish in wishes:
        tensor, piece = _told(engine, wish, scores)
        tensors.append(tensor)
        pieces.append(piece)
    text = msgspec.json.encode(
        {
            "model_name": engine.model,
            "model_version": engine.version,
            "id": name,
            "parameters": answer_parameters(engine),
            "outputs": tensors,
        }
    )
    if not any(wish.is_binary for wish in wishes):
        return Answer(200, text)
    header = ((binary.HEADER, b"%d" % len(text)),)
    return Answer(200, b"".join([text, *pieces]), BYTES_TYPE, header)


def _told(engine: Engine, wish: Wish, scores: Scores) -> tuple[dict[str, object], bytes]:
    """An output's JSON, and the bytes that follow it."""
    output, datatype, shape = wish.output, str(wish.output.datatype), list(wish.output.shape)
    values = tensor_data(engine.task, output, scores)
    if wish.most is not None:
        values = _named(values, engine.task.classes, wish.most)
        datatype, shape = "BYTES", [wish.most]
    told = {"name": output.name, "datatype": datatype, "shape": [len(scores), *shape]}
    if not wish.is_binary:
        return {**told, "data": values}, b""
    content = binary.encode(values, datatype)
    return {**told, "parameters": {"binary_data_size": len(content)}}, content


def _named(values: Sequence[object], classes: Sequence[str], most: int) -> list[object]:
    """``value:index:class`` of every row's most probable classes; empty where none is given."""
    named: list[object] = []
    for start in range(0, len(values), len(classes)):
        row = [float(str(value)) for value in values[start : start + len(classes)]]
        order = sorted(range(len(row)), key=lambda place: -row[place])[:most]
        named += [
            "" if math.isnan(row[place]) else f"{row[place]:f}:{place}:{classes[place]}"
            for place in order
        ]
    return named


def _flag(parameters: Parameters | None, name: str, where: str) -> bool | None:
    flag = parameters.get(name) if parameters else None
    if flag is None or isinstance(flag, bool):
        return flag
    raise _refusal(f"{where}.{name}", "something else", "true or false")


def _most(parameters: Parameters | None, output: Output, engine: Engine, where: str) -> int | None:
    most = parameters.get("classification") if parameters else None
    if not most:
        return None
    classes = engine.task.classes
    if output.name != engine.task.output_name or not classes:
        raise _refusal(f"{where}.classification", f"'{output.name}'", "probabilities of classes")
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise _refusal(f"{where}.classification", "something else", "a number of classes")
    return min(most, len(classes))


def _refusal(where: str, found: str, expected: str) -> BadData:
    return BadData(where=where, found=found, expected=expected, remedy="Correct the request body.")
