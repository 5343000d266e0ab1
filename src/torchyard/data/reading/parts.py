"""Rows on their way to a source: one file, frame or folder that gives frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import polars as pl

from torchyard.core.errors import BadData
from torchyard.data.reading.places import Place

PART_COLUMN = "part"
_PARTS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a source, in order.

    Attributes:
        name: how errors call it.
        place: what paths in its columns are relative to.
        frames: the rows from the first, in frames of any size; takes how many are wanted at once.
    """

    name: str
    place: Place
    frames: Callable[[int], Iterator[pl.DataFrame]]


def part_name(word: str) -> str | None:
    """The part of the data that a folder or a key stands for: train, validation or test.

    Example:
        >>> part_name("val"), part_name("cats")
        ('validation', None)
    """
    return _PARTS.get(word.lower())


def labelled(part: Part, word: str) -> Part:
    """The rows of a part, with the column ``part`` that says which one it is."""
    name = part_name(word) or word

    def frames(rows: int) -> Iterator[pl.DataFrame]:
        for frame in part.frames(rows):
            if PART_COLUMN in frame.columns:
                raise BadData(
                    where=f"{part.name}, column '{PART_COLUMN}'",
                    found="a column of that name already",
                    expected="none: it is made from the names of the splits",
                    remedy="Rename the column.",
                )
            yield frame.with_columns(pl.lit(name).alias(PART_COLUMN))

    return replace(part, frames=frames)
