"""What a schema says of values that came in another form: times as texts, pictures as paths.

Only forms are changed here; whether a value obeys the schema is checked later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl

from torchyard.data.reading.pictures import read_pictures
from torchyard.data.reading.places import Place
from torchyard.data.reading.textual import read_column, withheld_names
from torchyard.records.schema import Schema


def conform(
    frames: Iterable[pl.DataFrame], schema: Schema | None, *, place: Place, name: str
) -> Iterator[pl.DataFrame]:
    """Rows with times and pictures in the form that their kind has in a frame.

    A timestamp that is text is read as ISO 8601. An image that is text is read as a path relative
    to ``place``; one that is a struct of ``bytes`` and ``path`` (Hugging Face) is its bytes, or the
    file where it has none.

    Raises:
        BadData: a text is no time, or a picture cannot be read.
    """
    before = 0
    for frame in frames:
        pieces: Iterator[pl.DataFrame] = iter([_times(frame, schema, name, before)])
        for column in _of_kind(schema, "image", frame):
            pieces = _pictures(pieces, column, place, name, before)
        yield from pieces
        before += frame.height


def _of_kind(schema: Schema | None, kind: str, frame: pl.DataFrame) -> list[str]:
    fields = () if schema is None else schema.fields
    return [field.name for field in fields if field.kind == kind and field.name in frame.columns]


def _times(frame: pl.DataFrame, schema: Schema | None, name: str, before: int) -> pl.DataFrame:
    def place(column: str, row: int) -> str:
        return f"{name}, column '{column}', row {before + row + 1}"

    texts = [c for c in _of_kind(schema, "timestamp", frame) if frame[c].dtype == pl.String]
    withheld = withheld_names(schema)
    times = [read_column(frame[c], pl.Datetime("us"), place, withheld) for c in texts]
    return frame.with_columns(times)


def _pictures(
    frames: Iterator[pl.DataFrame], column: str, place: Place, name: str, before: int
) -> Iterator[pl.DataFrame]:
    for frame in frames:
        paths, held = _references(frame[column])
        if paths is None:
            yield frame.with_columns(held.alias(column))
        else:
            start = 0
            for images in read_pictures(paths, place, name, before=before):
                piece = frame.slice(start, len(images))
                own = held.slice(start, len(images))
                both = own.zip_with(own.is_not_null(), images)
                yield piece.with_columns(both.alias(column))
                start += len(images)
        before += frame.height


def _references(values: pl.Series) -> tuple[pl.Series | None, pl.Series]:
    """Paths of the pictures that are still to be read, if any, and the bytes that are there."""
    dtype = values.dtype
    if dtype == pl.String:
        return values, pl.Series([None] * len(values), dtype=pl.Binary)
    if isinstance(dtype, pl.Struct) and {field.name for field in dtype.fields} >= {"bytes", "path"}:
        held, paths = values.struct.field("bytes"), values.struct.field("path")
        held = held.cast(pl.Binary)
        if held.null_count() == values.null_count():
            return None, held
        return pl.select(pl.when(held.is_null()).then(paths)).to_series().alias(values.name), held
    return None, values
