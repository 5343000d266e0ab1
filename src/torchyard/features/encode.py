"""Running a feature graph, and fitting one: the same ONNX file for training and for serving."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.core.digest import digest_bytes
from torchyard.core.files import write_atomically
from torchyard.features.columns import Columns
from torchyard.records.schema import Schema
from torchyard.records.training import FeatureGraph, Transform

if TYPE_CHECKING:
    import polars as pl
    from torch import nn

OUTPUT_PREFIX = "feature/"

Tensor = np.ndarray[Any, np.dtype[Any]]


def fit_graph(
    transforms: Sequence[Transform],
    schema: Schema,
    chunks: Callable[[], Iterable[pl.DataFrame]],
    *,
    path: Path,
    modules: Mapping[str, nn.Module] | None = None,
) -> FeatureGraph:
    """Fit on the training split, compile, and write the ONNX file.

    Args:
        transforms: declared features.
        schema: the fields.
        chunks: gives the training rows in chunks, anew at each call: images as Binary, texts as
            String, tensors as lists of a fixed size.
        path: where the graph goes.
        modules: those of ``ty.custom``, by output.

    Raises:
        BadData: a transform has nothing to learn from.
    """
    import polars as pl

    from torchyard.features.fit import fit
    from torchyard.features.graph import build_graph

    frame = pl.concat(chunks())
    fitted = fit(transforms, schema, frame)
    content = build_graph(fitted, schema).SerializeToString(deterministic=True)
    write_atomically(path, content)
    used = {name for item in fitted for name in item.tensor.fields}
    return FeatureGraph(
        digest=digest_bytes(content),
        inputs=tuple(name for name in schema.names if name in used),
        tensors=tuple(item.tensor for item in fitted),
        fitted_rows=frame.height,
    )


class Encoder:
    """A feature graph, opened.

    Example::

        encoder = Encoder(Path("features.onnx"))
        tensors = encoder.encode(columns_from_frame(schema, frame))
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or os.cpu_count() or 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self.inputs = tuple(item.name for item in self._session.get_inputs())
        self.outputs = tuple(
            item.name.removeprefix(OUTPUT_PREFIX) for item in self._session.get_outputs()
        )

    def encode(self, columns: Columns) -> dict[str, Tensor]:
        """Feature tensors of raw columns.

        Args:
            columns: field name to array ``[rows, 1]``; fields the graph does not use are ignored.

        Returns:
            Tensor name to ``float32 [rows, width]`` or ``int64 [rows]``.
        """
        feed = {name: columns[name] for name in self.inputs}
        return dict(zip(self.outputs, self._session.run(None, feed), strict=True))


def difference(reference: dict[str, Tensor], other: dict[str, Tensor]) -> tuple[int, int, float]:
    """How two sets of feature tensors differ, element by element.

    Returns:
        Elements compared, elements whose bits differ, the largest absolute difference.
    """
    elements = differing = 0
    worst = 0.0
    for name, expected in reference.items():
        found = other[name]
        unequal = expected.view(_bits(expected)) != found.view(_bits(found))
        elements += expected.size
        differing += int(unequal.sum())
        if unequal.any():
            gap = np.abs(expected.astype(np.float64) - found.astype(np.float64))
            worst = max(worst, float(np.nanmax(gap)))
    return elements, differing, worst


def _bits(tensor: Tensor) -> type[np.signedinteger[Any]]:
    return np.int32 if tensor.dtype.itemsize == 4 else np.int64
