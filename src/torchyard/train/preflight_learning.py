"""Pre-flight: does the module learn, and all of it?"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torchyard.core.wording import listed
from torchyard.records.training import Check
from torchyard.train.faults import not_finite
from torchyard.train.feed import Examples
from torchyard.train.losses import are_numbers, least_constant_loss, loss_of
from torchyard.train.preflight_trial import (
    ROWS,
    WHERE,
    Practised,
    Trial,
    backward,
    logits_of,
    quiet,
)

if TYPE_CHECKING:
    from torch import nn

OVERFITS = "overfits eight rows"
GRADIENTS = "a gradient reaches every parameter"

_STEPS = 120
_SECONDS = 15.0
_RATE = 1e-3
_FASTER, _SLOWER = 1.15, 0.3
# a loss that rises by so much is taken back
_RISE = 1.2
# the share of the loss at the start that is left: learnt by heart, and nothing learnt
_LEARNT = 0.1
_CLEARLY = 0.3
_NOTHING = 0.999
_KNOWN_NATS = 0.05


@dataclass(frozen=True)
class Memorized:
    """How far a module got with some rows: losses before and at the best step."""

    start: float
    best: float
    steps: int


def check_overfits(trial: Trial, *, clock: Callable[[], float] = time.monotonic) -> Check:
    """Let a fresh module learn eight rows by heart, without dropout.

    A loss that does not fall at all is a fault of the module: it fails. One that falls and stays
    high is a warning: few things but a small model look like that, a linear one for example.

    Raises:
        BadModel: the module fails, or its first loss is not finite.
    """
    rows = trial.eight()
    module = quiet(trial.fresh())
    if not any(parameter.requires_grad for parameter in module.parameters()):
        return Check(
            name=OVERFITS, outcome="fail", found="no parameter that can be trained",
            remedy="Give the module a layer, or leave requires_grad on somewhere.",
        )  # fmt: skip
    found = memorize(module, rows, trial, clock=clock)
    unit = "" if are_numbers(rows.labels) else " nats"
    told = f"loss {found.start:.3g} to {found.best:.3g}{unit} in {found.steps} steps"
    told = told if rows.rows == ROWS else f"{told} on the {rows.rows} rows that differ"
    if found.best <= max(_KNOWN_NATS, _CLEARLY * found.start):
        return Check(name=OVERFITS, outcome="pass", found=told)
    if found.best > _NOTHING * found.start:
        return Check(
            name=OVERFITS, outcome="fail", found=f"{told}: it does not fall",
            remedy="Look for detach(), no_grad() or a sign that is wrong on the way from the "
            "weights to the logits, for weights that are frozen, and for inputs that are not used.",
        )  # fmt: skip
    constant = least_constant_loss(rows.truth())
    if found.best > 0.99 * constant:
        told += f", no better than one answer to all of them ({constant:.3g})"
    return Check(
        name=OVERFITS, outcome="warn", found=f"{told}: it stays high",
        remedy="A small or linear model cannot learn eight rows by heart; one with hidden layers "
        "should. Look for inputs that are not used, or saturated by their scale.",
    )  # fmt: skip


def memorize(
    module: nn.Module, rows: Examples, trial: Trial, *, clock: Callable[[], float]
) -> Memorized:
    """Learn rows by heart with Adam, whose rate finds itself.

    It goes up while the loss falls; when the loss rises, the step is taken back and the rate goes
    down (the bold driver: Vogl et al. 1988).
    """
    import torch

    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learning, lr=_RATE)
    rate, start, best, step = _RATE, math.inf, math.inf, 0
    kept = [parameter.detach().clone() for parameter in learning]
    until = clock() + _SECONDS
    for step in range(1, _STEPS + 1):
        loss = loss_of(logits_of(module, rows, settings=trial.settings), rows.labels)
        value = loss.item()
        if step == 1:
            if not math.isfinite(value):
                raise not_finite(module, rows, where=WHERE)
            start = best = value
        rises = not value <= best * _RISE + 1e-6
        if rises:
            optimizer.state.clear()
            with torch.no_grad():
                for parameter, before in zip(learning, kept, strict=True):
                    parameter.copy_(before)
        elif value < best:
            best = value
            for parameter, before in zip(learning, kept, strict=True):
                before.copy_(parameter.detach())
        rate *= _SLOWER if rises else _FASTER
        optimizer.param_groups[0]["lr"] = rate
        if best <= max(_LEARNT * start, 1e-3) or clock() > until:
            break
        if not rises:
            backward(loss, module, rows, trial)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    return Memorized(start, best, step)


def check_gradients(practised: Practised) -> Check:
    """Say which parameters no gradient reached in a few steps.

    One that has no gradient at all fails: ``forward`` does not depend on it, whatever the rows, so
    it would be saved and shipped as chance made it. One whose gradient was exactly zero warns: with
    other rows it may have another.
    """
    learning = [name for name, p in practised.module.named_parameters() if p.requires_grad]
    if practised.without:
        return Check(
            name=GRADIENTS, outcome="fail",
            found=f"none for {_names(practised.without)}, {_share(practised, practised.without)}",
            remedy="Use them on the way to the logits and look for detach() or no_grad() after "
            "them; or take them out, or say requires_grad_(False) where they are to stay.",
        )  # fmt: skip
    if practised.zero:
        everything = len(practised.zero) == len(learning)
        return Check(
            name=GRADIENTS, outcome="fail" if everything else "warn",
            found=f"exactly zero in every step for {_names(practised.zero)}, "
            f"{_share(practised, practised.zero)}",
            remedy="Look for units that never answer (a ReLU after large negative weights), a "
            "multiplication by zero, or inputs that are always zero.",
        )  # fmt: skip
    return Check(name=GRADIENTS, outcome="pass", found=f"all {len(learning)} parameters")


def _names(names: list[str]) -> str:
    return listed(names, most=5, show=repr)


def _share(practised: Practised, names: list[str]) -> str:
    sizes = {n: p.numel() for n, p in practised.module.named_parameters() if p.requires_grad}
    part = sum(sizes[name] for name in names) / sum(sizes.values())
    return f"{part:.0%} of what is to be learnt"
