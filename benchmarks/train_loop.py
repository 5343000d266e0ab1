"""Training: torchyard's loop against a hand-written one on the same data, as a ratio of times."""

from __future__ import annotations

import os
import time

import numpy as np

# as the command line does: spinning threads make both loops a lottery on a busy machine
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
import torch
from torch import nn
from torch.nn import functional

from torchyard.records.training import Training
from torchyard.train import Examples, train

ROWS, WIDTH, ROUNDS = 100_000, 32, 5
SETTINGS = Training(max_epochs=2, batch_size=1024, seed=1, patience=9)


def network() -> nn.Module:
    """An MLP of the size of the flights example."""
    return nn.Sequential(
        nn.Linear(WIDTH, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1)
    )


class Named(nn.Module):
    """The same network behind a named parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = network()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits ``[rows]``."""
        logits: torch.Tensor = self.layers(x)
        return logits.squeeze(1)


def by_hand(x: torch.Tensor, y: torch.Tensor, held_x: torch.Tensor) -> nn.Module:
    """What one would write without torchyard: same order of rows, same optimizer, same schedule."""
    torch.manual_seed(SETTINGS.seed)
    module = Named()
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=SETTINGS.learning_rate, weight_decay=SETTINGS.weight_decay
    )
    steps = -(-ROWS // SETTINGS.batch_size) * SETTINGS.max_epochs
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    for epoch in range(1, SETTINGS.max_epochs + 1):
        order = torch.Generator().manual_seed(SETTINGS.seed * 1_000_003 + epoch)
        permutation = torch.randperm(ROWS, generator=order)
        for first in range(0, ROWS, SETTINGS.batch_size):
            chosen = permutation[first : first + SETTINGS.batch_size]
            loss = functional.binary_cross_entropy_with_logits(module(x[chosen]), y[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        with torch.inference_mode():
            module(held_x)
    return module


def main() -> None:
    """Interleave the two, and compare the weights."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(ROWS, WIDTH)).astype(np.float32)
    y = x[:, 0] + draw.normal(size=ROWS) > 0
    training = Examples.from_arrays({"x": x}, y)
    held = Examples.from_arrays({"x": x[:10_000]}, y[:10_000])
    ratios = []
    for number in range(ROUNDS + 1):
        started = time.perf_counter()
        ours = train(Named, training=training, validation=held, settings=SETTINGS).module
        middle = time.perf_counter()
        plain = by_hand(training.tensors["x"], training.labels, held.tensors["x"])
        ended = time.perf_counter()
        if number:  # the first round warms up
            ratios.append((middle - started) / (ended - middle))
    same = all(
        torch.equal(a, b) for a, b in zip(ours.parameters(), plain.parameters(), strict=True)
    )
    print(
        f"torchyard / by hand: median {np.median(ratios):.3f}, from {min(ratios):.3f} to "
        f"{max(ratios):.3f} ({ROUNDS} rounds); last weights identical: {same}"
    )


if __name__ == "__main__":
    main()
