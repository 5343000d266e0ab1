"""One row through features, model and calibration in one file, against the model's part alone."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import polars as pl
import torch
from torch import nn

import torchyard as ty
from torchyard.features import Encoder, columns_from_frame, fit_graph
from torchyard.optimize.export import export_module, merge
from torchyard.records.calibration import AS_TRAINED
from torchyard.records.training import FeatureGraph
from torchyard.runtimes import open_model

NUMBERS = [f"n{place}" for place in range(10)]
TEXTS = [f"t{place}" for place in range(4)]
CALLS, ROUNDS = 2_000, 7


class Net(nn.Module):
    """Ten numbers, four embeddings, a clock, two layers."""

    def __init__(self, features: FeatureGraph) -> None:
        super().__init__()
        self.tables = nn.ModuleDict({t: nn.Embedding(features[t].cardinality, 8) for t in TEXTS})
        self.layers = nn.Sequential(nn.Linear(10 + 4 + 32, 128), nn.ReLU(), nn.Linear(128, 1))

    def forward(self, numbers, clock, t0, t1, t2, t3):  # type: ignore[no-untyped-def]
        """Logits ``[rows, 1]``."""
        texts = zip(TEXTS, (t0, t1, t2, t3), strict=True)
        embedded = [self.tables[name](places) for name, places in texts]
        return self.layers(torch.cat([numbers, clock, *embedded], dim=1))


def main() -> None:
    """Interleave the whole file and the model's part, one row a call."""
    draw = np.random.default_rng(0)
    schema = ty.Schema(
        when=ty.timestamp(),
        **{name: ty.number() for name in NUMBERS},
        **{name: ty.category() for name in TEXTS},
    )
    frame = pl.DataFrame(
        {
            "when": pl.datetime_range(
                pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 2), "1m", closed="left", eager=True
            ),
            **{name: draw.normal(size=1440) for name in NUMBERS},
            **{name: [f"v{n % 50}" for n in range(1440)] for name in TEXTS},
        }
    )
    features = ty.Features(
        numbers=ty.standardize(*NUMBERS),
        clock=ty.cyclic_time("when", "hour", "weekday"),
        **{name: ty.lookup(name) for name in TEXTS},
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        graph = fit_graph(features, schema, lambda: [frame], path=folder / "features.onnx")
        tensors = Encoder(folder / "features.onnx").encode(columns_from_frame(schema, frame))
        sample = {name: torch.from_numpy(values[:2].copy()) for name, values in tensors.items()}
        export_module(Net(graph).eval(), sample, folder / "model.onnx")
        merge(folder / "features.onnx", folder / "model.onnx", calibration=AS_TRAINED,
              task=ty.binary_classification("label"), path=folder / "whole.onnx")  # fmt: skip
        whole = open_model(folder / "whole.onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        alone = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
        row = {name: values[:1] for name, values in columns_from_frame(schema, frame).items()}
        fed = {name: values[:1] for name, values in tensors.items()}
        times: dict[str, list[float]] = {"whole": [], "alone": []}
        for _ in range(ROUNDS):
            times["whole"].append(_microseconds(lambda: whole.run(row)))
            times["alone"].append(_microseconds(lambda: alone.run(None, fed)))
    whole_us, alone_us = (np.median(times[name]) for name in ("whole", "alone"))
    print(
        f"raw fields to answer {whole_us:.1f} us, model alone {alone_us:.1f} us, features add "
        f"{whole_us - alone_us:.1f} us a row (medians of {ROUNDS} rounds of {CALLS:,} calls; "
        f"rounds from {min(times['whole']):.1f} to {max(times['whole']):.1f} us)"
    )


def _microseconds(call) -> float:  # type: ignore[no-untyped-def]
    started = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - started) / CALLS * 1e6


if __name__ == "__main__":
    main()
