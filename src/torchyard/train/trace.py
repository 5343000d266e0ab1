"""A run's trace: what tells two runs apart, down to the first step and tensor that differ.

Every step leaves its loss; some steps leave a digest of every tensor of the module. A single bit
that differs in the weights shows in the digests at the next of those steps, and nearly always in
the next loss.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from torchyard.core.errors import BadRecord
from torchyard.train.packing import Plain, read_state, write_state

if TYPE_CHECKING:
    import torch
    from torch import nn

# after how many steps the tensors are digested: powers of two first, for what differs from the
# start, then steadily, and less often in a long run
_STEADY, _SPARSE, _LONG = 64, 1024, 8192


@dataclass
class Trace:
    """What a run left behind, step by step.

    Attributes:
        losses: the mean loss of every step's batch.
        digests: steps that were done, to a digest of every tensor of the module then.
    """

    losses: list[float] = field(default_factory=list)
    digests: dict[int, dict[str, int]] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """How many steps are done."""
        return len(self.losses)

    def mark(self, module: nn.Module) -> None:
        """Digest the module's tensors, if this is a step after which that is done."""
        done = self.steps
        every = _STEADY if done <= _LONG else _SPARSE
        if done % every == 0 or done & (done - 1) == 0:
            self.digests[done] = digest_tensors(module)

    def plain(self) -> Plain:
        """As a state."""
        names = list(next(iter(self.digests.values()), {}))
        rows = [[digests[name] for name in names] for digests in self.digests.values()]
        return {
            "losses": np.array(self.losses, np.float64),
            "steps": list(self.digests),
            "names": names,
            "digests": np.array(rows, np.uint64).reshape(len(rows), len(names)),
        }

    @classmethod
    def from_plain(cls, state: Plain) -> Self:
        """Back from a state."""
        digests = {
            step: dict(zip(state["names"], row, strict=True))
            for step, row in zip(state["steps"], state["digests"].tolist(), strict=True)
        }
        return cls(state["losses"].tolist(), digests)

    def write(self, path: Path) -> None:
        """Write it to a file."""
        write_state(path, self.plain())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read it back.

        Raises:
            BadRecord: the file is missing, damaged, or holds no trace.
        """
        state = read_state(path)
        if not isinstance(state, dict) or state.keys() != cls().plain().keys():
            raise BadRecord(
                where=str(path),
                found="another state",
                expected="a run's trace",
                remedy="Restore it, or train again.",
            )
        return cls.from_plain(state)


@dataclass(frozen=True)
class Difference:
    """Where two traces part.

    Attributes:
        step: the first step that went another way, from 1; 0 when the untrained modules differ.
        tensor: the first tensor of the module that is known to differ; empty when only a loss does.
        seen_after: how many steps were done when that tensor was compared.
        losses: the two losses of that step; None where it is not the losses that differ.
    """

    step: int
    tensor: str
    seen_after: int
    losses: tuple[float, float] | None = None

    def __str__(self) -> str:
        """In words."""
        if self.step == 0:
            return f"before the first step: tensor '{self.tensor}'"
        words = f"step {self.step}"
        if self.losses is not None:
            words += f": loss {self.losses[0]!r} against {self.losses[1]!r}"
        if self.tensor:
            words += f"; tensor '{self.tensor}' after step {self.seen_after}"
        return words


def first_difference(one: Trace, other: Trace) -> Difference | None:
    """Where a run first went another way than another one; None when their traces are equal.

    A loss that differs at step ``n`` means that the weights were changed by step ``n - 1``, or that
    step ``n`` computed something else from equal ones: it is reported as step ``n``.
    """
    loss_step = _first_loss(one.losses, other.losses)
    known = sorted(one.digests.keys() & other.digests.keys())
    for done in known:
        named = _first_tensor(one.digests[done], other.digests[done])
        if named is None:
            continue
        # the digests say by which step; a loss may say so earlier
        step = min(done, loss_step) if loss_step else done
        differ = loss_step is not None and loss_step == step
        losses = _pair(one, other, step) if differ else None
        return Difference(step, named, done, losses)
    if loss_step is not None:
        return Difference(loss_step, "", 0, _pair(one, other, loss_step))
    return None


def digest_tensors(module: nn.Module) -> dict[str, int]:
    """The first eight bytes of the SHA-256 of every tensor of a module, by name."""
    return {name: _digest(tensor) for name, tensor in module.state_dict().items()}


def _digest(tensor: torch.Tensor) -> int:
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return int.from_bytes(hashlib.sha256(flat.numpy().data).digest()[:8], "big")


def _first_loss(one: list[float], other: list[float]) -> int | None:
    """The first step, from 1, whose losses differ or that only one run has."""
    for place, pair in enumerate(zip(one, other, strict=False)):
        if pair[0] != pair[1]:
            return place + 1
    return None if len(one) == len(other) else min(len(one), len(other)) + 1


def _pair(one: Trace, other: Trace, step: int) -> tuple[float, float] | None:
    if step > min(one.steps, other.steps):
        return None
    return one.losses[step - 1], other.losses[step - 1]


def _first_tensor(one: dict[str, int], other: dict[str, int]) -> str | None:
    return next((name for name in one | other if one.get(name) != other.get(name)), None)
