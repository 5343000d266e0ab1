"""Where rows come from: whatever a user has, read in chunks, as often as needed.

No rule is applied here: ``check`` does that. A schema only says how to read what carries no types.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeGuard

from torchyard.core.errors import BadData
from torchyard.data.reading.chunks import CHUNK_ROWS, regroup
from torchyard.data.reading.conform import conform
from torchyard.data.reading.frames import call, frame_parts, holds_rows
from torchyard.data.reading.locate import path_parts
from torchyard.data.reading.parts import Part
from torchyard.data.reading.places import LocalPlace, Scratch
from torchyard.records.schema import Schema

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CHUNK_ROWS", "Source", "open_source"]


class Source(Protocol):
    """Rows that can be read again and again.

    ``name`` is how records and errors call it. ``chunks`` gives the same rows in the same order at
    every call, in frames of at most ``rows`` rows (fewer where they hold more than about 64 MiB of
    texts, pictures and lists), each with at least one row and all with the same columns and types.
    """

    @property
    def name(self) -> str:
        """How records and errors call it."""

    def chunks(self, *, rows: int = CHUNK_ROWS) -> Iterator[pl.DataFrame]:
        """All rows, from the first.

        Raises:
            BadData: there are none, or a file, picture or value cannot be read.
        """


def open_source(value: object, *, folder: Path, schema: Schema | None = None) -> Source:
    """Make a source of what a user has.

    Args:
        value: one of

            - the path or fsspec URL of a table: .csv, .tsv (also .gz), .parquet, .jsonl, .ndjson
              (also .gz), .arrow, .feather, or .txt (a text per line, column ``text``);
            - the path of several, with ``*``, or of a folder of them, in the order of their names;
            - the path of a folder of pictures, one folder per class, these perhaps in ``train``,
              ``validation`` and ``test``: columns ``image``, ``label``, ``path`` and ``part``;
            - the path of a folder that Hugging Face ``datasets`` saved;
            - a frame: polars (lazy too), pandas, Arrow, a Hugging Face dataset;
            - a dictionary of these by split, which adds a column ``part``;
            - a function without arguments that returns any of these, or an iterator of frames. It
              is called here, once.
        folder: what relative paths are relative to, also those in a frame's column of pictures.
        schema: how to read what carries no types. A column of texts in CSV is read as its field's
            kind (codes such as ``007`` stay texts for a category or id; yes, no, 1 and 0 are
            booleans), a text for a timestamp as ISO 8601, a text for an image as a path relative to
            the table. It may name the label as a field too. Columns that it does not name are typed
            by all their values.

    Raises:
        BadData: there is no such file, its format is unknown, it is empty; or the function fails,
            or returns something that holds no rows. Contents are read by ``chunks``.

    Example:
        >>> import polars as pl
        >>> source = open_source(pl.DataFrame({"x": [1, 2, 3]}), folder=Path())
        >>> [chunk["x"].to_list() for chunk in source.chunks(rows=2)]
        [[1, 2], [3]]
    """
    scratch, name = Scratch(), _described(value)
    if _is_function(value):
        value = call(value, name)
    if isinstance(value, (str, os.PathLike)):
        parts = path_parts(os.fspath(value), folder=folder, schema=schema, scratch=scratch)
    else:
        parts = frame_parts(value, name=name, place=LocalPlace(folder), scratch=scratch)
    return _Opened(name, tuple(parts), schema, scratch)


@dataclass(frozen=True)
class _Opened:
    name: str
    parts: tuple[Part, ...]
    schema: Schema | None
    scratch: Scratch = field(repr=False)

    def chunks(self, *, rows: int = CHUNK_ROWS) -> Iterator[pl.DataFrame]:
        frames = chain.from_iterable(
            conform(part.frames(rows), self.schema, place=part.place, name=part.name)
            for part in self.parts
        )
        empty = True
        for chunk in regroup(frames, rows=rows):
            empty = False
            yield chunk
        if empty:
            raise BadData(
                where=self.name,
                found="no rows",
                expected="at least one row",
                remedy="Check how the data was made: a header alone is not enough.",
            )


def _described(value: object) -> str:
    """How a version's record names where its rows came from."""
    if isinstance(value, (str, os.PathLike)):
        return str(value)
    if _is_function(value):
        return f"function {getattr(value, '__name__', 'data')}"
    return type(value).__name__


def _is_function(value: object) -> TypeGuard[Callable[[], object]]:
    return callable(value) and not holds_rows(value)
