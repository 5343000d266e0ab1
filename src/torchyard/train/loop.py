"""The training loop, top to bottom. Devices and precision are Lightning Fabric's."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, final

import numpy as np

from torchyard.core.errors import BadModel
from torchyard.records.training import Epoch, Training
from torchyard.train.checkpoints import Checkpoints
from torchyard.train.epochs import batch_sizes, epoch_batches, hold
from torchyard.train.faults import not_finite
from torchyard.train.feed import Examples, Table
from torchyard.train.kernels import deterministic
from torchyard.train.learner import Learner
from torchyard.train.notes import epoch_notes
from torchyard.train.pace import Pace
from torchyard.train.predict import mean_loss
from torchyard.train.randomness import seed_everything
from torchyard.train.standing import Standing, Trained
from torchyard.train.watch import Watch, stopped

if TYPE_CHECKING:
    import torch
    from torch import nn

# on an accelerator losses are looked at after so many steps, so that the device never waits
_LATE = 64


def train(
    build: Callable[[], nn.Module],
    *,
    training: Table,
    validation: Table,
    settings: Training,
    watch: Watch | None = None,
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Train a module and keep the weights of the epoch with the lowest validation loss.

    On cross-entropy: of the logistic function where labels are 0 and 1, of the softmax where they
    are class numbers. The order of rows in epoch ``n`` depends on the seed and ``n`` alone. A run
    that goes on from a checkpoint ends with the very weights of one that was never stopped.

    Args:
        build: makes the untrained module; called after the seed is set.
        training: rows to learn from, in memory or in files.
        validation: rows to choose the epoch by.
        settings: epochs, batch size, rates, seed, precision, memory for rows.
        watch: told what goes on, and asked whether to stop.
        checkpoints: where to save, and from which to go on when it holds a state.

    Raises:
        BadModel: the module has nothing to learn, fails, or its loss is not finite.
        Stopped: ``watch`` asked for it; where the run stood is saved.
    """
    from lightning_fabric import Fabric

    fabric = Fabric(accelerator="auto", devices=settings.devices, precision=settings.precision)
    seed_everything(settings.seed)
    sizes = batch_sizes(training.rows, settings.batch_size)
    learner = Learner(fabric, build(), settings, len(sizes) * settings.max_epochs)
    training, validation = hold(training, validation, settings, fabric.device)
    standing = Standing()
    saved = checkpoints.newest() if checkpoints else None
    if saved is not None:
        learner.restore(saved["learner"])
        standing = Standing.from_plain(saved["standing"])
    else:
        standing.trace.mark(learner.module)
    watch = watch or Watch()
    sitting = _Sitting(learner, standing, settings, sizes, watch, checkpoints, fabric.device)
    with deterministic(standing.notes):
        while not standing.is_over(settings):
            sitting.learn(training)
            sitting.judge(validation)
    learner.module.load_state_dict(standing.best)
    return Trained(
        learner.module.cpu().eval(), tuple(standing.curve), standing.best_epoch,
        sitting.seconds(), standing.trace, standing.resumes, tuple(standing.notes),
    )  # fmt: skip


@final
class _Sitting:
    """The part of a run that this process does: epoch after epoch, saving on its way."""

    def __init__(
        self,
        learner: Learner,
        standing: Standing,
        settings: Training,
        sizes: list[int],
        watch: Watch,
        checkpoints: Checkpoints | None,
        device: torch.device,
    ) -> None:
        self._learner = learner
        self._standing = standing
        self._settings = settings
        self._sizes = sizes
        self._watch = watch
        self._checkpoints = checkpoints
        self._device = device
        self._late = 1 if device.type == "cpu" else _LATE
        self._pending: list[torch.Tensor] = []
        self._began = time.monotonic() - standing.seconds
        self._epoch_began = 0.0
        self._pace = Pace(watch, settings, len(sizes), standing.trace.steps)

    def seconds(self) -> float:
        """Wall time of the run, all sittings together."""
        return time.monotonic() - self._began

    def learn(self, training: Table) -> None:
        """Every training row of the epoch once, or what is left of it."""
        standing, learner = self._standing, self._learner
        self._epoch_began = time.monotonic() - standing.epoch_seconds
        if standing.batch == len(self._sizes):  # stopped after its last step
            return
        learner.module.train()
        for batch in epoch_batches(training, self._settings, standing.epoch, standing.batch):
            loss = learner.step(batch.to(self._device), self._place())
            standing.batch += 1
            self._pending.append(loss)
            if (standing.trace.steps + len(self._pending)) % self._late == 0:
                self._look(batch)
            self._between(batch)
        self._look(batch)

    def judge(self, validation: Table) -> None:
        """End the epoch: its losses, and whether its weights are the best so far."""
        standing, module = self._standing, self._learner.module
        losses = np.array(standing.trace.losses[-len(self._sizes) :])
        epoch = Epoch(
            number=standing.epoch,
            train_loss=float(np.average(losses, weights=self._sizes)),
            validation_loss=self._finite(mean_loss(module, validation)),
            seconds=time.monotonic() - self._epoch_began,
        )
        standing.end_epoch(epoch, module)
        self._watch.on_epoch(epoch)
        self._tell_notes()

    def _tell_notes(self) -> None:
        standing = self._standing
        for note in epoch_notes(
            standing.trace.losses, steps=len(self._sizes), curve=standing.curve,
            said=standing.notes,
        ):  # fmt: skip
            standing.notes.append(note)
            self._watch.on_note(note)

    def _place(self) -> str:
        return f"epoch {self._standing.epoch}, step {self._standing.batch + 1}"

    def _look(self, batch: Examples) -> None:
        """Take the losses of the last steps from the device, and mark the trace."""
        import torch

        if not self._pending:
            return
        losses = torch.stack(self._pending).double().tolist()
        self._pending.clear()
        if not all(map(math.isfinite, losses)):
            where = f"epoch {self._standing.epoch}, by step {self._standing.batch}"
            raise not_finite(self._learner.module, batch, where=where)
        self._standing.trace.losses += losses
        self._standing.trace.mark(self._learner.module)

    def _between(self, batch: Examples) -> None:
        """Between two steps: tell, save, stop."""
        self._pace.tell(self._standing)
        why = self._watch.should_stop()
        if self._checkpoints is not None and (why or self._checkpoints.is_due()):
            self._look(batch)
            self._save(self._checkpoints)
        if why:
            raise stopped(why, where=self._place())

    def _save(self, checkpoints: Checkpoints) -> None:
        standing, now = self._standing, time.monotonic()
        standing.seconds = now - self._began
        standing.epoch_seconds = now - self._epoch_began
        state = {"learner": self._learner.state(), "standing": standing.plain()}
        checkpoints.save(standing.trace.steps, state)

    def _finite(self, loss: float) -> float:
        if not math.isfinite(loss):
            raise BadModel(
                where=f"epoch {self._standing.epoch}, validation loss",
                found=str(loss),
                expected="a finite number",
                remedy="Lower learning_rate, set clip_norm, or look for a logarithm of zero.",
            )
        return loss
