"""A page as GitHub-flavoured Markdown. What comes from data is escaped."""

from __future__ import annotations

import html
import json

from torchyard.pages.blocks import (
    Block,
    Bullets,
    Code,
    Curve,
    Details,
    Intervals,
    Page,
    Pictures,
    Reliability,
    Table,
    Text,
    Tiles,
)
from torchyard.pages.numbers import shown_number


def render_markdown(page: Page) -> str:
    """The page as Markdown, with YAML front matter where it has metadata.

    The front matter's values are JSON, which YAML 1.2 contains.

    Example:
        >>> from torchyard.pages import Page, Section, Text
        >>> page = Page(title="Late flights", summary="A report.", metadata={},
        ...             sections=(Section(title="In plain words", blocks=(Text("Good."),)),))
        >>> print(render_markdown(page))
        # Late flights
        <BLANKLINE>
        A report.
        <BLANKLINE>
        ## In plain words
        <BLANKLINE>
        Good.
        <BLANKLINE>
    """
    parts = []
    if page.metadata:
        front = (
            f"{key}: {json.dumps(value, ensure_ascii=False)}"
            for key, value in page.metadata.items()
        )
        parts.append("\n".join(["---", *front, "---"]))
    parts += [f"# {plain(page.title)}", plain(page.summary)]
    for section in page.sections:
        parts.append(f"## {plain(section.title)}")
        parts += [written for block in section.blocks if (written := _block(block))]
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    for mark in "\\`*[]|":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(html.escape(text, quote=False).split())


def _block(block: Block) -> str:
    match block:
        case Text(text):
            return plain(text)
        case Code(text):
            return f"<pre><code>{html.escape(text, quote=False)}</code></pre>"
        case Bullets(items):
            return "\n".join(f"- {plain(item)}" for item in items)
        case Table(lead, header, rows):
            return _table(lead, header, rows)
        case Tiles(items):
            return "\n".join(
                f"- **{plain(tile.title)}: {plain(tile.value)}**"
                + (f" {plain(tile.note)}" if tile.note else "")
                for tile in items
            )
        case Pictures(lead, images):
            return plain(f"{lead} {len(images)} pictures, on the HTML page.")
        case Details(summary, blocks):
            return "\n\n".join([f"**{plain(summary)}**", *map(_block, blocks)])
        case _:
            return _block(as_table(block))


def as_table(block: Reliability | Intervals | Curve) -> Table:
    """What a picture shows, in numbers."""
    match block:
        case Reliability(bins, of, is_numeric):
            lead = f"Rows of similar predicted probability{of}, and how often it came true."
            if is_numeric:
                lead = "Rows of similar predicted numbers, and the mean of their truths."
            return Table(
                lead,
                ("predicted", "observed", "rows"),
                tuple((f"{b.predicted:.3f}", f"{b.observed:.3f}", f"{b.rows:,}") for b in bins),
            )
        case Intervals(lead, axis, bars, limit, limit_name):
            said = f"{lead} {limit_name}: {shown_number(limit)}." if limit is not None else lead
            told = tuple(
                (bar.name, shown_number(bar.value), _between(bar.low, bar.high), bar.note)
                for bar in bars
            )
            return Table(said, ("", axis, "95 % interval", ""), told)
        case Curve(lead, across, up, points, limits):
            named = "".join(f" {name}: {shown_number(value)}." for name, value in limits)
            rows = tuple(
                (shown_number(point.x), shown_number(point.y), _between(point.low, point.high))
                for point in points
            )
            return Table(f"{lead}{named}", (across, up, "95 % interval"), rows)


def _table(lead: str, header: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> str:
    lines = [map(plain, header), ("---",) * len(header), *(map(plain, row) for row in rows)]
    grid = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{plain(lead)}\n\n{grid}" if lead else grid


def _between(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return ""
    return f"{shown_number(low)} to {shown_number(high)}"
