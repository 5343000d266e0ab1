"""From a module to ONNX: the one call of PyTorch's exporter, and the versions all graphs share."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchyard.core.errors import BadModel

if TYPE_CHECKING:
    import torch
    from torch import nn

OPSET = 20
ML_OPSET = 3
IR_VERSION = 10


def export(
    module: nn.Module,
    arguments: tuple[torch.Tensor, ...],
    path: Path,
    *,
    where: str,
    rows: Any,
    **options: Any,
) -> None:
    """Export a module in evaluation mode to ONNX, quietly.

    Args:
        module: the module.
        arguments: at least two rows of every input, to trace with.
        path: where the ONNX file goes.
        where: what to call it in errors.
        rows: ``dynamic_shapes`` of ``torch.export``.
        options: what else ``torch.onnx.export`` is to be told.

    Raises:
        BadModel: the exporter cannot follow the module.
    """
    import torch

    noise = io.StringIO()
    # the exporter narrates its progress to the terminal and warns of its own internals
    quiet = logging.getLogger("torch.onnx")
    before = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with redirect_stdout(noise), redirect_stderr(noise), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module, arguments, dynamo=True, opset_version=OPSET, dynamic_shapes=rows,
                external_data=False, f=str(path), verbose=False, **options,
            )  # fmt: skip
    except Exception as error:
        raise BadModel(
            where=where,
            found=_cause(error),
            expected="a forward that torch.export can follow for any number of rows",
            remedy="Take Python branches on tensor values out of forward.",
        ) from error
    finally:
        quiet.setLevel(before)
    _forget_sources(path)


def _forget_sources(path: Path) -> None:
    """Drop the exporter's notes: they quote source files with their paths on this machine."""
    import onnx

    model = onnx.load(path)
    bodies: list[Any] = [model.graph, *model.functions]
    while bodies:
        body = bodies.pop()
        values: list[Any] = [*body.value_info, body]
        if isinstance(body, onnx.GraphProto):
            values += [*body.input, *body.output, *body.initializer]
        for item in (*values, *body.node):
            item.ClearField("metadata_props")
            item.ClearField("doc_string")
        inner = [attribute.g for node in body.node for attribute in node.attribute]
        bodies += [graph for graph in inner if graph.node]
    path.write_bytes(model.SerializeToString(deterministic=True))


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
