"""Answers of the inference protocol over REST: outputs as JSON, as bytes after it, or as classes.

Source: the binary tensor data extension,
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from torchyard.serve.engine import Engine, Scores
from torchyard.serve.http.answers import Answer
from torchyard.serve.inference import binary
from torchyard.serve.inference.choosing import answer_parameters
from torchyard.serve.inference.wishes import Wish, given

BYTES_TYPE = b"application/octet-stream"

Reply = Callable[[str, Scores], Answer]

_ENCODE = msgspec.json.Encoder().encode


class _Told(msgspec.Struct, gc=False):
    name: str
    datatype: str
    shape: list[int]


class _Listed(_Told, gc=False):
    data: list[Any]


class _Sized(_Told, gc=False):
    parameters: dict[str, int]


class _Body(msgspec.Struct, gc=False):
    model_name: str
    model_version: str
    id: str
    parameters: msgspec.Raw
    outputs: list[_Told]


def reply_of(engine: Engine, wishes: Sequence[Wish]) -> Reply:
    """A function from a request's id and its scores, one list for each row, to its answer.

    It holds no engine: whoever keeps it does not keep that.

    Args:
        engine: who answers.
        wishes: the outputs, in the order in which they are given.
    """
    task, model, version = engine.task, engine.model, engine.version
    parameters = msgspec.Raw(_ENCODE(answer_parameters(engine)))
    is_binary = any(wish.is_binary for wish in wishes)

    def reply(name: str, scores: Scores) -> Answer:
        outputs: list[_Told] = []
        pieces = [b""]
        for wish in wishes:
            datatype, shape, values = given(task, wish, scores)
            if wish.is_binary:
                pieces.append(content := binary.encode(values, datatype))
                size = {"binary_data_size": len(content)}
                outputs.append(_Sized(wish.output.name, datatype, shape, size))
            else:
                outputs.append(_Listed(wish.output.name, datatype, shape, values))
        pieces[0] = text = _ENCODE(_Body(model, version, name, parameters, outputs))
        if not is_binary:
            return Answer(200, text)
        return Answer(200, b"".join(pieces), BYTES_TYPE, ((binary.HEADER, b"%d" % len(text)),))

    return reply
