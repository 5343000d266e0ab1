"""A run that was stopped, however often and wherever, ends as one that was not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from torchyard.core.errors import Stopped
from torchyard.records.training import Training
from torchyard.train import Checkpoints, Examples, Trained, Watch, first_difference, train
from torchyard.train.trace import digest_tensors

SETTINGS = Training(
    max_epochs=3, batch_size=50, learning_rate=1e-2, seed=5, warmup=0.2, checkpoint_seconds=0
)
STEPS = 3 * 6  # 301 rows: the row left over goes with the last batch


class Net(nn.Module):
    """Draws random numbers, and has buffers that batches change."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        noise = float(np.random.normal()) if self.training else 0.0
        logits: torch.Tensor = self.layers(x + 0.01 * noise)
        return logits


def examples(rows: int, seed: int = 0) -> Examples:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, 3)).astype(np.float32)
    return Examples.from_arrays({"x": x}, x[:, 0] + draw.normal(size=rows) > 0)


class StopsAfter(Watch):
    def __init__(self, steps: int) -> None:
        self.left = steps

    def should_stop(self) -> str:
        self.left -= 1
        return "" if self.left else "asked to"


def fit(folder: Path, watch: Watch | None = None, how: Training = SETTINGS) -> Trained:
    return train(
        Net, training=examples(301), validation=examples(100, seed=1), settings=how, watch=watch,
        checkpoints=Checkpoints(folder, every=how.checkpoint_seconds),
    )  # fmt: skip


@pytest.mark.parametrize(
    "changes", [{}, {"optimizer": "sgd", "schedule": "linear"}, {"accumulate": 3}]
)
def test_stopped_at_every_step_it_ends_with_the_same_weights(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    how = dataclasses.replace(SETTINGS, **changes)  # type: ignore[arg-type]
    whole = fit(tmp_path / "whole", how=how)
    stops = 0
    while True:
        try:
            resumed = fit(tmp_path / "stopped", StopsAfter(1), how=how)
        except Stopped:
            stops += 1
            continue
        break
    assert (stops, resumed.resumes) == (STEPS, STEPS)
    assert digest_tensors(resumed.module) == digest_tensors(whole.module)
    assert first_difference(resumed.trace, whole.trace) is None
    assert [dataclasses.replace(epoch, seconds=0) for epoch in resumed.curve] == [
        dataclasses.replace(epoch, seconds=0) for epoch in whole.curve
    ]


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 7), min_size=1, max_size=6), damaged=st.booleans())
def test_stopped_anywhere_even_with_a_truncated_checkpoint(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], damaged: bool
) -> None:
    folder = tmp_path_factory.mktemp("run")
    for cut in cuts:
        try:
            fit(folder, StopsAfter(cut))
        except Stopped:
            newest = max(folder.glob("*.safetensors"))
            if damaged and len(list(folder.glob("*.safetensors"))) > 1:
                newest.write_bytes(newest.read_bytes()[:-7])
    again = fit(folder)
    whole = fit(tmp_path_factory.mktemp("whole"))
    assert digest_tensors(again.module) == digest_tensors(whole.module)
    assert first_difference(again.trace, whole.trace) is None
