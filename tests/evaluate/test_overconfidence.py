"""Guo et al. 2017 on a network trained here: it is overconfident, and one number mends it."""

from __future__ import annotations

import numpy as np
import pytest

from torchyard.evaluate import Sample, apply_calibration, fit_calibration, measure
from torchyard.evaluate.calibrating.calibrators import fit_temperature
from torchyard.evaluate.counting.sample import Floats, Truth
from torchyard.records.calibration import AS_TRAINED, Calibration
from torchyard.records.measures import Measured
from torchyard.records.schema import Task

CLASSES, WIDTH = 10, 20
ROWS = {"train": 2000, "validation": 2000, "test": 20_000}
TASK = Task(
    kind="multiclass_classification", label="cloud", classes=tuple(str(n) for n in range(CLASSES))
)
ECE = "expected_calibration_error"

Part = tuple[Floats, Truth]


def clouds() -> dict[str, Part]:
    """Points of ten clouds that overlap, so that nobody can be certain of all."""
    generator = np.random.default_rng(0)
    centres = generator.normal(0.0, 0.55, size=(CLASSES, WIDTH))
    made: dict[str, Part] = {}
    for name, rows in ROWS.items():
        truth = generator.integers(0, CLASSES, size=rows)
        made[name] = (centres[truth] + generator.normal(size=(rows, WIDTH)), truth)
    return made


def overfitted(parts: dict[str, Part], *, seed: int) -> dict[str, Floats]:
    """The logits of a wide network that was trained until it knew its rows by heart."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Linear(WIDTH, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, CLASSES)
    )
    x, y = torch.from_numpy(parts["train"][0]).float(), torch.from_numpy(parts["train"][1])
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(300):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        assert (net(x).argmax(dim=1) == y).float().mean() > 0.99
        return {
            name: net(torch.from_numpy(rows).float()).double().numpy()
            for name, (rows, _) in parts.items()
        }


def measured(truth: Truth, logits: Floats, calibration: Calibration) -> dict[str, Measured]:
    sample = Sample(task=TASK, truth=truth, outputs=apply_calibration(logits, calibration, TASK))
    return measure(sample, generator=np.random.default_rng(0), metrics=(ECE, "accuracy"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_temperature_cuts_the_error_several_fold_at_unchanged_accuracy(seed: int) -> None:
    parts = clouds()
    logits = overfitted(parts, seed=seed)
    truth = parts["test"][1]
    found = fit_temperature(parts["validation"][1], logits["validation"])
    before = measured(truth, logits["test"], AS_TRAINED)
    after = measured(truth, logits["test"], found)
    assert after["accuracy"] == before["accuracy"]
    assert found.temperature > 2.0
    worst, best = before[ECE].low, after[ECE].high
    assert worst is not None
    assert best is not None
    assert worst > 4 * best

    chosen = fit_calibration(TASK, truth=parts["validation"][1], logits=logits["validation"])
    assert chosen.method != "none"
    assert measured(truth, logits["test"], chosen)[ECE].value < before[ECE].value / 4
