"""Pre-flight: checks that take seconds, before a run that takes hours.

Each gives a ``Check``: it passes, warns, or fails, which stops the run. They draw from the random
generators and put them back, and try things on modules of their own: a run is the same to the bit
with and without them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torchyard.core.errors import BadModel
from torchyard.records.training import EXTREMES, Check, Training
from torchyard.train.extremes import RealRow, check_extremes
from torchyard.train.feed import Table
from torchyard.train.kernels import choose_workspace, deterministic
from torchyard.train.preflight_answers import (
    ALONE,
    INPUTS,
    SAVING,
    SERVING,
    check_alone,
    check_inputs,
    check_saving,
    check_serving,
)
from torchyard.train.preflight_learning import (
    GRADIENTS,
    OVERFITS,
    check_gradients,
    check_overfits,
)
from torchyard.train.preflight_memory import MEMORY, check_memory
from torchyard.train.preflight_trial import Trial, chance_restored, practise

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Preflight", "RealRow", "preflight", "stopping"]


@dataclass(frozen=True)
class Preflight:
    """What was found, and the seconds of wall time that it took."""

    checks: tuple[Check, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether nothing stops the run; there may be warnings."""
        return all(check.outcome != "fail" for check in self.checks)

    @property
    def summary(self) -> str:
        """How many checks ended how, in a line."""
        counts = {
            word: sum(check.outcome == outcome for check in self.checks)
            for outcome, word in (("pass", "passed"), ("warn", "warned"), ("fail", "failed"))
        }
        told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        return f"pre-flight: {told}, {self.seconds:.1f} s"


def preflight(
    build: Callable[[], nn.Module],
    *,
    training: Table,
    validation: Table,
    settings: Training,
    row: RealRow | None = None,
    serve: Callable[[nn.Module], float] | None = None,
    before: Callable[[str], None] = lambda name: None,
) -> Preflight:
    """Check a module before its run, on the device that training will use.

    Args:
        build: makes the untrained module.
        training: rows to learn from.
        validation: rows to choose the epoch by.
        settings: of the run.
        row: a real row, for rows at the schema's limits; without it these are not tried.
        serve: takes a module the whole way to serving and gives the largest difference between its
            answers and PyTorch's; without it this is not tried.
        before: told the name of each check before it is made; what it raises ends them.
    """
    started = time.monotonic()
    choose_workspace()  # as training does, which begins on a device that has started then
    with chance_restored(), deterministic([]):
        checks = tuple(_checks(build, training, validation, settings, row, serve, before))
    _give_back()
    return Preflight(checks, time.monotonic() - started)


def stopping(found: Preflight) -> BadModel | None:
    """The refusal of a run that a check failed; None when none did."""
    wrong = [check for check in found.checks if check.outcome == "fail"]
    if not wrong:
        return None
    others = ", ".join(f"'{check.name}'" for check in wrong[1:])
    return BadModel(
        where=f"pre-flight, '{wrong[0].name}'",
        found=wrong[0].found + (f" (failed too: {others})" if others else ""),
        expected="a check that passes before a long run",
        remedy=f"{wrong[0].remedy} If it is meant so: ty.Training(preflight=False).",
    )


def _checks(
    build: Callable[[], nn.Module],
    training: Table,
    validation: Table,
    settings: Training,
    row: RealRow | None,
    serve: Callable[[nn.Module], float] | None,
    before: Callable[[str], None],
) -> Iterator[Check]:
    from lightning_fabric import Fabric

    def made(name: str, check: Callable[[], Check]) -> Check:
        before(name)
        return _guarded(name, check)

    fabric = Fabric(accelerator="auto", devices=1, precision=settings.precision)
    trial = Trial(build, training, settings, fabric.device)
    yield made(OVERFITS, lambda: check_overfits(trial))
    if not any(parameter.requires_grad for parameter in trial.fresh().parameters()):
        return  # the rest would stumble over the same
    before(GRADIENTS)
    try:
        practised = practise(trial)
    except BadModel as error:
        yield _failed(GRADIENTS, error)
        return
    yield check_gradients(practised)
    yield made(INPUTS, lambda: check_inputs(trial, practised))
    yield made(ALONE, lambda: check_alone(trial, practised))
    yield made(SAVING, lambda: check_saving(trial, practised))
    if row is not None:
        yield made(EXTREMES, lambda: check_extremes(practised.module, row, settings=settings))
    yield made(MEMORY, lambda: check_memory(trial, validation, fabric))
    if serve is not None:
        yield made(SERVING, lambda: check_serving(practised, serve))


def _give_back() -> None:
    """Let go of an accelerator's memory that is kept for later: how rows are held looks at it."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except BadModel as error:
        return _failed(name, error)


def _failed(name: str, error: BadModel) -> Check:
    return Check(
        name=name, outcome="fail", found=f"{error.where}: {error.found}", remedy=error.remedy
    )
