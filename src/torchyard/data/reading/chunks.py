"""Frames of any size made into chunks of a bounded one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl

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
    waiting: list[pl.DataFrame] = []
    room, space = rows, size
    for frame in frames:
        for piece, weight in _light_pieces(frame, size):
            left = piece
            if waiting and weight > space:
                yield pl.concat(waiting)
                waiting, room, space = [], rows, size
            space -= weight
            while left.height >= room:
                yield pl.concat([*waiting, left.head(room)])
                left = left.slice(room)
                waiting, room, space = [], rows, size - weight
            if left.height:
                waiting.append(left)
                room -= left.height
    if waiting:
        yield pl.concat(waiting)


def row_sizes(frame: pl.DataFrame) -> pl.Series:
    """How many bytes of texts, pictures and lists each row holds: ``UInt64 [rows]``."""
    sizes = _all_sizes(frame)
    if not sizes:
        return pl.zeros(frame.height, dtype=pl.UInt64, eager=True)
    total = pl.sum_horizontal(size.fill_null(0).cast(pl.UInt64) for size in sizes)
    return frame.select(total.alias("bytes"))["bytes"]


def _all_sizes(frame: pl.DataFrame) -> list[pl.Expr]:
    return [size for name, dtype in frame.schema.items() for size in _sizes(pl.col(name), dtype)]


def _weight(frame: pl.DataFrame) -> int:
    """The sum of the sizes of all rows, without a number per row."""
    sizes = enumerate(_all_sizes(frame))
    sums = frame.select(size.cast(pl.UInt64).sum().alias(str(place)) for place, size in sizes)
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


def _light_pieces(frame: pl.DataFrame, size: int) -> Iterator[tuple[pl.DataFrame, int]]:
    """Slices of a frame of at most ``size`` bytes, or of a single row, and the bytes of each."""
    weight = _weight(frame)
    if frame.height and weight <= size:
        yield frame, weight
        return
    ends = row_sizes(frame).cum_sum()
    start, before = 0, 0
    while start < frame.height:
        end = int(ends.search_sorted(before + size, side="right"))
        end = max(end, start + 1)
        through = int(ends[end - 1])
        yield frame.slice(start, end - start), through - before
        start, before = end, through
