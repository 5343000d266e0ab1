"""The training loop, top to bottom. Devices and precision are Lightning Fabric's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.core.errors import BadModel
from torchyard.records.training import Epoch, FeatureGraph, Training

if TYPE_CHECKING:
    import torch
    from torch import nn

    Tensors = Mapping[str, torch.Tensor]

# rows per forward pass outside of training; bounds memory, changes no result
_CHUNK_ROWS = 16_384


@dataclass(frozen=True)
class Examples:
    """Feature tensors by name and their labels, ``float32 [rows]`` of 0 and 1."""

    tensors: Tensors
    labels: torch.Tensor

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], labels: Any) -> Examples:
        """Wrap numpy arrays without copying them where their type allows it."""
        import torch

        return cls(
            {name: torch.from_numpy(array) for name, array in arrays.items()},
            torch.from_numpy(labels.astype(np.float32)),
        )

    @property
    def rows(self) -> int:
        """How many examples there are."""
        return int(self.labels.shape[0])


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
    training: Examples,
    validation: Examples,
    settings: Training,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Trained:
    """Train a module and keep the weights of the epoch with the lowest validation loss.

    AdamW under a cosine schedule (Loshchilov & Hutter 2017, 2019) on binary cross-entropy. The
    order of rows in epoch ``n`` depends on the seed and ``n`` alone.

    Args:
        build: makes the untrained module; called after the seed is set.
        training: examples to learn from.
        validation: examples to choose the epoch by.
        settings: epochs, batch size, rates, seed, precision.
        on_epoch: told of every finished epoch.

    Raises:
        BadModel: the loss is not a number.
    """
    import torch
    from lightning_fabric import Fabric

    started = time.monotonic()
    fabric = Fabric(accelerator="auto", devices=1, precision=settings.precision)
    torch.manual_seed(settings.seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    plain = build()
    module, optimizer, schedule = _prepared(fabric, plain, settings, training.rows)
    training, validation = _moved(training, fabric.device), _moved(validation, fabric.device)

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


def _one_epoch(
    fabric: Any,
    module: nn.Module,
    optimizer: Any,
    schedule: Any,
    training: Examples,
    settings: Training,
    number: int,
) -> float:
    """Every training row once; the mean loss of the batches as they were met."""
    import torch

    total = torch.zeros((), device=fabric.device)
    for tensors, labels in _shuffled(training, settings, number):
        loss = _loss(module(**tensors), labels)
        optimizer.zero_grad(set_to_none=True)
        fabric.backward(loss)
        if settings.clip_norm is not None:
            # a gradient that is not finite shows in the loss, which says so in better words
            fabric.clip_gradients(
                module, optimizer, max_norm=settings.clip_norm, error_if_nonfinite=False
            )
        optimizer.step()
        schedule.step()
        total += loss.detach() * labels.shape[0]
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


def predict_logits(module: nn.Module, tensors: Tensors) -> Any:
    """Logits of many rows, ``float64 [rows]`` as a numpy array, computed in chunks."""
    import torch

    rows = next(iter(tensors.values())).shape[0]
    with torch.inference_mode():
        parts = [
            module(**{name: t[first : first + _CHUNK_ROWS] for name, t in tensors.items()})
            for first in range(0, rows, _CHUNK_ROWS)
        ]
        return torch.cat([part.reshape(-1) for part in parts]).double().cpu().numpy()


def probe(module: nn.Module, features: FeatureGraph, examples: Examples) -> None:
    """Run two rows through an untrained module and check what comes back.

    Raises:
        BadModel: ``forward`` does not take the features by name, fails, or does not return one
            finite logit per row.
    """
    import torch

    tensors = {name: tensor[:2] for name, tensor in examples.tensors.items()}
    shapes = ", ".join(f"{name} {_shape(features, name)}" for name in tensors)
    where = f"{type(module).__name__}.forward"
    module.eval()
    try:
        with torch.inference_mode():
            logits = module(**tensors)
    except Exception as error:
        raise BadModel(
            where=where,
            found=f"{type(error).__name__}: {error}",
            expected=f"parameters named as the features: {shapes}",
            remedy="Make forward's parameters and sizes match ty.Features in project.py.",
        ) from error
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) not in ((2,), (2, 1)):
        found = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise BadModel(
            where=where,
            found=f"for 2 rows an answer of shape {found}",
            expected="one logit per row, shape [2] or [2, 1]",
            remedy="End forward with a layer of one output, without a sigmoid.",
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


def _shuffled(
    examples: Examples, settings: Training, epoch: int
) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor]]:
    import torch

    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + epoch)
    order = torch.randperm(examples.rows, generator=generator).to(examples.labels.device)
    for first in range(0, examples.rows, settings.batch_size):
        chosen = order[first : first + settings.batch_size]
        yield (
            {name: tensor[chosen] for name, tensor in examples.tensors.items()},
            examples.labels[chosen],
        )


def _loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    from torch.nn import functional

    return functional.binary_cross_entropy_with_logits(logits.reshape(-1).float(), labels)


def _mean_loss(module: nn.Module, examples: Examples) -> float:
    """Mean cross-entropy in nats, summed in float64."""
    module.eval()
    logits = predict_logits(module, examples.tensors)
    labels = examples.labels.cpu().numpy()
    return float(np.mean(np.logaddexp(0.0, logits) - labels * logits))


def _moved(examples: Examples, device: torch.device) -> Examples:
    return Examples(
        {name: tensor.to(device) for name, tensor in examples.tensors.items()},
        examples.labels.to(device),
    )


def _finite(value: float, what: str, epoch: int) -> float:
    if not np.isfinite(value):
        raise BadModel(
            where=f"epoch {epoch}, {what}",
            found=str(value),
            expected="a finite number",
            remedy="Lower learning_rate, set clip_norm, or look for a logarithm of zero.",
        )
    return value
