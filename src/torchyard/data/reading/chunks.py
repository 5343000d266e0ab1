"""Frames of any size made into chunks of a bounded one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl

from torchyard.data.reading.asking import ask
from torchyard.data.reading.textual import instance

CHUNK_ROWS = 262_144
CHUNK_BYTES = 64 * 2**20


def regroup(
    frames: Iterable[pl.DataFrame], *, rows: int = CHUNK_ROWS, size: int = CHUNK_BYTES
) -> Iterator[pl.DataFrame]:
    """The same rows in the same order, in frames of about equal size.

    Args:
        frames: of the same columns and types; empty ones are left out.
        rows: the most rows of one frame given.
        size: the most bytes of texts, pictures and tensors in one frame given; a single row may
            hold more.

    Example:
        >>> import polars as pl
        >>> parts = [pl.DataFrame({"x": [1]}), pl.DataFrame({"x": [2, 3, 4]})]
        >>> [frame["x"].to_list() for frame in regroup(parts, rows=3)]
        [[1, 2, 3], [4]]
    """
    blocks = Blocks(rows=rows, size=size)
    for frame in frames:
        yield from blocks.add(frame)
    yield from blocks.rest()


class Blocks:
    """Rows that gather until one more would not fit; the next block begins with that one.

    Where blocks end depends on the rows alone, not on the frames that they came in.

    Args: as ``regroup``.
    """

    def __init__(self, *, rows: int = CHUNK_ROWS, size: int = CHUNK_BYTES) -> None:
        self._rows, self._size = rows, size
        self._waiting: list[pl.DataFrame] = []
        self._room, self._space = rows, size

    def add(self, frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Add rows; gives the blocks that they fill."""
        while frame.height:
            piece, weight = self._fitting(frame)
            if piece.height:
                self._waiting.append(piece)
                self._room -= piece.height
                self._space -= weight
                frame = frame.slice(piece.height)
            if frame.height or not self._room:
                yield from self.rest()

    def rest(self) -> Iterator[pl.DataFrame]:
        """The rows that wait for more, if there are any."""
        if self._waiting:
            yield pl.concat(self._waiting)
        self._waiting, self._room, self._space = [], self._rows, self._size

    def _fitting(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
        """As many of the first rows as fit into the block, at least one into an empty one."""
        head = frame.head(self._room)
        weight = _weight(head)
        if weight <= self._space:
            return head, weight
        ends = row_sizes(head).cum_sum()
        # one large row may have taken more than there was
        count = int(ends.search_sorted(self._space, side="right")) if self._space >= 0 else 0
        count = max(count, 0 if self._waiting else 1)
        return head.head(count), int(ends[count - 1]) if count else 0


def row_sizes(frame: pl.DataFrame) -> pl.Series:
    """How many bytes of texts, pictures and lists each row holds: ``UInt64 [rows]``."""
    sizes = _all_sizes(frame)
    if not sizes:
        return pl.zeros(frame.height, dtype=pl.UInt64, eager=True)
    total = pl.sum_horizontal(size.fill_null(0).cast(pl.UInt64) for size in sizes)
    return frame.select(total.alias("bytes"))["bytes"]


def _all_sizes(frame: pl.DataFrame) -> list[pl.Expr]:
    # by place: a name such as * would stand for other columns too
    types = enumerate(frame.schema.values())
    return [size for place, dtype in types for size in _sizes(pl.nth(place), dtype)]


def _weight(frame: pl.DataFrame) -> int:
    """The sum of the sizes of all rows, without a number per row."""
    # whole numbers with gaps take polars three times as long to add
    sizes = (size.fill_null(0).cast(pl.UInt64) for size in _all_sizes(frame))
    sums = ask(frame, (size.sum().alias(str(place)) for place, size in enumerate(sizes)))
    return sum(column[0] for column in sums)


def _sizes(column: pl.Expr, dtype: pl.DataType) -> list[pl.Expr]:
    """Nested lists count by their outermost length: enough to bound, cheap to compute."""
    if dtype == pl.String:
        return [column.str.len_bytes()]
    if dtype == pl.Binary:
        return [column.bin.size()]
    if isinstance(dtype, pl.Struct):
        return [
            size
            for inner in dtype.fields
            for size in _sizes(column.struct.field(inner.name), instance(inner.dtype))
        ]
    if isinstance(dtype, pl.List):
        return [column.list.len() * 8 * _width(instance(dtype.inner))]
    if isinstance(dtype, pl.Array):
        return [pl.when(column.is_null()).then(0).otherwise(8 * _width(dtype))]
    return []


def _width(dtype: pl.DataType) -> int:
    """Numbers in one value of a type, inner lists counted as one."""
    if not isinstance(dtype, pl.Array):
        return 1
    width = 1
    for size in dtype.shape:
        width *= size
    return width
