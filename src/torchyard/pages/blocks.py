"""A page as plain blocks. ``html`` and ``markdown`` write each of them, so both say the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torchyard.core.record import Json
from torchyard.records.evidence import ReliabilityBin

Mark = Literal["", "pass", "fail", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to be typed or read as they are."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header; ``lead`` says in a sentence what is to be seen."""

    lead: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """One number to be seen first: what it is, the number, and a few words about it."""

    title: str
    value: str
    note: str = ""
    mark: Mark = ""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Tiles beside each other."""

    items: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Reliability:
    """The reliability diagram: a picture in HTML, a table in Markdown.

    ``of`` says whose probability it is, for example ``" of the answer"``; it may be empty.
    ``is_numeric`` where numbers are predicted, against the mean of the truths.
    """

    bins: tuple[ReliabilityBin, ...]
    of: str = ""
    is_numeric: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """A number with its interval, drawn as a point on a line.

    ``note`` stands behind the number, for example how many rows it was taken over.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""
    mark: Mark = ""


@dataclass(frozen=True, slots=True)
class Intervals:
    """Numbers of one kind, one below the other on one axis, and what they are held against.

    ``limit`` is drawn as a line across all of them and ``limit_name`` says what it is.
    """

    lead: str
    axis: str
    bars: tuple[Bar, ...]
    limit: float | None = None
    limit_name: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a curve, with its interval where it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """How a number changes with another; ``limits`` are drawn as lines, by name."""

    lead: str
    across: str
    up: str
    points: tuple[Point, ...]
    limits: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Pictures:
    """Small PNG files, base64, in a row. Markdown tells how many there are."""

    lead: str
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Details:
    """Blocks that stand folded under a line until somebody opens them."""

    summary: str
    blocks: tuple[Block, ...]


Block = Text | Code | Bullets | Table | Tiles | Reliability | Intervals | Curve | Pictures | Details


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A titled page; ``metadata`` is the front matter of its Markdown form, if there is any."""

    title: str
    summary: str
    sections: tuple[Section, ...]
    metadata: dict[str, Json]
