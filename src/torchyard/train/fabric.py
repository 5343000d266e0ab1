"""Lightning Fabric in a process that others joined already: it launches none itself."""

from __future__ import annotations

from typing import final

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import ClusterEnvironment
from lightning_fabric.strategies import DDPStrategy
from torch import nn


def joined_fabric(rank: int, size: int, precision: str) -> Fabric:
    """Fabric for one of so many processes on this machine that average their gradients.

    The process group of ``torch.distributed`` exists already. Parameters without a gradient are
    looked for in every step: a module that trains on one device trains on many, and the buckets
    that gradients are summed in stay as they were made, so that sums come out the same when a run
    goes on after it was stopped.
    """
    strategy = _Joined(cluster_environment=_Given(rank, size), find_unused_parameters=True)
    accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    fabric = Fabric(
        accelerator=accelerator, devices=size, strategy=strategy, precision=precision
    )  # fmt: skip
    fabric.launch()
    return fabric


@final
class _Joined(DDPStrategy):  # type: ignore[misc]
    """Distributed data parallel among processes that are there already."""

    def _configure_launcher(self) -> None:
        """Nothing is launched."""

    def setup_module(self, module: nn.Module) -> nn.Module:
        """Wrap a module, on its device."""
        wrapped: nn.Module = super().setup_module(_BesideNothing(module, self.root_device))
        return wrapped


@final
class _BesideNothing(nn.Module):
    """A module beside a parameter that nothing uses.

    Looking for parameters without a gradient, PyTorch finds one in every step then, and does not
    warn on the screen of having found none.
    """

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.module = module
        self.nothing = nn.Parameter(torch.zeros(1, device=device))

    def forward(self, **tensors: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.module(**tensors)
        return logits


@final
class _Given(ClusterEnvironment):  # type: ignore[misc]
    """Who this process is, told and not guessed from environment variables."""

    def __init__(self, rank: int, size: int) -> None:
        super().__init__()
        self._rank = rank
        self._size = size

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return "127.0.0.1"

    @property
    def main_port(self) -> int:
        return 0

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self._size

    def set_world_size(self, size: int) -> None:
        assert size == self._size

    def global_rank(self) -> int:
        return self._rank

    def set_global_rank(self, rank: int) -> None:
        assert rank == self._rank

    def local_rank(self) -> int:
        return self._rank

    def node_rank(self) -> int:
        return 0
