"""Many rows through a model, few enough at a time that what it computes inside fits in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from torchyard.optimize.build import Columns, Runnable
from torchyard.optimize.width import is_wide
from torchyard.records.training import FeatureGraph

Answers = np.ndarray[Any, np.dtype[np.float64]]

_NARROW_ROWS, _WIDE_ROWS = 65_536, 128


def score(model: Runnable, columns: Columns, *, graph: FeatureGraph) -> Answers:
    """A model's calibrated answers to many rows, ``float64 [rows, outputs]``.

    Args:
        model: answers raw columns.
        columns: raw columns of the rows; at least one row.
        graph: the model's features, whose shapes say how many rows it gets at a time.
    """
    rows = len(next(iter(columns.values())))
    shapes = [(tensor.dtype, tensor.shape) for tensor in graph.tensors]
    step = _WIDE_ROWS if is_wide(shapes) else _NARROW_ROWS
    parts = [
        model.run({name: column[first : first + step] for name, column in columns.items()})
        for first in range(0, rows, step)
    ]
    return np.concatenate(parts).astype(np.float64)
