"""The training loop, top to bottom. Devices and precision are Lightning Fabric's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.core.errors import BadModel
from torchyard.records.schema import Task
from torchyard.records.training import Epoch, FeatureGraph, Training
from torchyard.train.feed import Examples, Table, held, in_order, joined, placed, shuffled

if TYPE_CHECKING:
    import torch
    from torch import nn

_MIB = 1 << 20


@dataclass(frozen=True)
class Trained:
    """A module with its best weights, in evaluation mode, and how it got there."""

    module: nn.Module
    curve: tuple[Epoch, ...]
    best_epoch: int
    seconds: float


def train(
    build: Callable[[], nn.Module],
    *,
    training: Table,
    validation: Table,
    settings: Training,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Trained:
    """Train a module and keep the weights of the epoch with the lowest validation loss.

    AdamW under a cosine schedule (Loshchilov & Hutter 2017, 2019) on cross-entropy: of the
    logistic function where labels are 0 and 1, of the softmax where they are class numbers. The
    order of rows in epoch ``n`` depends on the seed and ``n`` alone.

    Args:
        build: makes the untrained module; called after the seed is set.
        training: rows to learn from, in memory or in files.
        validation: rows to choose the epoch by.
        settings: epochs, batch size, rates, seed, precision, memory for rows.
        on_epoch: told of every finished epoch.

    Raises:
        BadModel: the loss is not a number, or the module has nothing to learn.
    """
    import torch
    from lightning_fabric import Fabric

    started = time.monotonic()
    fabric = Fabric(accelerator="auto", devices=1, precision=settings.precision)
    torch.manual_seed(settings.seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    plain = _learning(build())
    module, optimizer, schedule = _prepared(fabric, plain, settings, training.rows)
    training, validation = _held(training, validation, settings, fabric.device)

    curve: list[Epoch] = []
    best: dict[str, torch.Tensor] = {}
    best_epoch = 0
    for number in range(1, settings.max_epochs + 1):
        tick = time.monotonic()
        module.train()
        loss = _one_epoch(fabric, module, optimizer, schedule, training, settings, number)
        epoch = Epoch(
            number=number,
            train_loss=_finite(loss, "training loss", number),
            validation_loss=_finite(_mean_loss(module, validation), "validation loss", number),
            seconds=time.monotonic() - tick,
        )
        curve.append(epoch)
        on_epoch(epoch)
        if not best or epoch.validation_loss < curve[best_epoch - 1].validation_loss:
            best_epoch = number
            best = {name: tensor.detach().clone() for name, tensor in plain.state_dict().items()}
        if number - best_epoch >= settings.patience:
            break
    plain.load_state_dict(best)
    return Trained(plain.cpu().eval(), tuple(curve), best_epoch, time.monotonic() - started)


def _learning(module: nn.Module) -> nn.Module:
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise BadModel(
            where=type(module).__name__,
            found="no parameter that can be trained",
            expected="at least one",
            remedy="Give it a layer, or leave requires_grad on somewhere.",
        )
    return module


def _one_epoch(
    fabric: Any,
    module: nn.Module,
    optimizer: Any,
    schedule: Any,
    training: Table,
    settings: Training,
    number: int,
) -> float:
    """Every training row once; the mean loss of the batches as they were met."""
    import torch

    total = torch.zeros((), device=fabric.device)
    for batch in _batches(training, settings, number):
        examples = batch.to(fabric.device)
        loss = _loss(module(**examples.tensors), examples.labels)
        optimizer.zero_grad(set_to_none=True)
        fabric.backward(loss)
        if settings.clip_norm is not None:
            # a gradient that is not finite shows in the loss, which says so in better words
            fabric.clip_gradients(
                module, optimizer, max_norm=settings.clip_norm, error_if_nonfinite=False
            )
        optimizer.step()
        schedule.step()
        total += loss.detach() * examples.rows
    return float(total) / training.rows


def _prepared(fabric: Any, module: nn.Module, settings: Training, rows: int) -> tuple[Any, ...]:
    """The module and its optimizer on Fabric's device, and the schedule over all steps."""
    import torch

    optimizer = torch.optim.AdamW(
        module.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    steps = -(-rows // settings.batch_size) * settings.max_epochs
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    return *fabric.setup(module, optimizer), schedule


def predict_logits(module: nn.Module, table: Table) -> Any:
    """Logits of many rows as a ``float64`` numpy array, computed in chunks.

    ``[rows]`` of a module that gives one per row, else ``[rows, classes]``.
    """
    import torch

    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    with torch.inference_mode():
        parts = [module(**examples.to(device).tensors) for examples in in_order(table)]
        logits = torch.cat(parts).double().cpu().numpy()
    return logits.reshape(-1) if logits.size == logits.shape[0] else logits


def probe(module: nn.Module, features: FeatureGraph, table: Table, task: Task) -> None:
    """Run two rows through an untrained module, as in training and as after, and check the answer.

    Raises:
        BadModel: ``forward`` does not take the features by name, fails, or does not return finite
            logits: one per row for a binary task, one per row and class for others.
    """
    import torch

    tensors = table.read(0, 2).tensors
    shapes = ", ".join(f"{name} {_shape(features, name)}" for name in tensors)
    where = f"{type(module).__name__}.forward"
    try:
        with torch.inference_mode():
            for is_training in (True, False):
                logits = module.train(is_training)(**tensors)
    except Exception as error:
        raise BadModel(
            where=where,
            found=f"{type(error).__name__}: {error}",
            expected=f"parameters named as the features: {shapes}",
            remedy="Make forward's parameters and sizes match ty.Features in project.py.",
        ) from error
    classes = len(task.classes)
    fitting = ((2,), (2, 1)) if task.is_binary else ((2, classes),)
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) not in fitting:
        found = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise BadModel(
            where=where,
            found=f"for 2 rows an answer of shape {found}",
            expected="one logit per row, shape [2] or [2, 1]"
            if task.is_binary
            else f"a logit of each of the {classes} classes per row, shape [2, {classes}]",
            remedy="End forward with a layer of one output, without a sigmoid."
            if task.is_binary
            else f"End forward with a layer of {classes} outputs, without a softmax.",
        )
    if not bool(torch.isfinite(logits).all()):
        raise BadModel(
            where=where,
            found="logits that are not finite on the first two training rows",
            expected="finite numbers",
            remedy="Look for a division by zero, a logarithm or an initialization at fault.",
        )


def _shape(features: FeatureGraph, name: str) -> str:
    tensor = features[name]
    return f"{tensor.dtype} [{', '.join(['rows', *map(str, tensor.shape)])}]"


def _held(
    training: Table, validation: Table, settings: Training, device: torch.device
) -> tuple[Table, Table]:
    """Rows in memory where they fit in what the settings grant, training's first."""
    budget = settings.memory_mib * _MIB
    training = held(training, budget)
    left = budget - training.rows * training.row_bytes
    return placed(training, device), placed(held(validation, left), device)


def _batches(table: Table, settings: Training, epoch: int) -> Iterator[Examples]:
    """An epoch's batches; a single row left over goes with the batch before it.

    What normalizes over a batch (BatchNorm) refuses to learn from one row.
    """
    batches = shuffled(
        table, batch_size=settings.batch_size, seed=settings.seed, epoch=epoch,
        memory_bytes=settings.memory_mib * _MIB,
    )  # fmt: skip
    before = next(batches)
    for batch in batches:
        if batch.rows == 1 < settings.batch_size:
            before = joined(before, batch)
            break
        yield before
        before = batch
    yield before


def _loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy in float32; class numbers are whole, truth of two classes is not."""
    from torch.nn import functional

    if labels.is_floating_point():
        return functional.binary_cross_entropy_with_logits(logits.reshape(-1).float(), labels)
    return functional.cross_entropy(logits.float(), labels)


def _mean_loss(module: nn.Module, table: Table) -> float:
    """Mean cross-entropy in nats, summed in float64."""
    module.eval()
    logits = predict_logits(module, table)
    labels = table.truth()
    if logits.ndim == 1:
        return float(np.mean(np.logaddexp(0.0, logits) - labels * logits))
    total = np.logaddexp.reduce(logits, axis=1)
    return float(np.mean(total - np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]))


def _finite(value: float, what: str, epoch: int) -> float:
    if not np.isfinite(value):
        raise BadModel(
            where=f"epoch {epoch}, {what}",
            found=str(value),
            expected="a finite number",
            remedy="Lower learning_rate, set clip_norm, or look for a logarithm of zero.",
        )
    return value
