"""From a module to ONNX, and from feature graph and model to one file.

The merged file's inputs are the raw fields, its output the calibrated answers: plain ONNX Runtime
runs it without torchyard. Host steps of the feature graph stay in the file's metadata, and
what they make stays an input.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto, compose, helper

from torchyard.features.encode import OUTPUT_PREFIX
from torchyard.features.export import IR_VERSION, export
from torchyard.optimize.nodes import add_calibration
from torchyard.records.calibration import Calibration
from torchyard.records.schema import Task
from torchyard.runtimes.programs import LOGITS

if TYPE_CHECKING:
    import torch
    from torch import nn

_PREFIX = "model/"


def export_module(module: nn.Module, sample: Mapping[str, torch.Tensor], path: Path) -> None:
    """Export a module in evaluation mode; inputs are named as the sample, output ``logits``.

    Args:
        module: takes feature tensors by name.
        sample: at least two rows of every tensor, to trace with.
        path: where the ONNX file goes.

    Raises:
        BadModel: the exporter cannot follow the module.
    """
    import torch

    rows = torch.export.Dim("rows")
    export(
        by_name(module), (), path, where=f"{type(module).__name__}, export to ONNX",
        kwargs={"tensors": dict(sample)}, rows={"tensors": {name: {0: rows} for name in sample}},
        input_names=list(sample), output_names=[LOGITS],
    )  # fmt: skip


def by_name(module: nn.Module) -> nn.Module:
    """The module behind one parameter, because the exporter does not follow ``**tensors``."""
    from torch import nn

    class ByName(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
            logits: torch.Tensor = self.module(**tensors)
            return logits

    return ByName().eval()


def merge(features: Path, model: Path, *, task: Task, calibration: Calibration, path: Path) -> None:
    """Join feature graph, model and calibration into one file.

    Args:
        features: from raw columns to tensors.
        model: from tensors to ``logits``, ``[rows]`` or ``[rows, 1]`` of a binary task or a
            number, else ``[rows, classes]``.
        task: what is predicted.
        calibration: from logits to answers.
        path: where the merged file goes; its one output is the task's ``output_name``,
            ``float32 [rows, outputs]``.
    """
    front = onnx.load(features)
    back = onnx.load(model)
    _prefix(back.graph)
    back.ir_version = front.ir_version = IR_VERSION
    _agree_on_opsets(front, back)
    joined = compose.merge_models(
        front, back, io_map=[
            (f"{OUTPUT_PREFIX}{item.name.removeprefix(_PREFIX)}", item.name)
            for item in back.graph.input
        ],
    )  # fmt: skip
    _finish(joined, f"{_PREFIX}{LOGITS}", task=task, calibration=calibration, path=path)


def finish(model: Path, *, task: Task, calibration: Calibration, path: Path) -> None:
    """Put the calibration behind a model: from feature tensors to answers, see ``merge``."""
    body = onnx.load(model)
    body.ir_version = IR_VERSION
    _finish(body, LOGITS, task=task, calibration=calibration, path=path)


def answers_onnx(model: Path, *, task: Task, calibration: Calibration, path: Path) -> None:
    """The calibration alone: from the ``logits`` that a model gives to answers.

    Args:
        model: whose logits they are.
        task: what is predicted.
        calibration: from logits to answers.
        path: where the ONNX file goes.
    """
    exported = onnx.load(model)
    (logits,) = exported.graph.output
    named = [dim.dim_value or "rows" for dim in logits.type.tensor_type.shape.dim]
    given = helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, named)
    tail = helper.make_model(
        helper.make_graph([], "answers", [given], []),
        opset_imports=exported.opset_import, ir_version=IR_VERSION,
    )  # fmt: skip
    _finish(tail, LOGITS, task=task, calibration=calibration, path=path)


def _finish(
    model: onnx.ModelProto, logits: str, *, task: Task, calibration: Calibration, path: Path
) -> None:
    """Add the calibration, make its result the one output, and write the file."""
    name = add_calibration(model.graph, logits, calibration=calibration, task=task)
    del model.graph.output[:]
    model.graph.output.append(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", len(task.outputs)])
    )
    model.producer_name = "torchyard"
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _prefix(graph: onnx.GraphProto) -> None:
    """Put a prefix before every name of a graph and of the graphs inside its loops and branches.

    Those refer to names outside of them, which ``onnx.compose.add_prefix`` forgets.
    """
    for item in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.name = _PREFIX + item.name
    for sparse in graph.sparse_initializer:
        sparse.values.name = _PREFIX + sparse.values.name
    for node in graph.node:
        node.name = node.name and _PREFIX + node.name  # quantizers leave some without
        for names in (node.input, node.output):
            names[:] = [name and _PREFIX + name for name in names]  # "" stands for none
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _prefix(inner)


def _agree_on_opsets(front: onnx.ModelProto, back: onnx.ModelProto) -> None:
    """Give both models one set of operator versions: the newest that either has nodes of."""
    versions: dict[str, int] = {}
    for model in (front, back):
        used = {node.domain for node in model.graph.node} | {
            node.domain for function in model.functions for node in function.node
        }
        for item in model.opset_import:
            # quantizers list operator sets that no node uses, in versions of their own
            if item.domain in used:
                versions[item.domain] = max(item.version, versions.get(item.domain, 0))
    for model in (front, back):
        del model.opset_import[:]
        model.opset_import.extend(helper.make_opsetid(*pair) for pair in sorted(versions.items()))
