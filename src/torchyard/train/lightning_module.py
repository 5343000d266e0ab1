"""Training of a ``LightningModule`` by Lightning's own ``Trainer``.

Lightning runs the loop; the rows, the seed, the checkpoints, the trace and the choice of the best
epoch are torchyard's. A state is saved between two steps, where all that the step before did is
done: at the start of a batch, before anything is made of it.
"""

from __future__ import annotations

import importlib
import math
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

import numpy as np

from torchyard.core.errors import BadModel, BadProject, YardError
from torchyard.records.training import Epoch, Training
from torchyard.train.checkpoints import Checkpoints
from torchyard.train.epochs import batch_sizes, hold
from torchyard.train.faults import failed, not_finite, validation_not_finite
from torchyard.train.feed import Examples, Table
from torchyard.train.kernels import deterministic
from torchyard.train.lightning_parts import (
    PACKAGES,
    EpochRows,
    HeldState,
    RowsInOrder,
    lightning_package,
    quiet,
)
from torchyard.train.notes import epoch_notes
from torchyard.train.pace import Pace
from torchyard.train.packing import Plain
from torchyard.train.places import line_where
from torchyard.train.predict import loss_beside_training
from torchyard.train.randomness import random_state, restore_random_state, seed_everything
from torchyard.train.standing import Standing, Trained
from torchyard.train.watch import Watch, stopped

if TYPE_CHECKING:
    import torch
    from torch import nn

    from torchyard.train.lightning_parts import Batch

_IN_MEMORY = "in-memory"
VALIDATION_LOSS = "validation_loss"


