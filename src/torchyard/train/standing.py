"""Where a run stands, and what comes of it when it is over."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from torchyard.records.training import Epoch, Training
from torchyard.train.packing import Plain
from torchyard.train.trace import Trace

if TYPE_CHECKING:
    import torch
    from torch import nn


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

    def end_epoch(self, epoch: Epoch, module: nn.Module) -> None:
        """Put an epoch on the curve, and keep the module's weights if they are the best so far."""
        self.curve.append(epoch)
        best = self.curve[self.best_epoch - 1].validation_loss
        if not self.best or epoch.validation_loss < best:
            self.best_epoch = epoch.number
            self.best = {
                name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()
            }
        self.epoch += 1
        self.batch = 0
        self.epoch_seconds = 0.0
