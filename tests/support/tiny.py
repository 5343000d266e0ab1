"""A run that takes a fraction of a second: for tests that kill it, stop it, share it."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import nn

from torchyard.records.training import Epoch, Training
from torchyard.train import Checkpoints, Examples, Trained, Watch, train
from torchyard.train.ranks import ALONE, Ranks

ROWS = 301
# 301 rows: the row left over goes with the last batch
SETTINGS = Training(
    max_epochs=3, batch_size=50, learning_rate=1e-2, seed=5, warmup=0.2, checkpoint_seconds=0
)
STEPS = 3 * 6


class Net(nn.Module):
    """Draws random numbers of every kind, and has buffers that batches change."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        noise = float(np.random.normal()) if self.training else 0.0
        logits: torch.Tensor = self.layers(x + 0.01 * noise)
        return logits


class Plain(nn.Module):
    """Draws nothing, normalizes nothing; a layer of it is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
        self.spare = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(x)
        return logits


MODULES: dict[str, type[nn.Module]] = {"net": Net, "plain": Plain}


def examples(rows: int, seed: int = 0) -> Examples:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, 3)).astype(np.float32)
    return Examples.from_arrays({"x": x}, x[:, 0] + draw.normal(size=rows) > 0)


def fit(
    folder: Path,
    *,
    watch: Watch | None = None,
    how: Training = SETTINGS,
    build: type[nn.Module] = Net,
    ranks: Ranks = ALONE,
) -> Trained:
    return train(
        build, training=examples(ROWS), validation=examples(100, seed=1), settings=how,
        watch=watch, checkpoints=Checkpoints(folder, every=how.checkpoint_seconds), ranks=ranks,
    )  # fmt: skip


def result_of(trained: Trained) -> str:
    """A digest of all that must be equal in equal runs: weights, losses, digests, curve."""
    digest = hashlib.sha256()
    for name, tensor in trained.module.state_dict().items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    digest.update(repr((trained.trace.losses, trained.trace.digests)).encode())
    digest.update(repr((timeless(trained.curve), trained.best_epoch, trained.notes)).encode())
    return digest.hexdigest()


def timeless(curve: tuple[Epoch, ...]) -> list[Epoch]:
    return [dataclasses.replace(epoch, seconds=0) for epoch in curve]
