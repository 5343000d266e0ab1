"""The training loop, top to bottom. Devices and precision are Lightning Fabric's."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, final

import numpy as np

from torchyard.core.errors import BadModel
from torchyard.records.training import Epoch, Training
from torchyard.train.checkpoints import Checkpoints
from torchyard.train.faults import not_finite
from torchyard.train.feed import Examples, Table, held, joined, placed, shuffled
from torchyard.train.learner import Learner
from torchyard.train.packing import Plain
from torchyard.train.predict import mean_loss
from torchyard.train.randomness import seed_everything
from torchyard.train.trace import Trace
from torchyard.train.watch import Moment, Watch, stopped

if TYPE_CHECKING:
    import torch
    from torch import nn

_MIB = 1 << 20
# on an accelerator losses are looked at after so many steps, so that the device never waits
_LATE = 64
_BETWEEN_MOMENTS = 0.5


@dataclass(frozen=True)
class Trained:
    """A module with its best weights, in evaluation mode, and how it got there.

    ``seconds`` and ``resumes`` are of all sittings together.
    """

    module: nn.Module
    curve: tuple[Epoch, ...]
    best_epoch: int
    seconds: float
    trace: Trace
    resumes: int
    notes: tuple[str, ...]


@dataclass
class Standing:
    """Where a run stands: what a checkpoint holds beside the learner's state.

    ``epoch`` is the one being trained, from 1, ``batch`` how many of its batches are done.
    """

    epoch: int = 1
    batch: int = 0
    curve: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    trace: Trace = field(default_factory=Trace)
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    resumes: int = 0
    notes: list[str] = field(default_factory=list)

    def plain(self) -> Plain:
        """As a state."""
        state = {one.name: getattr(self, one.name) for one in fields(self)}
        curve = [[getattr(epoch, one.name) for one in fields(epoch)] for epoch in self.curve]
        return {**state, "curve": curve, "trace": self.trace.plain()}

    @classmethod
    def from_plain(cls, state: Plain) -> Standing:
        """Back from a state, one resumption later."""
        names = [one.name for one in fields(Epoch)]
        curve = [Epoch(**dict(zip(names, values, strict=True))) for values in state["curve"]]
        trace = Trace.from_plain(state["trace"])
        return cls(**{**state, "curve": curve, "trace": trace, "resumes": state["resumes"] + 1})

    def is_over(self, settings: Training) -> bool:
        """Whether there is no epoch left, or patience ran out."""
        tired = len(self.curve) - self.best_epoch >= settings.patience
        return self.epoch > settings.max_epochs or (bool(self.curve) and tired)


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
    sizes = _batch_sizes(training.rows, settings.batch_size)
    learner = Learner(fabric, build(), settings, len(sizes) * settings.max_epochs)
    training, validation = _held(training, validation, settings, fabric.device)
    standing = Standing()
    saved = checkpoints.newest() if checkpoints else None
    if saved is not None:
        learner.restore(saved["learner"])
        standing = Standing.from_plain(saved["standing"])
    else:
        standing.trace.mark(learner.module)
    watch = watch or Watch()
    sitting = _Sitting(learner, standing, settings, sizes, watch, checkpoints, fabric.device)
    with _deterministic(standing.notes):
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
        self._first = standing.trace.steps
        self._started = time.monotonic()
        self._told = self._started

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
        for batch in _batches(training, self._settings, standing.epoch, standing.batch):
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
        standing.curve.append(epoch)
        best = standing.curve[standing.best_epoch - 1].validation_loss
        if not standing.best or epoch.validation_loss < best:
            standing.best_epoch = epoch.number
            standing.best = {
                name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()
            }
        standing.epoch += 1
        standing.batch = 0
        standing.epoch_seconds = 0.0
        self._watch.on_epoch(epoch)

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
        now = time.monotonic()
        if now - self._told >= _BETWEEN_MOMENTS and self._standing.trace.steps > self._first:
            self._told = now
            self._watch.on_moment(self._moment(now))
        why = self._watch.should_stop()
        if self._checkpoints is not None and (why or self._checkpoints.is_due()):
            self._look(batch)
            self._save(self._checkpoints, now)
        if why:
            raise stopped(why, where=self._place())

    def _save(self, checkpoints: Checkpoints, now: float) -> None:
        standing = self._standing
        standing.seconds = now - self._began
        standing.epoch_seconds = now - self._epoch_began
        state = {"learner": self._learner.state(), "standing": standing.plain()}
        checkpoints.save(standing.trace.steps, state)

    def _moment(self, now: float) -> Moment:
        standing, batches = self._standing, len(self._sizes)
        done = standing.trace.steps
        pace = (now - self._started) / max(1, done - self._first)
        return Moment(
            epoch=standing.epoch, epochs=self._settings.max_epochs, batch=standing.batch,
            batches=batches, loss=standing.trace.losses[-1],
            rows_per_second=self._settings.batch_size / pace,
            seconds_left=(batches * self._settings.max_epochs - done) * pace,
        )  # fmt: skip

    def _finite(self, loss: float) -> float:
        if not math.isfinite(loss):
            raise BadModel(
                where=f"epoch {self._standing.epoch}, validation loss",
                found=str(loss),
                expected="a finite number",
                remedy="Lower learning_rate, set clip_norm, or look for a logarithm of zero.",
            )
        return loss


def _held(
    training: Table, validation: Table, settings: Training, device: torch.device
) -> tuple[Table, Table]:
    """Rows in memory where they fit in what the settings grant, training's first."""
    budget = settings.memory_mib * _MIB
    training = held(training, budget)
    left = budget - training.rows * training.row_bytes
    return placed(training, device), placed(held(validation, left), device)


def _batch_sizes(rows: int, batch_size: int) -> list[int]:
    """Rows of each batch of an epoch; a single row left over goes with the batch before it."""
    full, left = divmod(rows, batch_size)
    sizes = [batch_size] * full
    if left == 1 and sizes:
        sizes[-1] += 1
    elif left:
        sizes.append(left)
    return sizes


def _batches(table: Table, settings: Training, epoch: int, start: int) -> Iterator[Examples]:
    """An epoch's batches from the one at place ``start``, in the sizes of ``_batch_sizes``.

    What normalizes over a batch (BatchNorm) refuses to learn from one row.
    """
    batches = shuffled(
        table, batch_size=settings.batch_size, seed=settings.seed, epoch=epoch,
        memory_bytes=settings.memory_mib * _MIB, start=start,
    )  # fmt: skip
    before = next(batches)
    for batch in batches:
        if batch.rows == 1 < settings.batch_size:
            before = joined(before, batch)
            break
        yield before
        before = batch
    yield before


@contextmanager
def _deterministic(notes: list[str]) -> Iterator[None]:
    """Kernels that give the same bits every time while the block lasts; a note where there is none.

    On CUDA that takes a workspace of cuBLAS as well, which must be chosen before it starts.
    """
    import torch

    before = torch.are_deterministic_algorithms_enabled()
    only_warn = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    show = warnings.showwarning

    def note(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
        text = str(message)
        if "does not have a deterministic implementation" not in text:
            show(message, category, *rest, **more)
            return
        line = f"not deterministic on this device: {text.split(' ', maxsplit=1)[0]}"
        if line not in notes:
            notes.append(line)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=".*deterministic implementation.*")
        warnings.showwarning = note
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=only_warn)
