"""A user's module as a part of the graph: exported with its weights, under names of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import compose, inliner

from torchyard.core.errors import BadModel
from torchyard.features.export import export
from torchyard.features.graph import Finished, Place
from torchyard.features.operation import Operation

if TYPE_CHECKING:
    from torch import nn


def _custom(place: Place) -> Finished:
    name, width = place.float32(place.numbers())
    module = place.writer.modules.get(str(place.path[0]))
    where = f"features: {place.path[0]} = ty.custom({place.transform.options['module']}())"
    if module is None:
        raise BadModel(
            where=where,
            found="no module",
            expected="the module that was declared",
            remedy="Build the features with ty.Features(...), which keeps it.",
        )
    made = _exported(module, width, where)
    (source,), (result,) = made.graph.input, made.graph.output
    sizes = [size.dim_value for size in result.type.tensor_type.shape.dim]
    kind = result.type.tensor_type.elem_type
    if kind != onnx.TensorProto.FLOAT or len(sizes) != 2 or sizes[1] < 1:
        raise BadModel(
            where=where,
            found=f"an output of type {onnx.TensorProto.DataType.Name(kind)}, sizes {sizes}",
            expected="float32 [rows, any]",
            remedy="Return one tensor with as many rows as the input.",
        )
    apart = compose.add_prefix(made, place.name("module/"))
    place.node("Identity", [name], f"module/{source.name}")
    place.writer.nodes.extend(apart.graph.node)
    place.writer.constants.extend(apart.graph.initializer)
    for item in apart.opset_import:
        place.writer.opsets.setdefault(item.domain, item.version)
    return Finished(place.name(f"module/{result.name}"), "float32", (sizes[1],))


def _exported(module: nn.Module, width: int, where: str) -> onnx.ModelProto:
    import torch

    sample = torch.linspace(-2, 2, 2 * width).reshape(2, width)
    with tempfile.TemporaryDirectory() as folder:
        path = FilePath(folder) / "module.onnx"
        export(module.eval(), (sample,), path, where=where, rows=({0: torch.export.Dim("rows")},))
        made = inliner.inline_local_functions(onnx.load(path))
    if not len(made.graph.input) == len(made.graph.output) == 1:
        raise BadModel(
            where=where,
            found=f"{len(made.graph.output)} outputs, {len(made.graph.input)} inputs that matter",
            expected="one float32 [rows, any] made from float32 [rows, width]",
            remedy="Return one tensor, computed from the input.",
        )
    return made


def check_rows(
    encoders: Mapping[str, Any], columns: Mapping[str, Any], names: Mapping[str, str]
) -> None:
    """Refuse custom transforms that drop rows, make NaN, or give a row other bits in another batch.

    Args:
        encoders: opened graphs of the same transforms, by what to call them (threads).
        columns: raw columns of real rows.
        names: the tensors of custom transforms, and what their module is called.

    Raises:
        BadModel: one of them does.
    """
    rows = len(next(iter(columns.values())))
    reference: dict[str, Any] | None = None
    for words, encoder in encoders.items():
        for size in [1, 2, 3, 5, 7, 16, 33, 64, 100, rows]:
            parts = [
                encoder.encode({name: column[k : k + size] for name, column in columns.items()})
                for k in range(0, rows, size)
            ]
            made = {name: np.concatenate([part[name] for part in parts]) for name in names}
            reference = reference or made
            for name, module in names.items():
                where = f"features: {name} = ty.custom({module}())"
                _check_numbers(made[name], rows, size, where)
                _check_bits(made[name], reference[name], f"{size} at a time, {words}", where)


def _check_numbers(made: Any, rows: int, size: int, where: str) -> None:
    if len(made) != rows:
        raise BadModel(
            where=where,
            found=f"{len(made)} rows made of {rows} when they come {size} at a time",
            expected="one row made of each",
            remedy="Return one tensor with as many rows as the input.",
        )
    if not np.isfinite(made).all():
        raise BadModel(
            where=where,
            found=f"{int((~np.isfinite(made)).sum())} of {made.size} values that are NaN or "
            "infinite, of real rows",
            expected="finite numbers",
            remedy="Keep what it divides by, or takes the root or logarithm of, above 0.",
        )


def _check_bits(made: Any, reference: Any, words: str, where: str) -> None:
    differing = int((made.view(np.int32) != reference.view(np.int32)).sum())
    if differing:
        raise BadModel(
            where=where,
            found=f"{differing} of {made.size} values that change when rows come {words}",
            expected="the same bits for a row in every batch",
            remedy="Keep to element-wise arithmetic, comparisons and look-ups; move "
            "matrix products, exponentials and the like into the model.",
        )


CUSTOM = {"custom": Operation(_custom)}
