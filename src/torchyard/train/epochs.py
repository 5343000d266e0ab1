"""An epoch's batches: where their rows are held, their sizes, themselves, and their parts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torchyard.records.training import Training
from torchyard.train.feed import Examples, Table, held, joined, placed, shuffled

if TYPE_CHECKING:
    import torch

_MIB = 1 << 20


def hold(
    training: Table, validation: Table, settings: Training, device: torch.device
) -> tuple[Table, Table]:
    """Rows in memory where they fit in what the settings grant, training's first."""
    budget = settings.memory_mib * _MIB
    training = held(training, budget)
    left = budget - training.rows * training.row_bytes
    return placed(training, device), placed(held(validation, left), device)


def batch_sizes(rows: int, batch_size: int, devices: int = 1) -> list[int]:
    """Rows of each batch of an epoch; too few left over go with the batch before them.

    Every device that shares a batch takes two rows of it at least, where ``batch_size`` allows it:
    what normalizes over a batch (BatchNorm) refuses to learn from one row.

    Example:
        >>> batch_sizes(21, 10), batch_sizes(23, 10, devices=2)
        ([10, 11], [10, 13])
    """
    full, left = divmod(rows, batch_size)
    sizes = [batch_size] * full
    if left and left < _least(batch_size, devices) and sizes:
        sizes[-1] += left
    elif left:
        sizes.append(left)
    return sizes


def epoch_batches(
    table: Table, settings: Training, epoch: int, start: int, devices: int = 1
) -> Iterator[Examples]:
    """An epoch's batches from the one at place ``start``, in the sizes of ``batch_sizes``."""
    least = _least(settings.batch_size, devices)
    batches = shuffled(
        table, batch_size=settings.batch_size, seed=settings.seed, epoch=epoch,
        memory_bytes=settings.memory_mib * _MIB, start=start,
    )  # fmt: skip
    before = next(batches)
    for batch in batches:
        if batch.rows < least:
            before = joined(before, batch)
            break
        yield before
        before = batch
    yield before


def in_parts(batch: Examples, count: int) -> list[Examples]:
    """A batch in so many parts of nearly equal size, as views."""
    edges = part_edges(batch.rows, count)
    return [batch.read(*pair) for pair in itertools.pairwise(edges)] if len(edges) > 2 else [batch]


def part_edges(rows: int, count: int) -> list[int]:
    """Where so many rows are cut: at least two a part, for what normalizes over them.

    Example:
        >>> part_edges(10, 3), part_edges(5, 4)
        ([0, 3, 6, 10], [0, 2, 5])
    """
    count = min(count, max(1, rows // 2))
    return [rows * number // count for number in range(count + 1)]


def _least(batch_size: int, devices: int) -> int:
    return devices * min(2, batch_size // devices)
