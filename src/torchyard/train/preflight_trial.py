"""What pre-flight checks try things on: fresh modules, a few rows, a module after some steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np

from torchyard.records.training import Training
from torchyard.train.faults import failed
from torchyard.train.feed import Examples, Table, joined
from torchyard.train.losses import are_numbers, loss_of
from torchyard.train.randomness import random_state, restore_random_state, seed_everything

if TYPE_CHECKING:
    import torch
    from torch import nn

ROWS = 8
_BATCHES = 4
_BATCH_ROWS = 32
_RATE = 1e-3
# places of one class that are looked at for rows that differ
_TRIED = 8
WHERE = "pre-flight"


@final
class Trial:
    """A module's maker, rows to try it on, and the device that training will use.

    Args:
        build: makes the untrained module.
        training: rows to learn from.
        settings: of the run; the seed is theirs.
        device: where modules are put.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        training: Table,
        settings: Training,
        device: torch.device,
    ) -> None:
        self.training = training
        self.settings = settings
        self.device = device
        self._build = build

    def fresh(self, *, seed: int | None = None) -> nn.Module:
        """An untrained module that shares nothing with any other, on the device.

        A project may hand out the same weights again and again, pretrained ones for example: they
        must not change here.
        """
        seed_everything(self.settings.seed if seed is None else seed)
        module = self._build()
        with suppress(RuntimeError):  # a tensor that was computed is none that torch copies
            module = copy.deepcopy(module)
        return module.to(self.device)

    def eight(self) -> Examples:
        """Eight rows that differ, with labels as different as can be; fewer if there are no more.

        They are the same at every call.
        """
        return self._pick(ROWS)

    def batches(self) -> list[Examples]:
        """A few batches from all over the table, the same at every call."""
        rows = self.training.rows
        count = min(_BATCH_ROWS * _BATCHES, rows)
        places = np.linspace(0, rows - 1, count).astype(np.int64)
        size = max(2, -(-count // _BATCHES))
        parts = [places[first : first + size] for first in range(0, count, size)]
        return [self._read(part) for part in parts if len(part) > 1]

    def _pick(self, count: int) -> Examples:
        seen: set[bytes] = set()
        kept: list[Examples] = []
        for place in _candidates(self.training.truth(), count):
            row = self.training.read(place, place + 1)
            content = b"|".join(t.numpy().tobytes() for t in row.tensors.values())
            if content not in seen:
                seen.add(content)
                kept.append(row)
            if len(kept) == count:
                break
        return self._together(kept)

    def _read(self, places: np.ndarray[Any, np.dtype[np.int64]]) -> Examples:
        return self._together([self.training.read(int(p), int(p) + 1) for p in places])

    def _together(self, rows: list[Examples]) -> Examples:
        whole = rows[0]
        for row in rows[1:]:
            whole = joined(whole, row)
        return whole.to(self.device)


def _candidates(truth: np.ndarray[Any, np.dtype[Any]], count: int) -> Iterator[int]:
    """Places of rows, of one class after another, so that the first ``count`` hold the most."""
    truth = _sorts(truth)
    classes = np.unique(truth)
    chosen = classes[np.linspace(0, len(classes) - 1, min(count, len(classes))).astype(np.int64)]
    lists = []
    for value in chosen:
        places = np.flatnonzero(truth == value)
        spread = np.linspace(0, len(places) - 1, min(len(places), _TRIED * count)).astype(np.int64)
        lists.append(places[np.unique(spread)])
    for turn in range(max(map(len, lists))):
        for places in lists:
            if turn < len(places):
                yield int(places[turn])


def _sorts(truth: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    """One value a row, the same for the same label: of several classes which set of them it is."""
    if truth.ndim == 1 or are_numbers(truth):
        return truth.reshape(-1)
    _, sorts = np.unique(np.packbits(truth != 0, axis=1), axis=0, return_inverse=True)
    return sorts.reshape(-1)


def logits_of(module: nn.Module, rows: Examples, *, settings: Training) -> torch.Tensor:
    """A module's answers as it stands, ``float32``; a gradient may pass.

    Raises:
        BadModel: ``forward`` fails.
    """
    try:
        made: torch.Tensor = module(**rows.tensors)
        return made.float()
    except Exception as error:
        raise failed(error, module, rows, settings=settings, where=WHERE) from error


@dataclass
class Practised:
    """A module after a few steps of training, and which of its parameters a gradient reached.

    ``without`` have no gradient in any step: nothing that ``forward`` computes depends on them.
    ``zero`` have one that is exactly zero in every step.
    """

    module: nn.Module
    without: list[str] = field(default_factory=list)
    zero: list[str] = field(default_factory=list)


def practise(trial: Trial) -> Practised:
    """Take a few steps, as training does, with Adam.

    Weights that start at zero keep a gradient from those before them in the first step alone
    (adapters: Hu et al. 2022, section 4.1), so more steps than one are looked at.

    Raises:
        BadModel: ``forward`` or the way back fails.
    """
    import torch

    module = trial.fresh().train()
    learning = {name: p for name, p in module.named_parameters() if p.requires_grad}
    optimizer = torch.optim.Adam(list(learning.values()), lr=_RATE)
    had: set[str] = set()
    moved: set[str] = set()
    for batch in trial.batches():
        loss = loss_of(logits_of(module, batch, settings=trial.settings), batch.labels)
        backward(loss, module, batch, trial)
        for name, parameter in learning.items():
            if parameter.grad is not None:
                had.add(name)
                if name not in moved and bool((parameter.grad != 0).any()):
                    moved.add(name)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return Practised(
        module,
        without=[name for name in learning if name not in had],
        zero=[name for name in learning if name in had and name not in moved],
    )


def backward(loss: torch.Tensor, module: nn.Module, batch: Examples, trial: Trial) -> None:
    """Compute gradients, in words where that fails.

    Raises:
        BadModel: the answer is cut off from the weights, or an operation has no derivative.
    """
    try:
        loss.backward()  # type: ignore[no-untyped-call]
    except Exception as error:
        raise failed(error, module, batch, settings=trial.settings, where=WHERE) from error


def quiet(module: nn.Module) -> nn.Module:
    """A module in evaluation mode, so without dropout, that can learn nevertheless.

    What normalizes over a batch does so with the batch, not with averages it has not seen yet; and
    recurrent layers learn on an accelerator in training mode alone.
    """
    from torch import nn
    from torch.nn.modules.batchnorm import _BatchNorm

    module.eval()
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.train()
        elif isinstance(layer, nn.RNNBase):
            layer.dropout = 0.0
            layer.train()
    return module


@contextmanager
def chance_restored() -> Iterator[None]:
    """Every random generator stands after the block where it stood before."""
    state = random_state()
    try:
        yield
    finally:
        restore_random_state(state)
