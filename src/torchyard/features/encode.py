"""Running a feature graph: the same ONNX file for training and for serving."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, final

import numpy as np

from torchyard.features.columns import Columns
from torchyard.features.host import HOST_STEPS, HostSteps
from torchyard.features.session import open_session

__all__ = ["HOST_STEPS", "OUTPUT_PREFIX", "Encoder", "Tensor", "difference"]

OUTPUT_PREFIX = "feature/"

Tensor = np.ndarray[Any, np.dtype[Any]]

# more rows at once do not fit into a core's cache between two operations of the graph
_BATCH_ROWS = 4096


@final
class Encoder:
    """A feature graph, opened.

    Args:
        graph: the ONNX file's path, or its content.
        threads: threads inside one batch. More than one is slower: the operations are short, and
            threads that wait for the next one take the core from other work.

    Attributes:
        inputs: the raw fields it reads.
        steps: the host steps that stand before the graph.
        outputs: the tensors it makes.

    Raises:
        BadRecord: the file or its host steps are damaged.

    Example::

        encoder = Encoder(Path("features.onnx"))
        tensors = encoder.encode(columns_from_frame(schema, frame))
    """

    def __init__(self, graph: Path | bytes, *, threads: int = 1) -> None:
        where = "feature graph" if isinstance(graph, bytes) else graph.name
        content = graph if isinstance(graph, bytes) else graph.read_bytes()
        self._session = open_session(content, where=where, threads=threads)
        self.steps = HostSteps.of_session(self._session, where=where)
        names = [item.name for item in self._session.get_inputs()]
        self.inputs = self.steps.raw_inputs(names)
        self._direct = [name for name in names if name not in self.steps.fields]
        self.outputs = tuple(
            item.name.removeprefix(OUTPUT_PREFIX) for item in self._session.get_outputs()
        )

    def encode(self, columns: Columns) -> dict[str, Tensor]:
        """Feature tensors of raw columns.

        Args:
            columns: field name to raw column; fields the graph does not use are ignored.

        Returns:
            Tensor name to ``float32`` or ``int64 [rows, *shape]``.

        Raises:
            BadData: a picture cannot be decoded.
            BadModel: a tokenizer failed on a text.
        """
        rows = len(columns[self.inputs[0]])
        if rows <= _BATCH_ROWS:
            return self._batch(columns)
        return self._many(columns, rows)

    def _many(self, columns: Columns, rows: int) -> dict[str, Tensor]:
        """Batches of their own rows, several at once: a row's bits do not depend on its batch."""
        made = {
            name: np.empty((rows, *tensor.shape[1:]), dtype=tensor.dtype)
            for name, tensor in self._batch({n: columns[n][:1] for n in self.inputs}).items()
        }

        def write(first: int) -> None:
            end = first + _BATCH_ROWS
            part = self._batch({name: columns[name][first:end] for name in self.inputs})
            for name, tensor in part.items():
                made[name][first:end] = tensor

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for done in [pool.submit(write, first) for first in range(0, rows, _BATCH_ROWS)]:
                done.result()
        return made

    def _batch(self, columns: Columns) -> dict[str, Tensor]:
        feed = {name: columns[name] for name in self._direct}
        if self.steps:
            feed |= self.steps.run(columns)
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
