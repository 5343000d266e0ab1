"""Parquet and Arrow files: typed columns, read in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import polars.selectors as cs
import pyarrow as pa
from pyarrow import parquet

from torchyard.data.reading.chunks import CHUNK_BYTES
from torchyard.data.reading.files import File, Format, reading, refuse_repeats
from torchyard.data.reading.textual import Types

_MAGIC = b"ARROW1"


def plain_frame(table: pa.Table | pa.RecordBatch) -> pl.DataFrame:
    """Arrow columns as polars ones, dictionaries as the texts they stand for.

    Raises:
        ArrowInvalid: a type has no form in polars.
    """
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    frame.columns = list(table.schema.names)  # a column without a name is given one
    return plain(frame)


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """With categoricals and enums as the texts they stand for."""
    return frame.with_columns((cs.categorical() | cs.enum()).cast(pl.String))


def as_types(frame: pl.DataFrame, types: Types) -> pl.DataFrame:
    """Just the columns that are given, in their order and types."""
    # by place: a name such as * would stand for other columns too
    places = ((frame.get_column_index(name), dtype) for name, dtype in types.items())
    return frame.select(pl.nth(place).cast(dtype) for place, dtype in places)


def table_types(schema: pa.Schema, name: str) -> Types:
    """The polars types of an Arrow schema.

    Raises:
        BadData: two columns share a name.
    """
    refuse_repeats(name, list(schema.names))
    return dict(plain_frame(schema.empty_table()).schema)


def _parquet_columns(file: File, _declared: Types) -> Types:
    with reading(file, "Parquet"), parquet.ParquetFile(file.path) as opened:
        return table_types(opened.schema_arrow, file.name)


def _parquet_frames(file: File, types: Types, rows: int) -> Iterator[pl.DataFrame]:
    with reading(file, "Parquet"), parquet.ParquetFile(file.path) as opened:
        batch = min(rows, _batch_rows(opened.metadata))
        for found in opened.iter_batches(batch_size=batch, columns=[*types]):
            yield as_types(plain_frame(found), types)


def _batch_rows(metadata: Any) -> int:
    """As many rows as fit a chunk, by the row group whose rows are the largest."""
    groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
    largest = max((g.total_byte_size / max(g.num_rows, 1) for g in groups), default=0.0)
    return max(1, int(CHUNK_BYTES / max(largest, 1)))


def _arrow_columns(file: File, _declared: Types) -> Types:
    with reading(file, "Arrow"), file.open() as opened:
        return table_types(_arrow_reader(opened).schema, file.name)


def _arrow_frames(file: File, types: Types, _rows: int) -> Iterator[pl.DataFrame]:
    with reading(file, "Arrow"), file.open() as opened:
        for batch in _arrow_batches(_arrow_reader(opened)):
            yield as_types(plain_frame(batch), types)


def _arrow_reader(opened: Any) -> Any:
    """Of the file format or of the stream format: both end in .arrow."""
    magic = opened.read(len(_MAGIC))
    opened.seek(0)
    return pa.ipc.open_file(opened) if magic == _MAGIC else pa.ipc.open_stream(opened)


def _arrow_batches(reader: Any) -> Iterator[pa.RecordBatch]:
    places = getattr(reader, "num_record_batches", None)
    if places is None:
        yield from reader
    else:
        for place in range(places):
            yield reader.get_batch(place)


PARQUET = Format(
    name="Parquet", suffixes=(".parquet",), columns=_parquet_columns, frames=_parquet_frames
)
ARROW = Format(
    name="Arrow", suffixes=(".arrow", ".feather"), columns=_arrow_columns, frames=_arrow_frames
)
