"""The processes that train together, one per device, as one of them sees the others.

Every process runs the same loop over the same batches and takes its part of each. What is decided
by chance, clocks or signals is decided by rank 0 and agreed on; what is summed up is summed in the
order of ranks, so that it comes out the same every time and everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, final

from torchyard.core.errors import BadUsage
from torchyard.records.training import Training
from torchyard.train.packing import Plain, state_bytes, state_of
from torchyard.train.stored import Range

if TYPE_CHECKING:
    import torch
    from torch import nn


class Ranks(Protocol):
    """The processes that train together.

    Attributes:
        rank: this process's number, from 0.
        size: how many there are.
        note: what is worth a line about them; empty for nothing.
    """

    rank: int
    size: int
    note: str

    def fabric(self, settings: Training) -> Any:
        """Lightning Fabric on this process's device."""

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Every rank's values, averaged: ``float64 [n]``."""

    def weighted_mean(self, value: float, weight: int) -> float:
        """Every rank's value, averaged by weights; those of weight 0 do not count."""

    def agree(self, number: int) -> int:
        """Rank 0's number, on every rank."""

    def gather(self, state: Plain) -> list[Plain]:
        """Every rank's state, by rank, on every rank."""

    def share_buffers(self, module: nn.Module) -> None:
        """Give rank 0's buffers to every rank, such as the statistics of a BatchNorm."""


def share(rows: int, *, rank: int, size: int) -> Range:
    """The part ``[first, last)`` of so many rows that is a rank's: even, but for one row.

    Example:
        >>> [share(10, rank=rank, size=3) for rank in range(3)]
        [(0, 3), (3, 6), (6, 10)]
    """
    return rows * rank // size, rows * (rank + 1) // size


@final
class Alone:
    """One process with one device."""

    rank = 0
    size = 1
    note = ""

    def fabric(self, settings: Training) -> Any:
        """On the accelerator, if there is one.

        Raises:
            BadUsage: the settings ask for more devices.
        """
        from lightning_fabric import Fabric

        if settings.devices > 1:
            raise BadUsage(
                where="train(ranks=)",
                found=f"one process, and devices={settings.devices}",
                expected="as many processes as devices",
                remedy="Train by ty.Yard(...).train() or torchyard train, which start them.",
            )
        return Fabric(accelerator="auto", devices=1, precision=settings.precision)

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Themselves."""
        return values

    def weighted_mean(self, value: float, weight: int) -> float:
        """Itself."""
        del weight
        return value

    def agree(self, number: int) -> int:
        """Itself."""
        return number

    def gather(self, state: Plain) -> list[Plain]:
        """It alone."""
        return [state]

    def share_buffers(self, module: nn.Module) -> None:
        """Nothing to do."""


ALONE = Alone()


@final
class Together:
    """Some processes of one machine that joined a process group of ``torch.distributed``.

    Args:
        rank: this process's number, from 0.
        size: how many there are.
        device: this process's own.
        note: what is worth a line about them.
    """

    def __init__(self, rank: int, size: int, device: torch.device, note: str = "") -> None:
        self.rank = rank
        self.size = size
        self.note = note
        self._device = device

    def fabric(self, settings: Training) -> Any:
        """On this process's device, its gradients averaged with those of the others."""
        from torchyard.train.fabric import joined_fabric

        return joined_fabric(self.rank, self.size, settings.precision)

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Every rank's values, averaged: ``float64 [n]``."""
        import torch

        return torch.stack(self._of_all(values)).sum(0) / self.size

    def weighted_mean(self, value: float, weight: int) -> float:
        """Every rank's value, averaged by weights; those of weight 0 do not count."""
        import torch

        pair = torch.tensor([value * weight if weight else 0.0, weight], dtype=torch.float64)
        total = torch.stack(self._of_all(pair.to(self._device))).sum(0)
        return float(total[0] / total[1])

    def agree(self, number: int) -> int:
        """Rank 0's number, on every rank."""
        import torch

        return int(self._of_all(torch.tensor([number], device=self._device))[0])

    def gather(self, state: Plain) -> list[Plain]:
        """Every rank's state, by rank, on every rank."""
        import torch

        content = torch.frombuffer(bytearray(state_bytes(state)), dtype=torch.uint8)
        lengths = [
            int(one) for one in self._of_all(torch.tensor([len(content)], device=self._device))
        ]
        padded = torch.zeros(max(lengths), dtype=torch.uint8)
        padded[: len(content)] = content
        received = self._of_all(padded.to(self._device))
        return [
            state_of(one[:length].cpu().numpy().tobytes())
            for one, length in zip(received, lengths, strict=True)
        ]

    def share_buffers(self, module: nn.Module) -> None:
        """Give rank 0's buffers to every rank, such as the statistics of a BatchNorm."""
        from torch import distributed

        for buffer in module.buffers():
            content = buffer.contiguous()
            distributed.broadcast(content, src=0)
            if content is not buffer and self.rank:
                buffer.copy_(content)

    def _of_all(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        import torch
        from torch import distributed

        received = [torch.empty_like(tensor) for _ in range(self.size)]
        distributed.all_gather(received, tensor)
        return received
