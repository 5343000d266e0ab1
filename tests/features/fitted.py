"""Fitting one transform on a few rows and looking at what it makes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import torchyard as ty
from torchyard.features import Encoder, columns_from_frame, fit_graph
from torchyard.records.schema import Schema
from torchyard.records.training import FeatureTensor

Array = np.ndarray[Any, np.dtype[Any]]


class Fitted:
    """``x`` = one transform, fitted on some rows."""

    def __init__(self, schema: Schema, transform: Any, rows: pl.DataFrame) -> None:
        features = ty.Features(x=transform)
        self._schema = schema
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "features.onnx"
            graph = fit_graph(features, schema, lambda: [rows], path=path, modules=features.modules)
            self._encoder = Encoder(path)
        self.tensor: FeatureTensor = graph["x"]
        self.made = self(rows)

    def __call__(self, rows: pl.DataFrame | dict[str, Any]) -> Array:
        """What it makes of other rows."""
        if isinstance(rows, dict):
            kinds = {name: pl.Series(values) for name, values in rows.items()}
            rows = pl.DataFrame(kinds)
        made = self._encoder.encode(columns_from_frame(self._schema, rows))["x"]
        assert made.shape[1:] == self.tensor.shape
        assert made.dtype == self.tensor.dtype
        return made
