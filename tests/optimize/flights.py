"""A small network over two fields and the rows it is built on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch
from torch import nn

import torchyard as ty
from torchyard.features import Columns, Encoder, columns_from_frame, fit_graph
from torchyard.optimize import Candidate, build_candidates
from torchyard.records.calibration import Calibration
from torchyard.records.evidence import Runtime
from torchyard.records.schema import Task
from torchyard.records.training import FeatureGraph

SCHEMA = ty.Schema(distance=ty.number(optional=True), carrier=ty.category())
FEATURES = ty.Features(numbers=ty.standardize("distance"), carrier=ty.lookup("carrier"))
ROWS = pl.DataFrame(
    {
        "distance": [float(n % 97) if n % 9 else None for n in range(400)],
        "carrier": [f"C{n % 7}" for n in range(400)],
    }
)
TEMPERATURE = 1.7


class Net(nn.Module):
    outputs = 1

    def __init__(self, features: FeatureGraph) -> None:
        super().__init__()
        self.carrier = nn.Embedding(features["carrier"].cardinality, 4)
        self.layers = nn.Sequential(
            nn.Linear(features["numbers"].width + 4, 32), nn.ReLU(), nn.Linear(32, self.outputs)
        )

    def forward(self, numbers: torch.Tensor, carrier: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(torch.cat([numbers, self.carrier(carrier)], dim=1))
        return logits


@dataclass(frozen=True)
class Built:
    graph: FeatureGraph
    module: Net
    candidates: tuple[Candidate, ...]


def build_of(
    module: type[Net],
    folder: Path,
    *,
    task: Task,
    runtimes: Sequence[Runtime] = ("onnxruntime",),
) -> Built:
    """The same weights and the same files for the same module."""
    graph = fit_graph(FEATURES, SCHEMA, lambda: [ROWS], path=folder / "features.onnx")
    encoder = Encoder(folder / "features.onnx")
    torch.manual_seed(0)
    made = module(graph).eval()
    candidates = build_candidates(
        made,
        encoder=encoder,
        features=folder / "features.onnx",
        tensors=encoder.encode(columns()),
        task=task,
        calibration=Calibration(method="temperature", temperature=TEMPERATURE),
        folder=folder / "variants",
        runtimes=runtimes,
    )
    return Built(graph, made, candidates)


def columns() -> Columns:
    """The raw columns of the rows."""
    return columns_from_frame(SCHEMA, ROWS)
