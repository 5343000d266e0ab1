"""What Lightning's ``Trainer`` is given by torchyard: rows, a place for its state, silence."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

from torchyard.records.training import Training
from torchyard.train.epochs import batch_sizes, epoch_batches, in_parts, part_edges
from torchyard.train.feed import Examples, Table, in_order
from torchyard.train.packing import Plain
from torchyard.train.standing import Standing

if TYPE_CHECKING:
    import torch
    from torch import nn

    Batch = tuple[dict[str, torch.Tensor], torch.Tensor]

PACKAGES = ("lightning.pytorch", "pytorch_lightning")
# objects that a state need not hold: what the module was built from, which it is built from again
_DROPPED = ("hyper_parameters", "hparams_name", "hparams_type")


def lightning_package(module: nn.Module) -> str | None:
    """The package whose ``LightningModule`` a module is; None for any other module.

    Lightning is not imported.
    """
    for kind in type(module).__mro__:
        for package in PACKAGES:
            if kind.__name__ == "LightningModule" and kind.__module__.startswith(package):
                return package
    return None


@final
class EpochRows:
    """The rest of the epoch that is being trained, for Lightning to iterate over."""

    def __init__(self, table: Table, settings: Training, standing: Standing, parts: int) -> None:
        self._table = table
        self._settings = settings
        self._standing = standing
        self._parts = parts
        sizes = batch_sizes(table.rows, settings.batch_size)
        self._count = sum(len(part_edges(rows, parts)) - 1 for rows in sizes)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Batch]:
        standing = self._standing
        for batch in epoch_batches(self._table, self._settings, standing.epoch, standing.batch):
            yield from map(_handed, in_parts(batch, self._parts))

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the place is the run's. Lightning takes what has one for able to go on."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See ``state_dict``."""


@final
class RowsInOrder:
    """The validation rows."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __iter__(self) -> Iterator[Batch]:
        return map(_handed, in_order(self._table))


@final
class HeldState:
    """A state of Lightning, taken from it and given to it in memory, instead of by pickle."""

    def __init__(self, given: Plain) -> None:
        self.given = given
        self.taken: Plain = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, **options: Any) -> None:
        """Take it."""
        self.taken = {key: item for key, item in checkpoint.items() if key not in _DROPPED}

    def load_checkpoint(self, path: Any, *options: Any, **more: Any) -> Plain:
        """Give it."""
        return self.given

    def remove_checkpoint(self, path: Any) -> None:
        """Nothing is there to remove."""

    def teardown(self) -> None:
        """Nothing is open."""


@contextmanager
def quiet() -> Iterator[None]:
    """Without what Lightning says of itself and its surroundings; errors are raised."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric",
               "pytorch_lightning", "lightning_fabric")]  # fmt: skip
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(lightning|pytorch_lightning)\b")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _handed(examples: Examples) -> Batch:
    """Rows as ``training_step`` gets them."""
    return dict(examples.tensors), examples.labels
