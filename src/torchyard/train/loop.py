"""The training loop, top to bottom. Devices and precision are Lightning Fabric's."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, final

import numpy as np

from torchyard.core.errors import BadRecord
from torchyard.records.training import Epoch, Training
from torchyard.train.checkpoints import Checkpoints
from torchyard.train.epochs import batch_sizes, epoch_batches, hold
from torchyard.train.faults import not_finite, validation_not_finite
from torchyard.train.feed import Examples, Table, part_of
from torchyard.train.kernels import choose_workspace, deterministic
from torchyard.train.learner import Learner
from torchyard.train.notes import epoch_notes
from torchyard.train.pace import Pace
from torchyard.train.predict import mean_loss
from torchyard.train.randomness import random_state, restore_random_state, seed_everything
from torchyard.train.ranks import ALONE, Ranks, share
from torchyard.train.standing import Standing, Trained
from torchyard.train.watch import Watch, stopped

if TYPE_CHECKING:
    import torch
    from torch import nn

# on an accelerator losses are looked at after so many steps, so that the device never waits
_LATE = 64
_STOP = 2


def train(
    build: Callable[[], nn.Module],
    *,
    training: Table,
    validation: Table,
    settings: Training,
    watch: Watch | None = None,
    checkpoints: Checkpoints | None = None,
    ranks: Ranks = ALONE,
) -> Trained:
    """Train a module and keep the weights of the epoch with the lowest validation loss.

    On the loss that the form of the labels tells: cross-entropy of classes, squared error of
    numbers (see ``losses``). The order of rows in epoch ``n`` depends on the seed and ``n`` alone.
    A run that goes on from a checkpoint ends with the very weights of one that was never stopped.

    Args:
        build: makes the untrained module; called after the seed is set.
        training: rows to learn from, in memory or in files.
        validation: rows to choose the epoch by.
        settings: epochs, batch size, rates, seed, precision, memory for rows.
        watch: told what goes on, and asked whether to stop.
        checkpoints: where to save, and from which to go on when it holds a state.
        ranks: the processes that train together, see ``rank.leading``; every one calls this with
            the same module, rows, settings and checkpoints, and rank 0 alone saves.

    Raises:
        BadModel: the module has nothing to learn, fails, or its loss is not finite.
        Stopped: ``watch`` asked for it; where the run stood is saved.
    """
    choose_workspace()
    fabric = ranks.fabric(settings)
    seed_everything(settings.seed)
    sizes = batch_sizes(training.rows, settings.batch_size, ranks.size)
    learner = Learner(fabric, build(), settings, len(sizes) * settings.max_epochs)
    validation = part_of(validation, *share(validation.rows, rank=ranks.rank, size=ranks.size))
    training, validation = hold(training, validation, settings, fabric.device)
    watch = watch or Watch()
    standing = _begun(learner, settings, watch, checkpoints, ranks)
    sitting = _Sitting(
        learner, standing, settings, sizes, watch, checkpoints, fabric.device, ranks
    )  # fmt: skip
    with deterministic(standing.notes):
        while not standing.is_over(settings):
            sitting.learn(training)
            sitting.judge(validation)
    learner.module.load_state_dict(standing.best)
    return Trained(
        learner.module.cpu().eval(), tuple(standing.curve), standing.best_epoch,
        sitting.seconds(), standing.trace, standing.resumes, tuple(standing.notes),
    )  # fmt: skip


def _begun(
    learner: Learner,
    settings: Training,
    watch: Watch,
    checkpoints: Checkpoints | None,
    ranks: Ranks,
) -> Standing:
    """Where the run stands: at its beginning, or where the newest checkpoint says."""
    saved = checkpoints.newest(watch.on_note) if checkpoints else None
    if saved is not None:
        learner.restore(saved["learner"])
        restore_random_state(saved["random"][ranks.rank])
        standing = Standing.from_plain(saved["standing"])
    else:
        if ranks.rank:  # rank 0 draws on, as a process that is alone does
            seed_everything((settings.seed + ranks.rank) % 2**32)
        standing = Standing()
        standing.trace.mark(learner.module)
    if ranks.agree(standing.trace.steps) != standing.trace.steps:
        raise BadRecord(
            where=f"device {ranks.rank + 1} of {ranks.size}, checkpoints",
            found=f"{standing.trace.steps:,} steps, where device 1 has others",
            expected="the same checkpoint for all of them",
            remedy="Run the same command again.",
        )
    if ranks.note and ranks.note not in standing.notes:
        standing.notes.append(ranks.note)
        watch.on_note(ranks.note)
    return standing


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
        ranks: Ranks,
    ) -> None:
        self._learner = learner
        self._standing = standing
        self._settings = settings
        self._sizes = sizes
        self._watch = watch
        self._checkpoints = checkpoints
        self._device = device
        self._ranks = ranks
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
        ranks = self._ranks
        for whole in epoch_batches(
            training, self._settings, standing.epoch, standing.batch, ranks.size
        ):
            batch = whole.read(*share(whole.rows, rank=ranks.rank, size=ranks.size))
            loss = learner.step(
                batch.to(self._device), self._place(), even=whole.rows / ranks.size
            )  # fmt: skip
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
            validation_loss=self._validate(validation),
            seconds=time.monotonic() - self._epoch_began,
        )
        standing.end_epoch(epoch, module)
        self._watch.on_epoch(epoch)
        self._tell_notes()

    def _validate(self, part: Table) -> float:
        """The mean loss of all validation rows, of which this rank has a part."""
        ranks, module = self._ranks, self._learner.module
        ranks.share_buffers(module)
        has_none = part.rows == 0 and ranks.size > 1
        loss = ranks.weighted_mean(0.0 if has_none else mean_loss(module, part), part.rows)
        if not math.isfinite(loss):
            raise validation_not_finite(module, part, epoch=self._standing.epoch)
        return loss

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
        losses = self._ranks.mean(torch.stack(self._pending).double()).tolist()
        self._pending.clear()
        if not all(map(math.isfinite, losses)):
            where = f"epoch {self._standing.epoch}, by step {self._standing.batch}"
            raise not_finite(self._learner.module, batch, where=where)
        self._standing.trace.losses += losses
        self._standing.trace.mark(self._learner.module)

    def _between(self, batch: Examples) -> None:
        """Between two steps: tell, save, stop. Ranks agree on it when they look at their losses."""
        self._pace.tell(self._standing)
        if self._pending and self._ranks.size > 1:
            return
        why = self._watch.should_stop()
        is_due = self._checkpoints is not None and self._checkpoints.is_due()
        agreed = self._ranks.agree(_STOP * bool(why) + is_due)
        if self._checkpoints is not None and agreed:
            self._look(batch)
            self._save(self._checkpoints)
        if agreed >= _STOP:
            raise stopped(why or "a word of rank 0", where=self._place())

    def _save(self, checkpoints: Checkpoints) -> None:
        standing, now = self._standing, time.monotonic()
        standing.seconds = now - self._began
        standing.epoch_seconds = now - self._epoch_began
        random = self._ranks.gather(random_state())
        if self._ranks.rank == 0:
            learner = self._learner.state()
            state = {"learner": learner, "standing": standing.plain(), "random": random}
            checkpoints.save(standing.trace.steps, state)
