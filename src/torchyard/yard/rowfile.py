"""Raw rows in a Parquet file: written chunk by chunk, read by columns, in chunks or by place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import polars as pl

Places = np.ndarray[Any, np.dtype[np.int64]]


class RowWriter:
    """Writes a Parquet file of any length: one row group per chunk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Any = None
        self._writer: Any = None

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            try:
                self._writer.close()
            finally:  # the writer keeps a file of its own open when the disk is full
                self._file.close()

    def append(self, frame: pl.DataFrame) -> None:
        """Add rows, all with the same columns and types; none is nothing to add."""
        import polars as pl
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = frame.to_arrow()
        if self._writer is None:
            # only texts repeat themselves enough: for the rest a dictionary is time lost
            texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
            self._file = pa.OSFile(str(self._path), "wb")
            self._writer = pq.ParquetWriter(
                self._file, table.schema, compression="zstd", use_dictionary=texts
            )
        if frame.height:
            self._writer.write_table(table, row_group_size=frame.height)


def read_chunks(
    path: Path, columns: Sequence[str] | None = None, *, rows: int = 65_536
) -> Iterator[pl.DataFrame]:
    """The rows in order, in frames of at most ``rows`` rows.

    Args:
        path: what a ``RowWriter`` wrote.
        columns: those wanted; all when left out.
        rows: the most in one frame.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for group in range(file.metadata.num_row_groups):
            yield from _row_group(file, group, columns).iter_slices(rows)


def read_places(path: Path, places: Places, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The rows at some places, counted from 0, in the order of ``places``.

    Row groups without any of them are not read, and no more than one is held.
    """
    import polars as pl
    import pyarrow.parquet as pq

    ascending = np.unique(places)
    kept: list[pl.DataFrame] = []
    before = 0
    with pq.ParquetFile(path) as file:
        for group in range(file.metadata.num_row_groups):
            after = before + file.metadata.row_group(group).num_rows
            here = ascending[(ascending >= before) & (ascending < after)]
            if here.size or not kept:
                kept.append(_row_group(file, group, columns)[here - before])
            before = after
    found = pl.concat(kept)
    return found[np.searchsorted(ascending, places)]


def _row_group(file: Any, group: int, columns: Sequence[str] | None) -> pl.DataFrame:
    import polars as pl

    frame = pl.from_arrow(file.read_row_group(group, None if columns is None else list(columns)))
    assert isinstance(frame, pl.DataFrame)
    return frame
