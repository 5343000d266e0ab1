"""Training the flights example: torchyard against loops written by hand, as ratios of times.

The same module, data, seed, order of rows, optimizer and schedule. torchyard validates after every
epoch, as the loops by hand do, and also tracks the run in MLflow, saves checkpoints, keeps a trace
of every step and looks at every loss and gradient. Its time is that of the loop; what comes before
and after (libraries, the environment, pre-flight, files) is told apart, in seconds. On a machine
that others use as well, clocks say little: the last line compares seconds of the processor, of the
loop with its checkpoints but without MLflow.

On two quiet cores of an AMD EPYC, torchyard's time over theirs (median, lowest and highest of five
rounds): 1.01 (0.94 to 1.08) of the loop as people write it, 0.96 (0.90 to 1.06) of one with a fused
optimizer, 0.98 (0.89 to 1.00) of the processor seconds of the latter; the rest of the stage 2.6 s.

Run it from the repository: python benchmarks/train_loop.py
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# as the command line does: spinning threads make every loop a lottery on a busy machine
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
import numpy as np
import torch
from torch import nn
from torch.nn import functional

import torchyard as ty
from torchyard.records.training import Training
from torchyard.train import Checkpoints, load_weights, train
from torchyard.train.feed import Examples
from torchyard.train.learner import learning_share
from torchyard.yard.datasets import training_data
from torchyard.yard.featuring import fit_features
from torchyard.yard.results import Featured, OpenProject, TrainedModel

State = dict[str, torch.Tensor]

ROUNDS = 5
EPOCHS = 3
HERE = Path(__file__).parents[1] / "examples" / "flights"


def by_hand(
    build: Callable[[], nn.Module], rows: Examples, held: Examples, how: Training, *, fused: bool
) -> tuple[float, list[State]]:
    """What one would write without torchyard: seconds, and the weights after each epoch."""
    started = time.perf_counter()
    torch.manual_seed(how.seed)
    module = build()
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay, fused=fused
    )
    steps = -(-rows.rows // how.batch_size) * how.max_epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_share(step, steps, how)
    )
    states = []
    for epoch in range(1, how.max_epochs + 1):
        module.train()
        generator = torch.Generator().manual_seed(how.seed * 1_000_003 + epoch)
        order = torch.randperm(rows.rows, generator=generator)
        for first in range(0, rows.rows, how.batch_size):
            chosen = order[first : first + how.batch_size]
            logits = module(**{name: tensor[chosen] for name, tensor in rows.tensors.items()})
            loss = functional.binary_cross_entropy_with_logits(logits, rows.labels[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        module.eval()
        with torch.inference_mode():
            functional.binary_cross_entropy_with_logits(module(**held.tensors), held.labels)
        states.append({name: tensor.clone() for name, tensor in module.state_dict().items()})
    return time.perf_counter() - started, states


def in_processor_seconds(work: Callable[[], object]) -> float:
    """What a piece of work takes of the processor, all threads together."""
    started = time.process_time()
    work()
    return time.process_time() - started


def ours(yard: ty.Yard, how: dict[str, Any]) -> tuple[float, TrainedModel]:
    """Seconds of the whole stage, and what it made."""
    started = time.perf_counter()
    trained = yard.train(training=how)
    return time.perf_counter() - started, trained


def compare_processor(
    build: Callable[[], nn.Module], rows: Examples, held: Examples, how: Training
) -> float:
    """Seconds of the processor that torchyard's loop takes, over those of the one by hand."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder), every=how.checkpoint_seconds)
        loop = in_processor_seconds(
            lambda: train(
                build, training=rows, validation=held, settings=how, checkpoints=checkpoints
            )
        )
    return loop / in_processor_seconds(lambda: by_hand(build, rows, held, how, fused=True))


def measure(opened: OpenProject, featured: Featured, yard: ty.Yard) -> None:
    """Interleave the three."""
    rows, held = (
        stored.read(0, stored.rows)
        for stored in (featured.examples("train"), featured.examples("validation"))
    )

    def build() -> nn.Module:
        return opened.project.model(featured.graph)

    ratios: dict[str, list[float]] = {"as people write it": [], "with a fused optimizer": []}
    rest: list[float] = []
    busy: list[float] = []
    for number in range(ROUNDS + 1):
        how = Training(
            max_epochs=EPOCHS, patience=EPOCHS, learning_rate=2e-3, seed=100 + number
        )  # fmt: skip
        plain, _ = by_hand(build, rows, held, how, fused=False)
        whole, trained = ours(
            yard, {"max_epochs": EPOCHS, "patience": EPOCHS, "seed": how.seed}
        )  # fmt: skip
        fused, states = by_hand(build, rows, held, how, fused=True)
        loop = trained.run.seconds
        if number:  # the first round warms up
            ratios["as people write it"].append(loop / plain)
            ratios["with a fused optimizer"].append(loop / fused)
            rest.append(whole - loop)
            busy.append(compare_processor(build, rows, held, how))
        wanted = states[trained.run.best_epoch - 1]
        kept = load_weights(build(), trained.weights).state_dict()
        same = all(torch.equal(kept[name], value) for name, value in wanted.items())
        print(
            f"round {number}: torchyard {loop:.2f} s, by hand {plain:.2f} s, fused {fused:.2f} s; "
            f"weights of epoch {trained.run.best_epoch} {'identical' if same else 'DIFFER'}"
        )
    for name, values in ratios.items():
        print(
            f"torchyard / by hand, {name}: median {np.median(values):.3f}, from "
            f"{min(values):.3f} to {max(values):.3f} ({ROUNDS} rounds)"
        )
    print(
        f"processor seconds, torchyard's loop / by hand, with a fused optimizer: median "
        f"{np.median(busy):.3f}, from {min(busy):.3f} to {max(busy):.3f}"
    )
    print(f"the rest of the stage: median {np.median(rest):.1f} s")


def main() -> None:
    """Work on a copy of the example."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        for file in HERE.glob("*.py"):
            shutil.copy(file, project)
        yard = ty.Yard(project)
        opened = yard.open()
        measure(opened, fit_features(opened, training_data(opened)), yard)


if __name__ == "__main__":
    main()