def train_lightning(
    build: Callable[[], nn.Module],
    *,
    training: Table,
    validation: Table,
    settings: Training,
    watch: Watch | None = None,
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Train a ``LightningModule`` and keep the weights of the epoch with the lowest loss.

    ``training_step`` and ``validation_step`` get ``(tensors, labels)``: the feature tensors by
    name, ``[rows, ...]``, and ``float32 [rows]`` of 0 and 1, class numbers ``int64 [rows]``,
    ``float32 [rows, classes]`` of 0 and 1, or numbers ``float32 [rows, 1]``: see ``losses``.
    ``forward`` takes the tensors by name and returns logits, or numbers, for the validation loss is
    that of ``losses`` whatever loss is trained on; schedules may monitor it as ``validation_loss``.
    Optimizers and schedules are the module's; epochs, clipping, parts of a batch, precision and
    patience those of ``settings``. Batches come in the order of torchyard's own loop. A run that
    goes on from a checkpoint, in the middle of an epoch too, ends with the very weights of one that
    was never stopped, as far as all that the module keeps is in its tensors or in what its
    ``on_save_checkpoint`` keeps.

    Args:
        build: makes the untrained module; called after the seed is set.
        training: rows to learn from, in memory or in files.
        validation: rows to choose the epoch by.
        settings: of the run; one device.
        watch: told what goes on, and asked whether to stop.
        checkpoints: where to save, and from which to go on when it holds a state.

    Raises:
        BadModel: the module fails, gives no loss, or one that is not finite.
        BadProject: ``settings`` say more than one device.
        Stopped: ``watch`` asked for it; where the run stood is saved.
    """
    import torch

    _need_one_device(settings)
    seed_everything(settings.seed)
    module = build()
    saved = checkpoints.newest() if checkpoints else None
    standing = Standing.from_plain(saved["standing"]) if saved else Standing()
    if not saved:
        standing.trace.mark(module)
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    training, validation = hold(training, validation, settings, accelerator or torch.device("cpu"))
    run = _Run(
        module, settings, training, validation, standing, watch or Watch(), checkpoints, saved
    )  # fmt: skip
    with deterministic(standing.notes), quiet(), tempfile.TemporaryDirectory() as folder:
        run.fit(folder)
    module.load_state_dict(standing.best)
    return Trained(
        module.cpu().eval(), tuple(standing.curve), standing.best_epoch, run.seconds(),
        standing.trace, standing.resumes, tuple(standing.notes),
    )  # fmt: skip


def _need_one_device(settings: Training) -> None:
    if settings.devices != 1:
        raise BadProject(
            where="ty.Training(...)",
            found=f"devices={settings.devices} for a LightningModule",
            expected="devices=1",
            remedy="Leave devices out, or give torchyard's own loop an nn.Module.",
        )


@final
class _Run:
    """One sitting: what is done between Lightning's steps."""

    def __init__(
        self,
        module: nn.Module,
        settings: Training,
        training: Table,
        validation: Table,
        standing: Standing,
        watch: Watch,
        checkpoints: Checkpoints | None,
        saved: Plain | None,
    ) -> None:
        self._module: Any = module
        self._settings = settings
        self._validation = validation
        self._standing = standing
        self._watch = watch
        self._checkpoints = checkpoints
        self._random = saved["random"] if saved else None
        self._state = HeldState(saved["lightning"] if saved else None)
        self._sizes = batch_sizes(training.rows, settings.batch_size)
        is_automatic = bool(self._module.automatic_optimization)
        most = max(1, settings.batch_size // 2)
        self._parts = min(settings.accumulate, most) if is_automatic else 1
        self._rows = EpochRows(training, settings, standing, self._parts)
        self._pace = Pace(watch, settings, len(self._sizes), standing.trace.steps)
        self._began = time.monotonic() - standing.seconds
        self._epoch_began = time.monotonic() - standing.epoch_seconds
        self._batch: Examples | None = None
        self._losses: list[torch.Tensor] = []
        self._done_rows: list[int] = []
        self._logs_loss = False
        self._stop_signal = signal.getsignal(signal.SIGTERM)

    def seconds(self) -> float:
        """Wall time of the run, all sittings together."""
        return time.monotonic() - self._began

    def fit(self, folder: str) -> None:
        """Let Lightning train, from where the run stands to its end."""
        package = lightning_package(self._module) or PACKAGES[0]
        lightning = importlib.import_module(package)
        importlib.import_module(f"{package}.plugins.io").CheckpointIO.register(HeldState)
        has_validation = (
            type(self._module).validation_step is not lightning.LightningModule.validation_step
        )
        is_automatic = bool(self._module.automatic_optimization)
        try:
            trainer = lightning.Trainer(
                accelerator="auto", devices=1, precision=self._settings.precision,
                max_epochs=self._settings.max_epochs, num_sanity_val_steps=0,
                accumulate_grad_batches=self._parts, logger=False, enable_checkpointing=False,
                gradient_clip_val=self._settings.clip_norm if is_automatic else None,
                callbacks=[self._callback(lightning)], plugins=[self._state],
                enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
            )  # fmt: skip
            trainer.fit(
                self._module,
                train_dataloaders=self._rows,
                val_dataloaders=RowsInOrder(self._validation) if has_validation else None,
                ckpt_path=_IN_MEMORY if self._state.given is not None else None,
            )
        except YardError:
            raise
        except SystemExit as error:  # so Lightning ends when it is interrupted
            raise KeyboardInterrupt from error
        except Exception as error:
            raise self._refusal(error) from error
        finally:
            self._module.trainer = None

    def _callback(self, lightning: Any) -> Any:
        return lightning.callbacks.LambdaCallback(
            on_train_start=self._on_start,
            on_train_batch_start=self._before_batch,
            on_before_backward=self._before_backward,
            on_train_batch_end=self._after_batch,
            on_train_epoch_end=self._after_epoch,
        )

    def _on_start(self, trainer: Any, module: Any) -> None:
        # Lightning listens too, and would end the run before its state is saved
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._stop_signal)

    def _before_batch(self, trainer: Any, module: Any, batch: Batch, number: int) -> None:
        if self._random is not None:
            restore_random_state(self._random)
            self._random = None
            # else Lightning leaves out what follows a plateau at the end of this epoch
            trainer.fit_loop.restarting = False
        if not self._losses:
            why = self._watch.should_stop()
            if self._checkpoints is not None and (why or self._checkpoints.is_due()):
                self._save(trainer, self._checkpoints)
            if why:
                raise stopped(why, where=self._place())
        self._batch = Examples(*batch)

    def _before_backward(self, trainer: Any, module: Any, loss: torch.Tensor) -> None:
        self._need_finite(loss)

    def _after_batch(
        self, trainer: Any, module: Any, given: Any, batch: Batch, number: int
    ) -> None:
        loss = given.get("loss") if isinstance(given, dict) else given
        if loss is None:
            raise BadModel(
                where=f"{type(module).__name__}.training_step",
                found="no loss",
                expected="the loss of the batch, a scalar tensor",
                remedy="Return it, or a dictionary that has it as 'loss'.",
            )
        self._need_finite(loss)
        self._losses.append(loss.detach())
        self._done_rows.append(int(batch[1].shape[0]))
        if sum(self._done_rows) == self._sizes[self._standing.batch]:
            self._end_step(module)

    def _end_step(self, module: nn.Module) -> None:
        """All parts of a batch are done, and the optimizer's step."""
        import torch

        # Lightning divides each part's loss by how many parts there are
        losses = torch.stack(self._losses).double().cpu().numpy() * self._parts
        loss = float(np.average(losses, weights=self._done_rows))
        if not math.isfinite(loss) and self._batch:  # an accelerator's is known only now
            raise not_finite(self._module, self._batch, where=self._place())
        self._standing.trace.losses.append(loss)
        self._standing.batch += 1
        self._losses.clear()
        self._done_rows.clear()
        self._standing.trace.mark(module)
        self._pace.tell(self._standing)

    def _after_epoch(self, trainer: Any, module: Any) -> None:
        """Judge the epoch by torchyard's own validation loss."""
        standing, done = self._standing, self._standing.batch
        loss = loss_beside_training(module, self._validation)
        if not math.isfinite(loss):
            raise validation_not_finite(module, self._validation, epoch=standing.epoch)
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if self._logs_loss or VALIDATION_LOSS not in metrics:  # else it is the module's own
            self._logs_loss = True
            metrics.pop(VALIDATION_LOSS, None)
            module.log(VALIDATION_LOSS, loss)
        now = time.monotonic()
        epoch = Epoch(
            number=standing.epoch,
            train_loss=float(np.average(standing.trace.losses[-done:], weights=self._sizes[:done])),
            validation_loss=loss,
            seconds=now - self._epoch_began,
        )
        self._epoch_began = now
        standing.end_epoch(epoch, module)
        if metrics:
            self._watch.on_metrics(epoch.number, metrics)
        self._watch.on_epoch(epoch)
        for note in epoch_notes(
            standing.trace.losses, steps=done, curve=standing.curve, said=standing.notes
        ):
            standing.notes.append(note)
            self._watch.on_note(note)
        if standing.is_over(self._settings):
            trainer.should_stop = True

    def _save(self, trainer: Any, checkpoints: Checkpoints) -> None:
        standing, now = self._standing, time.monotonic()
        standing.seconds = now - self._began
        standing.epoch_seconds = now - self._epoch_began
        trainer.save_checkpoint(_IN_MEMORY)
        state = self._state.taken
        # the batch that begins has not been trained on
        progress = state["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        progress["is_last_batch"] = False
        checkpoints.save(standing.trace.steps, {
            "lightning": state, "standing": standing.plain(), "random": random_state(),
        })  # fmt: skip

    def _need_finite(self, loss: torch.Tensor) -> None:
        if loss.device.type == "cpu" and not math.isfinite(loss.item()) and self._batch:
            raise not_finite(self._module, self._batch, where=self._place())

    def _place(self) -> str:
        return f"epoch {self._standing.epoch}, step {self._standing.batch + 1}"

    def _refusal(self, error: Exception) -> BadModel:
        if self._batch is not None:
            return failed(
                error, self._module, self._batch, settings=self._settings, where=self._place()
            )
        line = line_where(error)
        return BadModel(
            where=f"{type(self._module).__name__}{f', {line}' if line else ''}",
            found=f"{type(error).__name__}: {' '.join(str(error).split())}",
            expected="a LightningModule that Lightning's Trainer can train",
            remedy="Mend what Lightning says; ty.Training's settings are the Trainer's.",
        )
