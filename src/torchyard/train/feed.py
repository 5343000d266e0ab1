"""The feed: rows as shuffled batches, from memory when they fit there, else by blocks from files.

Both ways are functions of the seed and the epoch alone, give every row once per epoch, and can
begin at any batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from torchyard.train.stored import Array, Range, StoredArray

if TYPE_CHECKING:
    import torch

# Rows in the buffer come from so many places of the table. In a table sorted by label, the share
# of a class in one buffer then strays by at most 0.5 / sqrt(1024) = 1.6 points (one standard
# deviation), no more than chance makes it stray in a single batch of 1024 rows.
BLOCKS_MIXED = 1024
# one forward pass outside of training: bounds memory, changes no result
_CHUNK_ROWS = 16_384
_CHUNK_BYTES = 16 << 20
_NARROW_BYTES = 512
_WIDE_CHUNK_ROWS = 256


@dataclass(frozen=True)
class Examples:
    """Rows in memory: feature tensors by name ``[rows, ...]`` and labels.

    Labels are class numbers, ``int64 [rows]``, or ``float32``: 0 and 1, ``[rows]`` or ``[rows,
    classes]``, or numbers, ``[rows, 1]``: see ``losses``.
    """

    tensors: Mapping[str, torch.Tensor]
    labels: torch.Tensor

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], labels: Array) -> Examples:
        """Wrap numpy arrays without copying them where their type allows it."""
        import torch

        truth = labels.astype(np.float32) if labels.dtype == np.bool_ else labels
        return cls(
            {name: torch.from_numpy(array) for name, array in arrays.items()},
            torch.from_numpy(truth),
        )

    @property
    def rows(self) -> int:
        """How many there are."""
        return int(self.labels.shape[0])

    @property
    def row_bytes(self) -> int:
        """What one row takes."""
        return sum(
            tensor.element_size() * tensor[:1].numel()
            for tensor in (*self.tensors.values(), self.labels)
        )

    def read(self, first: int, last: int) -> Examples:
        """Rows ``[first, last)`` in order, as views."""
        return Examples(
            {name: tensor[first:last] for name, tensor in self.tensors.items()},
            self.labels[first:last],
        )

    def truth(self) -> Array:
        """The labels as a numpy array."""
        values: Array = self.labels.cpu().numpy()
        return values

    def pick(self, places: torch.Tensor) -> Examples:
        """Copies of the rows at some places, in the order of ``places``."""
        return Examples(
            {name: tensor.index_select(0, places) for name, tensor in self.tensors.items()},
            self.labels.index_select(0, places),
        )

    def to(self, device: torch.device) -> Examples:
        """The same rows on a device; themselves when they are there."""
        if self.labels.device == device:
            return self
        pinned = device.type == "cuda"

        def moved(tensor: torch.Tensor) -> torch.Tensor:
            return (tensor.pin_memory() if pinned else tensor).to(device, non_blocking=pinned)

        return Examples({n: moved(t) for n, t in self.tensors.items()}, moved(self.labels))


@dataclass(frozen=True)
class StoredExamples:
    """Rows in files: one array per feature tensor, and the labels, as in ``Examples``.

    Of labels that are 0 and 1 the file holds ``bool``.
    """

    arrays: Mapping[str, StoredArray]
    labels: StoredArray

    @classmethod
    def open(cls, tensors: Mapping[str, Path], labels: Path) -> StoredExamples:
        """Rows of ``.npy`` files.

        Raises:
            BadRecord: a file is damaged.
        """
        return cls(
            {name: StoredArray.open(path) for name, path in tensors.items()},
            StoredArray.open(labels),
        )

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.labels.rows

    @property
    def row_bytes(self) -> int:
        """What one row takes."""
        return sum(array.row_bytes for array in (*self.arrays.values(), self.labels))

    def read(self, first: int, last: int) -> Examples:
        """Rows ``[first, last)`` in order, in memory of their own."""
        last = min(last, self.rows)
        return Buffer(self, last - first).fill([(first, last)])

    def truth(self) -> Array:
        """The labels as a numpy array."""
        values = self.labels.empty(self.rows)
        self.labels.read([(0, self.rows)], values)
        return values


class Buffer:
    """Memory for some rows of a table in files; filled again and again."""

    def __init__(self, stored: StoredExamples, rows: int) -> None:
        self._stored = stored
        self._arrays = {name: array.empty(rows) for name, array in stored.arrays.items()}
        self._labels = stored.labels.empty(rows)

    def fill(self, ranges: list[Range]) -> Examples:
        """The rows of some ranges, valid until the next call."""
        rows = sum(last - first for first, last in ranges)
        for name, array in self._stored.arrays.items():
            array.read(ranges, self._arrays[name][:rows])
        self._stored.labels.read(ranges, self._labels[:rows])
        return Examples.from_arrays(
            {name: array[:rows] for name, array in self._arrays.items()}, self._labels[:rows]
        )


Table = Examples | StoredExamples


def part_of(table: Table, first: int, last: int) -> Table:
    """Rows ``[first, last)`` as a table of their own, read no sooner than before."""
    if isinstance(table, Examples):
        return table.read(first, last)
    arrays = {name: array.part(first, last) for name, array in table.arrays.items()}
    return StoredExamples(arrays, table.labels.part(first, last))


def held(table: Table, memory_bytes: int) -> Table:
    """A table in files read into memory, if it takes no more than ``memory_bytes``."""
    if isinstance(table, StoredExamples) and table.rows * table.row_bytes <= memory_bytes:
        return table.read(0, table.rows)
    return table


def placed(table: Table, device: torch.device) -> Table:
    """A table in memory moved to an accelerator, if it takes at most half of what is free there.

    Otherwise its batches are moved one by one.
    """
    import torch

    if device.type == "cuda" and isinstance(table, Examples):
        free, _ = torch.cuda.mem_get_info(device)
        if table.rows * table.row_bytes > free // 2:
            return table
        # not through pinned memory, which would hold the whole table once more
        return Examples(
            {name: tensor.to(device) for name, tensor in table.tensors.items()},
            table.labels.to(device),
        )
    return table.to(device) if isinstance(table, Examples) else table


def in_order(table: Table) -> Iterator[Examples]:
    """All rows in order, in chunks of at most 16,384 rows and 16 MiB (at least one row).

    Pictures and texts (tokens, or rows of more than 512 bytes) come at most 256 at a time: inside a
    model they take hundreds of times what they take here.
    """
    one = table.read(0, 1).tensors.values()
    has_tokens = any(row.ndim > 1 and not row.is_floating_point() for row in one)
    is_wide = has_tokens or table.row_bytes > _NARROW_BYTES
    most = _WIDE_CHUNK_ROWS if is_wide else _CHUNK_ROWS
    step = max(1, min(most, _CHUNK_BYTES // max(1, table.row_bytes)))
    for first in range(0, table.rows, step):
        yield table.read(first, first + step)


def shuffled(
    table: Table, *, batch_size: int, seed: int, epoch: int, memory_bytes: int, start: int = 0
) -> Iterator[Examples]:
    """Every row once, in an order that depends on the seed and the epoch, as batches.

    Rows in memory come in a random permutation. Rows in files come by block shuffle: the table is
    cut into blocks of contiguous rows, the blocks are taken in random order, as many at a time as
    ``memory_bytes`` hold (1,024 of them), and the rows of those are permuted. Blocks are mixed
    wholly, rows only with those of the same buffer: the order is a true shuffle when the table
    fits, and the nearer to one the more blocks are mixed.

    Args:
        table: the rows.
        batch_size: rows per batch; the last one may be smaller.
        seed: of the run.
        epoch: from 1.
        memory_bytes: the buffer of the block shuffle; of no meaning for rows in memory.
        start: the first batch wanted, from 0: what comes is the rest of the epoch.
    """
    import torch

    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    if isinstance(table, StoredExamples):
        blocks = Blocks.of(table.rows, table.row_bytes, memory_bytes)
        yield from _by_blocks(table, blocks, generator, batch_size, start)
        return
    order = torch.randperm(table.rows, generator=generator).to(table.labels.device)
    for first in range(start * batch_size, table.rows, batch_size):
        yield table.pick(order[first : first + batch_size])


@dataclass(frozen=True)
class Blocks:
    """How a table is cut: ``size`` contiguous rows a block, ``mixed`` blocks in the buffer."""

    rows: int
    size: int
    mixed: int

    @classmethod
    def of(cls, rows: int, row_bytes: int, memory_bytes: int) -> Blocks:
        """1,024 blocks in a buffer of so many bytes; fewer when they would be less than a row."""
        fitting = min(rows, max(1, memory_bytes // max(1, row_bytes)))
        size = max(1, fitting // BLOCKS_MIXED)
        return cls(rows, size, max(1, fitting // size))

    @property
    def count(self) -> int:
        """How many blocks there are; the last one may be shorter."""
        return -(-self.rows // self.size)

    @property
    def buffers(self) -> int:
        """How many times the buffer is filled, each time with as many blocks, give or take one."""
        return -(-self.count // self.mixed)

    @property
    def buffer_rows(self) -> int:
        """The most rows that the buffer holds."""
        return min(self.rows, -(-self.count // self.buffers) * self.size)

    def drawn(self, generator: torch.Generator) -> Iterator[tuple[list[Range], int]]:
        """What one buffer after another holds: ranges of rows, and the seed of their order."""
        import torch

        groups = torch.randperm(self.count, generator=generator).tensor_split(self.buffers)
        seeds = torch.randint(1 << 62, (self.buffers,), generator=generator)
        for group, seed in zip(groups, seeds.tolist(), strict=True):
            # ascending, for the disk's sake: the rows are permuted afterwards anyway
            firsts = (group.sort().values * self.size).tolist()
            yield [(first, min(first + self.size, self.rows)) for first in firsts], seed


def _by_blocks(
    stored: StoredExamples, blocks: Blocks, generator: torch.Generator, batch_size: int, start: int
) -> Iterator[Examples]:
    import torch

    buffer = Buffer(stored, blocks.buffer_rows)
    passed = start * batch_size  # rows of the epoch that are not wanted
    rest: Examples | None = None
    for ranges, seed in blocks.drawn(generator):
        rows = sum(last - first for first, last in ranges)
        if passed >= rows:
            passed -= rows
            continue
        examples = buffer.fill(ranges)
        order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))[passed:]
        passed = 0
        for places in _cut(order, batch_size, batch_size - (rest.rows if rest else 0)):
            batch = examples.pick(places) if rest is None else joined(rest, examples.pick(places))
            rest = batch if batch.rows < batch_size else None
            if rest is None:
                yield batch
    if rest is not None:
        yield rest


def _cut(order: torch.Tensor, size: int, first: int) -> Iterator[torch.Tensor]:
    """``order`` in pieces of ``size``, but for the first one."""
    yield order[:first]
    for place in range(first, len(order), size):
        yield order[place : place + size]


def joined(head: Examples, tail: Examples) -> Examples:
    """The rows of both, one after the other."""
    import torch

    return Examples(
        {name: torch.cat([tensor, tail.tensors[name]]) for name, tensor in head.tensors.items()},
        torch.cat([head.labels, tail.labels]),
    )
