"""A source as one frame, for callers that need all rows in memory."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from torchyard.data.source import describe_source, open_source

__all__ = ["describe_source", "read_source"]


def read_source(source: object, *, folder: Path) -> pl.DataFrame:
    """All rows of a source: see ``open_source``.

    Raises:
        BadData: as there.
    """
    return pl.concat(open_source(source, folder=folder).chunks())
