"""From a module to ONNX, and from feature graph and model to one file.

The merged file's inputs are the raw fields, its output the calibrated ``probabilities``: plain ONNX
Runtime runs it without torchyard.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from torchyard.core.errors import BadModel

if TYPE_CHECKING:
    import torch
    from torch import nn

OPSET = 18
_IR_VERSION = 10
_FEATURE = "feature/"
_PREFIX = "model/"
LOGITS = "logits"
PROBABILITIES = "probabilities"


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
    noise = io.StringIO()
    # the exporter narrates its progress to the terminal and warns of its own internals
    quiet = logging.getLogger("torch.onnx")
    before = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with redirect_stdout(noise), redirect_stderr(noise), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module, (), kwargs=dict(sample), dynamo=True, opset_version=OPSET,
                dynamic_shapes={name: {0: rows} for name in sample},
                input_names=list(sample), output_names=[LOGITS], external_data=False, f=str(path),
                verbose=False,
            )  # fmt: skip
    except Exception as error:
        raise BadModel(
            where=f"{type(module).__name__}, export to ONNX",
            found=_cause(error),
            expected="a forward that torch.export can follow for any number of rows",
            remedy="Take Python branches on tensor values out of forward.",
        ) from error
    finally:
        quiet.setLevel(before)


def merge(features: Path, model: Path, *, temperature: float, path: Path) -> None:
    """Join feature graph, model and calibration into one file.

    Args:
        features: from raw columns to tensors.
        model: from tensors to ``logits``, ``[rows]`` or ``[rows, 1]``.
        temperature: what logits are divided by before the sigmoid.
        path: where the merged file goes; its output is ``probabilities``, ``float32 [rows, 2]``.
    """
    front = onnx.load(features)
    back = compose.add_prefix(onnx.load(model), _PREFIX)
    back.ir_version = front.ir_version = _IR_VERSION
    _agree_on_opsets(front, back)
    joined = compose.merge_models(
        front, back, io_map=[
            (f"{_FEATURE}{item.name.removeprefix(_PREFIX)}", item.name)
            for item in back.graph.input
        ],
    )  # fmt: skip
    _calibrate(joined.graph, f"{_PREFIX}{LOGITS}", temperature)
    joined.producer_name = "torchyard"
    onnx.checker.check_model(joined)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(joined.SerializeToString(deterministic=True))


def _agree_on_opsets(front: onnx.ModelProto, back: onnx.ModelProto) -> None:
    """Give both models the union of the operator sets; where both name one, they must agree."""
    versions = {item.domain: item.version for item in front.opset_import}
    for item in back.opset_import:
        versions[item.domain] = max(item.version, versions.get(item.domain, 0))
    for model in (front, back):
        del model.opset_import[:]
        model.opset_import.extend(helper.make_opsetid(*pair) for pair in sorted(versions.items()))


def _calibrate(graph: onnx.GraphProto, logits: str, temperature: float) -> None:
    def constant(name: str, value: object, kind: type[np.generic]) -> str:
        graph.initializer.append(numpy_helper.from_array(np.array(value, dtype=kind), name))
        return name

    column = constant("calibration/column", [-1, 1], np.int64)
    divisor = constant("calibration/temperature", temperature, np.float32)
    one = constant("calibration/one", 1.0, np.float32)
    graph.node.extend([
        helper.make_node("Reshape", [logits, column], ["calibration/logits"]),
        helper.make_node("Div", ["calibration/logits", divisor], ["calibration/scaled"]),
        helper.make_node("Sigmoid", ["calibration/scaled"], ["calibration/second"]),
        helper.make_node("Sub", [one, "calibration/second"], ["calibration/first"]),
        helper.make_node("Concat", ["calibration/first", "calibration/second"], [PROBABILITIES],
                         axis=1),
    ])  # fmt: skip
    del graph.output[:]
    graph.output.append(
        helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["rows", 2])
    )


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
