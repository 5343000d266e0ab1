"""A LightningModule trains under Lightning's Trainer, quietly, and goes on to the same bits."""

from __future__ import annotations

import dataclasses
import logging
import signal
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from torchyard.core.errors import BadModel, BadProject, Stopped
from torchyard.records.training import Epoch, Training
from torchyard.train import Checkpoints, Examples, Trained, Watch, first_difference
from torchyard.train.learner import learning_share
from torchyard.train.lightning_module import train_lightning
from torchyard.train.lightning_parts import lightning_package
from torchyard.train.loop import train
from torchyard.train.trace import digest_tensors

SETTINGS = Training(
    max_epochs=3, batch_size=50, learning_rate=1e-2, seed=5, patience=9, checkpoint_seconds=0
)
BATCHES = 4  # 201 rows: the row left over goes with the last batch


def layers() -> nn.Module:
    return nn.Sequential(
        nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1)
    )


class Net(pl.LightningModule):
    """Draws random numbers, has buffers, logs, and was built from objects."""

    def __init__(self, made_of: object = SETTINGS) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layers = layers()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(x)
        return logits

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        tensors, labels = batch
        loss = functional.binary_cross_entropy_with_logits(self(**tensors).reshape(-1), labels)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        tensors, labels = batch
        logits = self(**tensors).reshape(-1)
        self.log("val_accuracy", ((logits > 0) == (labels > 0.5)).float().mean())

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-2)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 5)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


class OnPlateau(Net):
    """No validation step; its schedule follows torchyard's validation loss."""

    validation_step = pl.LightningModule.validation_step  # type: ignore[assignment]

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.5, momentum=0.9)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "monitor": "validation_loss"},
        }


class ByHand(Net):
    """Steps its optimizer itself."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        optimizer: Any = self.optimizers()
        loss = super().training_step(batch, batch_idx)
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        return {"loss": loss}


def examples(rows: int, seed: int = 0) -> Examples:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, 3)).astype(np.float32)
    return Examples.from_arrays({"x": x}, x[:, 0] + draw.normal(size=rows) > 0)


class Heard(Watch):
    """Remembers what it is told, and stops a run after some questions."""

    def __init__(self, stop_after: int = 0) -> None:
        self.left = stop_after
        self.epochs: list[Epoch] = []
        self.metrics: list[dict[str, float]] = []

    def on_epoch(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)

    def on_metrics(self, step: int, values: Any) -> None:
        self.metrics.append(dict(values))

    def should_stop(self) -> str:
        self.left -= 1
        return "" if self.left else "asked to"


def fit(
    folder: Path | None,
    build: Any = Net,
    watch: Watch | None = None,
    settings: Training = SETTINGS,
) -> Trained:
    return train_lightning(
        build, training=examples(201), validation=examples(80, seed=1), settings=settings,
        watch=watch, checkpoints=Checkpoints(folder, every=0) if folder else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("build", "changes"),
    [
        (Net, {}),
        pytest.param(Net, {"accumulate": 3}, marks=pytest.mark.slow),
        pytest.param(OnPlateau, {}, marks=pytest.mark.slow),
        pytest.param(ByHand, {}, marks=pytest.mark.slow),
    ],
)
def test_stopped_at_every_step_it_ends_with_the_same_weights(
    tmp_path: Path, build: Any, changes: dict[str, Any]
) -> None:
    how = dataclasses.replace(SETTINGS, **changes)
    whole = fit(None, build, settings=how)
    stops = 0
    while True:
        try:
            # each sitting is asked once where it goes on, and once a step later
            resumed = fit(tmp_path, build, Heard(2 if stops else 1), how)
        except Stopped:
            stops += 1
            continue
        break
    assert (stops, resumed.resumes) == (3 * BATCHES, 3 * BATCHES)
    assert digest_tensors(resumed.module) == digest_tensors(whole.module)
    assert first_difference(resumed.trace, whole.trace) is None
    assert whole.trace.steps == 3 * BATCHES
    curves = [
        [dataclasses.replace(epoch, seconds=0) for epoch in trained.curve]
        for trained in (resumed, whole)
    ]
    assert curves[0] == curves[1]


def test_it_learns_as_torchyards_own_loop_does() -> None:
    """Same seed, order, optimizer and schedule: the same bits."""
    how = dataclasses.replace(SETTINGS, weight_decay=0.01, schedule="cosine")

    class Like(Net):
        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.AdamW(
                self.parameters(), lr=how.learning_rate, weight_decay=0.01, fused=True
            )
            steps = int(self.trainer.estimated_stepping_batches)
            assert steps == 3 * BATCHES
            schedule = torch.optim.lr_scheduler.LambdaLR(
                optimizer, lambda step: learning_share(step, steps, how)
            )
            return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    ours = train(
        Like, training=examples(201), validation=examples(80, seed=1), settings=how
    )  # fmt: skip
    theirs = fit(None, Like, settings=how)
    assert first_difference(ours.trace, theirs.trace) is None
    assert digest_tensors(ours.module) == digest_tensors(theirs.module)


def test_it_says_nothing_and_leaves_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM), logging.getLogger("lightning.pytorch").level
    watch = Heard()
    trained = fit(None, watch=watch)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    assert before == (
        signal.getsignal(signal.SIGTERM),
        logging.getLogger("lightning.pytorch").level,
    )
    assert [epoch.number for epoch in watch.epochs] == [1, 2, 3]
    assert watch.metrics[0].keys() == {"train_loss", "val_accuracy"}
    assert not trained.module.training
    best = min(trained.curve, key=lambda epoch: epoch.validation_loss)
    assert trained.best_epoch == best.number


def test_patience_ends_it() -> None:
    class Worse(Net):
        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=50.0)

    how = dataclasses.replace(SETTINGS, patience=1, max_epochs=9, clip_norm=None)
    assert len(fit(None, Worse, settings=how).curve) < 9


def test_what_goes_wrong_is_told() -> None:
    class NoLoss(ByHand):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            super().training_step(batch, batch_idx)

    class NotANumber(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * float("nan")

    class Raises(Net):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return batch["x"]

    class NoOptimizer(Net):
        def configure_optimizers(self) -> Any:
            raise ValueError("no rate")

    for build, said in (
        (NoLoss, "NoLoss.training_step: found no loss; expected the loss of the batch"),
        (NotANumber, "epoch 1, step 1, layer 'NotANumber'"),
        (Raises, "TypeError: tuple indices must be integers"),
        (NoOptimizer, r"NoOptimizer, .*test_lightning.py:\d+: found ValueError: no rate"),
    ):
        with pytest.raises(BadModel, match=said):
            fit(None, build)
    with pytest.raises(BadProject, match="devices=2 for a LightningModule"):
        fit(None, settings=dataclasses.replace(SETTINGS, devices=2))


def test_a_lightning_module_is_known_without_lightning() -> None:
    from pytorch_lightning import LightningModule

    class Older(LightningModule):
        pass

    assert lightning_package(Net()) == "lightning.pytorch"
    assert lightning_package(Older()) == "pytorch_lightning"
    assert lightning_package(nn.Linear(1, 1)) is None
