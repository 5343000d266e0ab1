"""One step of learning: a module, its optimizer and its schedule on Fabric's device."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, final

from torchyard.core.errors import BadModel
from torchyard.records.training import Training
from torchyard.train.epochs import in_parts
from torchyard.train.faults import failed, gradient_not_finite, not_finite
from torchyard.train.feed import Examples
from torchyard.train.losses import loss_of
from torchyard.train.packing import Plain

if TYPE_CHECKING:
    import torch
    from torch import nn

_MOMENTUM = 0.9


@final
class Learner:
    """A module that learns from one batch after another.

    Args:
        fabric: Lightning Fabric, for the device, the precision and the gradients.
        module: untrained, or as its checkpoint left it.
        settings: optimizer, rates, schedule, clipping, parts of a batch.
        steps: of the whole run, which the schedule spreads over.

    Attributes:
        module: as the user wrote it, on the device.

    Raises:
        BadModel: the module has nothing to learn.
    """

    def __init__(self, fabric: Any, module: nn.Module, settings: Training, steps: int) -> None:
        import torch

        if not any(parameter.requires_grad for parameter in module.parameters()):
            raise BadModel(
                where=type(module).__name__,
                found="no parameter that can be trained",
                expected="at least one",
                remedy="Give it a layer, or leave requires_grad on somewhere.",
            )
        self.module = module
        self._fabric = fabric
        self._settings = settings
        self._optimizer = make_optimizer(module, settings)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda step: learning_share(step, steps, settings)
        )
        self._wrapped, self._stepper = fabric.setup(module, self._optimizer)
        self._is_on_cpu = fabric.device.type == "cpu"

    def step(self, batch: Examples, where: str, *, even: float | None = None) -> torch.Tensor:
        """Learn from one batch, in so many parts as the settings say.

        Args:
            batch: on the device.
            where: what to call the step in errors.
            even: where devices share a batch, the rows that each would have if all had as many;
                ``batch`` is then this one's part.

        Returns:
            The sum of its rows' losses over ``even``, before the step; a scalar on the
            device. So the mean over devices, of losses and of gradients, is that of all rows.

        Raises:
            BadModel: ``forward`` fails, memory does not suffice, or the loss is not finite; the
                last is noticed later on an accelerator, see ``loop``.
        """
        parts = in_parts(batch, self._settings.accumulate)
        losses = []
        for number, part in enumerate(parts, start=1):
            with self._fabric.no_backward_sync(self._wrapped, enabled=number < len(parts)):
                losses.append(self._backward(part, part.rows / (even or batch.rows), where))
        if self._settings.clip_norm is not None:
            norm = self._fabric.clip_gradients(
                self._wrapped, self._stepper, max_norm=self._settings.clip_norm,
                error_if_nonfinite=False,
            )  # fmt: skip
            # an accelerator is not waited for: there the next loss shows it; and a gradient scaler
            # makes infinite ones on purpose
            scaled = self._settings.precision == "16-mixed"
            if self._is_on_cpu and not scaled and not math.isfinite(norm):
                raise gradient_not_finite(self.module, batch, where=where)
        self._stepper.step()
        self._stepper.zero_grad(set_to_none=True)
        self._schedule.step()
        return losses[0] if len(losses) == 1 else sum(losses[1:], losses[0])

    def _backward(self, part: Examples, share: float, where: str) -> torch.Tensor:
        try:
            loss = loss_of(self._wrapped(**part.tensors), part.labels)
            if self._is_on_cpu and not math.isfinite(loss.item()):
                raise not_finite(self.module, part, where=where)
            weighed = loss if share == 1.0 else loss * share
            self._fabric.backward(weighed)
        except (RuntimeError, MemoryError, TypeError, ValueError, IndexError) as error:
            raise failed(error, self.module, part, settings=self._settings, where=where) from error
        return weighed.detach()

    def state(self) -> Plain:
        """Weights, optimizer, schedule and precision, as plain values."""
        return {
            "module": self.module.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "precision": self._fabric.strategy.precision.state_dict(),
        }

    def restore(self, state: Plain) -> None:
        """Go on from a state."""
        self.module.load_state_dict(state["module"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._fabric.strategy.precision.load_state_dict(state["precision"])


def make_optimizer(module: nn.Module, settings: Training) -> torch.optim.Optimizer:
    """The optimizer that the settings name, over the parameters that learn.

    In one fused kernel, which takes half the time of one operation after another (measured on two
    cores, AdamW on the flights example's module); the gradient scaler of ``16-mixed`` cannot clip
    with those.
    """
    import torch

    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    shared: dict[str, Any] = {
        "lr": settings.learning_rate,
        "weight_decay": settings.weight_decay,
        "fused": settings.precision != "16-mixed",
    }
    if settings.optimizer == "sgd":
        return torch.optim.SGD(learning, momentum=_MOMENTUM, nesterov=True, **shared)
    return torch.optim.AdamW(learning, **shared)


def learning_share(step: int, steps: int, settings: Training) -> float:
    """The share of the highest learning rate at a step, 0 to 1.

    Linear warm-up (Goyal et al. 2017, section 2.2), then a half cosine without restarts (Loshchilov
    & Hutter 2017), a line, or nothing.

    Args:
        step: from 0.
        steps: of the whole run.
        settings: ``warmup`` and ``schedule``.

    Example:
        >>> [round(learning_share(step, 4, Training(warmup=0.5)), 3) for step in range(5)]
        [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    warm = round(settings.warmup * steps)
    if step < warm:
        return (step + 1) / warm
    if settings.schedule == "constant":
        return 1.0
    done = min(1.0, (step - warm) / max(1, steps - warm))
    return 0.5 * (1.0 + math.cos(math.pi * done)) if settings.schedule == "cosine" else 1.0 - done
