"""What a project's own training function is given: rows, a device, a log, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, final

from torchyard.core.errors import BadModel, Stopped
from torchyard.records.training import Epoch, FeatureGraph, Training
from torchyard.train.checkpoints import Checkpoints
from torchyard.train.epochs import batch_sizes, epoch_batches, hold
from torchyard.train.faults import not_finite
from torchyard.train.feed import Examples, Table, in_order
from torchyard.train.losses import loss_of
from torchyard.train.pace import Pace
from torchyard.train.packing import Plain
from torchyard.train.predict import loss_beside_training
from torchyard.train.randomness import random_state, restore_random_state, seed_everything
from torchyard.train.standing import Standing
from torchyard.train.watch import Watch, stopped

if TYPE_CHECKING:
    import torch
    from torch import nn

_BETWEEN_LOGS = 0.5


@final
class Fitting:
    """What a ``fit`` function trains with: data, device, a log, checkpoints.

    ``ty.Project(fit=my_fit)`` calls ``my_fit(context)`` with one of these and takes the module it
    returns. Nothing in it has to be used but the data. A function that saves goes on after a kill
    from where it stood, and ends with the same bits, if it takes up what it saved:

    Example:
        >>> def my_fit(context):
        ...     module = context.build()
        ...     optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        ...     first = 1
        ...     if context.resumed:
        ...         module.load_state_dict(context.resumed["module"])
        ...         optimizer.load_state_dict(context.resumed["optimizer"])
        ...         first = context.resumed["epoch"] + 1
        ...     for epoch in range(first, context.settings.max_epochs + 1):
        ...         for batch in context.batches(epoch):
        ...             loss = context.loss(module, batch)
        ...             optimizer.zero_grad()
        ...             loss.backward()
        ...             optimizer.step()
        ...         context.epoch(loss.item(), context.validation_loss(module))
        ...         context.save({"epoch": epoch, "module": module.state_dict(),
        ...                       "optimizer": optimizer.state_dict()})
        ...     return module

    Attributes:
        features: the fitted feature graph: names, shapes and sizes of the tensors.
        settings: the project's ``ty.Training``; what it means is the function's to honour.
        device: where batches come, an accelerator when there is one.
        training: how many rows there are to learn from.
        validation: how many rows there are to choose by.
        was_told_to_stop: whether ``should_stop`` was true.
        resumed: what was saved last by a run that was stopped or killed, its tensors on the CPU;
            None in a run that begins.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        *,
        training: Table,
        validation: Table,
        settings: Training,
        features: FeatureGraph,
        watch: Watch | None = None,
        checkpoints: Checkpoints | None = None,
        standing: Standing | None = None,
        saved: Plain | None = None,
    ) -> None:
        import torch

        accelerator = torch.accelerator.current_accelerator(check_available=True)
        self.features = features
        self.settings = settings
        self.device = accelerator or torch.device("cpu")
        self.training = training.rows
        self.validation = validation.rows
        self._build = build
        self._sizes = batch_sizes(training.rows, settings.batch_size)
        self._training, self._validation = hold(training, validation, settings, self.device)
        self._watch = watch or Watch()
        self._checkpoints = checkpoints
        self.resumed: Plain | None = saved["state"] if saved else None
        self._random: Plain | None = saved["random"] if saved else None
        self._saves: int = saved["saves"] if saved else 0
        self._standing = standing or Standing()
        self._pace = Pace(self._watch, settings, len(self._sizes), self._standing.trace.steps)
        self._began = time.monotonic() - self._standing.seconds
        self._epoch_began = time.monotonic() - self._standing.epoch_seconds
        self._module: nn.Module | None = None
        self._batch: Examples | None = None
        self._logged: tuple[int, dict[str, float]] | None = None
        self._told = 0.0
        self._asked = ""
        self.was_told_to_stop = False

    def build(self) -> nn.Module:
        """The project's untrained module, on the device.

        Every generator of random numbers is seeded first, with the seed of the settings; in a run
        that goes on they stand where they stood when its state was saved.
        """
        seed_everything(self.settings.seed)
        module = self._build().to(self.device)
        if self._module is None and not self._standing.trace.digests:
            self._standing.trace.mark(module)
        self._module = module
        if self._random is not None:
            restore_random_state(self._random)
        return module

    def batches(self, epoch: int, start: int = 0) -> Iterator[Examples]:
        """The training rows in batches, each row once, on the device.

        Their order depends on the seed and the epoch alone and is that of torchyard's own loop.

        Args:
            epoch: from 1.
            start: how many batches of the epoch are done already.

        Yields:
            ``tensors`` by name, ``[rows, ...]``, and ``labels``: ``float32 [rows]`` of 0 and 1 for
            a binary task, class numbers ``int64 [rows]`` for a multiclass one, ``float32 [rows,
            classes]`` of 0 and 1 for a multilabel one, numbers ``float32 [rows, 1]`` for a
            regression, standardized where the task says so.

        Raises:
            Stopped: the run was asked to stop, and the function went on without saving.
        """
        if self._random is not None:
            restore_random_state(self._random)
            self._random = None
        self._standing.epoch, self._standing.batch = epoch, start
        if start >= len(self._sizes):
            return
        for batch in epoch_batches(self._training, self.settings, epoch, start):
            if self._asked:
                raise unsaved(self._asked, where=self._place())
            self._asked = self._watch.should_stop()
            self._batch = batch.to(self.device)
            self._standing.batch += 1
            yield self._batch

    def validation_batches(self) -> Iterator[Examples]:
        """The validation rows in order, on the device; as ``batches`` gives them."""
        for batch in in_order(self._validation):
            yield batch.to(self.device)

    def loss(self, module: nn.Module, batch: Examples) -> torch.Tensor:
        """The mean loss of a batch, a scalar to call ``backward()`` on.

        Cross-entropy in nats: of the logistic function for a binary task and for each class of a
        multilabel one, of the softmax for a multiclass one. For a regression the squared error.
        """
        return loss_of(module(**batch.tensors), batch.labels)

    def validation_loss(self, module: nn.Module) -> float:
        """The mean of that loss over all validation rows; the module's modes stay."""
        return loss_beside_training(module, self._validation)

    def log(self, step: int, **metrics: float) -> None:
        """Record numbers of a step, and show where the run stands; some times a second at most.

        Args:
            step: how many steps of the optimizer are done.
            **metrics: by name. ``loss`` is the step's loss: it must be finite, is shown,
                and makes the run's trace, by which two runs are told apart step by step.

        Raises:
            BadModel: ``loss`` is not finite; the layer at fault is named.
        """
        values = {name: float(value) for name, value in metrics.items()}
        if "loss" in values:
            self._step(step, values["loss"])
        if self._logged is not None and self._logged[0] == step:
            values = {**self._logged[1], **values}
        self._logged = (step, values)
        now = time.monotonic()
        if now - self._told >= _BETWEEN_LOGS:
            self._told = now
            self.flush()

    def flush(self) -> None:
        """Record what was logged last and is not recorded yet; it is done at an epoch's end too."""
        if self._logged is not None:
            step, values = self._logged
            self._logged = None
            self._watch.on_metrics(step, values)

    def epoch(self, train_loss: float, validation_loss: float) -> bool:
        """Put an epoch on the run's curve.

        Args:
            train_loss: the mean over its rows.
            validation_loss: as ``validation_loss(module)`` gives it.

        Returns:
            Whether it is the best so far.

        Raises:
            BadModel: a loss is not finite.
        """
        standing, now = self._standing, time.monotonic()
        number = len(standing.curve) + 1
        for name, loss in (("train_loss", train_loss), ("validation_loss", validation_loss)):
            if not math.isfinite(loss):
                raise BadModel(
                    where=f"fit, epoch {number}, {name}",
                    found=str(loss),
                    expected="a finite number",
                    remedy="Lower the learning rate, clip gradients, or look for a logarithm of 0.",
                )
        before = min((one.validation_loss for one in standing.curve), default=math.inf)
        epoch = Epoch(
            number=number,
            train_loss=float(train_loss),
            validation_loss=float(validation_loss),
            seconds=now - self._epoch_began,
        )
        standing.curve.append(epoch)
        self._epoch_began = now
        self.flush()
        self._watch.on_epoch(epoch)
        return epoch.validation_loss < before

    @property
    def should_stop(self) -> bool:
        """Whether the run was asked to stop: save, which ends it. A function that returns after
        this was true counts as stopped, not as finished.
        """
        self._asked = self._asked or self._watch.should_stop()
        self.was_told_to_stop = bool(self._asked)
        return self.was_told_to_stop

    def save(self, state: Plain) -> None:
        """Keep a state to go on from, if it is time to (see ``checkpoint_seconds``).

        Random numbers are kept with it, and what ``log`` and ``epoch`` were told before. Call it
        wherever ``state`` says all that the function needs: after every step, or every epoch.

        Args:
            state: numbers, texts, tensors, and lists, tuples and dictionaries of them, such as
                ``state_dict()`` of modules, optimizers and schedules.

        Raises:
            BadModel: the state holds something else, such as an object.
            Stopped: the run was asked to stop; the state is kept.
        """
        stop = self._asked = self._asked or self._watch.should_stop()
        if self._checkpoints is not None and (stop or self._checkpoints.is_due()):
            standing, now = self._standing, time.monotonic()
            standing.seconds = now - self._began
            standing.epoch_seconds = now - self._epoch_began
            self._saves += 1
            self._checkpoints.save(self._saves, {
                "state": state, "random": random_state(), "saves": self._saves,
                "standing": standing.plain(),
            })  # fmt: skip
        if stop:
            raise stopped(stop, where=self._place())

    def _step(self, step: int, loss: float) -> None:
        if not math.isfinite(loss):
            where = f"fit, epoch {self._standing.epoch}, step {step}"
            if self._module is not None and self._batch is not None:
                raise not_finite(self._module, self._batch, where=where)
            raise BadModel(
                where=where, found=f"a loss of {loss}", expected="a finite number",
                remedy="Lower the learning rate, clip gradients, or look for a logarithm of 0.",
            )  # fmt: skip
        self._standing.trace.losses.append(loss)
        if self._module is not None:
            self._standing.trace.mark(self._module)
        self._pace.tell(self._standing)

    def _place(self) -> str:
        return f"fit, epoch {self._standing.epoch}, step {self._standing.batch}"


def unsaved(why: str, *, where: str) -> Stopped:
    """The error that ends a run which was asked to stop and did not save where it stood."""
    return Stopped(
        where=where,
        found=why,
        expected="training to its end",
        remedy="What was saved last is kept: run the same command again, and it goes on from "
        "there. A function that calls save(state) after every step loses nothing.",
    )
