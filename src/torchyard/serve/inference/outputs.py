"""Answers of the inference protocol over REST: outputs as JSON, as bytes after it, or as classes.

Source: the binary tensor data extension,
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from torchyard.serve.engine import Engine, Scores
from torchyard.serve.http.answers import Answer
from torchyard.serve.inference import binary
from torchyard.serve.inference.choosing import answer_parameters
from torchyard.serve.inference.wishes import Wish, given

BYTES_TYPE = b"application/octet-stream"


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
    datatype, shape, values = given(engine, wish, scores)
    told = {"name": wish.output.name, "datatype": datatype, "shape": shape}
    if not wish.is_binary:
        return {**told, "data": values}, b""
    content = binary.encode(values, datatype)
    return {**told, "parameters": {"binary_data_size": len(content)}}, content
