"""Where rows come from: whatever a user has, read in chunks, as often as needed.

No rule is applied here: ``check`` does that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from torchyard.data.read import describe_source, read_source
from torchyard.records.schema import Schema

if TYPE_CHECKING:
    import polars as pl

CHUNK_ROWS = 262_144


class Source(Protocol):
    """Rows that can be read again and again.

    ``name`` is how records and errors call it. ``chunks`` gives the same rows in the same order at
    every call, in frames of at most ``rows`` rows (fewer where they hold much text or pictures),
    each with the same columns and types and at least one row.
    """

    @property
    def name(self) -> str:
        """How records and errors call it."""

    def chunks(self, *, rows: int = CHUNK_ROWS) -> Iterator[pl.DataFrame]:
        """All rows, from the first."""


def open_source(value: object, *, folder: Path, schema: Schema | None = None) -> Source:
    """Make rows of what a user has.

    Args:
        value: a path, URL, frame or function.
        folder: what relative paths are relative to.
        schema: how to read what carries no types: see the module.
    """
    return _Whole(describe_source(value), read_source(value, folder=folder))


@dataclass(frozen=True)
class _Whole:
    name: str
    frame: pl.DataFrame

    def chunks(self, *, rows: int = CHUNK_ROWS) -> Iterator[pl.DataFrame]:
        return self.frame.iter_slices(rows)
