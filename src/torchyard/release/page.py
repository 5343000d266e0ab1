"""A page as plain blocks, and its two forms: Markdown for repositories, HTML for people.

Both are written from the same blocks, so they say the same. Everything that is not a block's own
syntax is escaped: field values and names come from data. Not here: what a model card says.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from dataclasses import dataclass

from torchyard.core.record import Json
from torchyard.records.evidence import ReliabilityBin
from torchyard.release.figure import draw_reliability


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

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
class Reliability:
    """The reliability diagram: a picture in HTML, a table in Markdown.

    ``of`` says whose probability it is, for example ``" of the answer"``; it may be empty.
    """

    bins: tuple[ReliabilityBin, ...]
    of: str = ""


Block = Text | Bullets | Table | Reliability


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A titled page; ``metadata`` is the front matter of its Markdown form."""

    title: str
    summary: str
    metadata: dict[str, Json]
    sections: tuple[Section, ...]


def render_markdown(page: Page) -> str:
    """The page as GitHub-flavoured Markdown with YAML front matter.

    The front matter's values are JSON, which YAML 1.2 contains.
    """
    front = (
        f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in page.metadata.items()
    )
    parts = ["\n".join(["---", *front, "---"]), f"# {_plain(page.title)}", _plain(page.summary)]
    for section in page.sections:
        parts.append(f"## {_plain(section.title)}")
        parts.extend(_block_markdown(block) for block in section.blocks)
    return "\n\n".join(parts) + "\n"


def render_html(page: Page) -> str:
    """The page as one HTML file that asks nothing of the network and runs no script."""
    title = html.escape(page.title)
    body = "\n".join(
        f"<section><h2>{html.escape(section.title)}</h2>\n"
        + "\n".join(_block_html(block) for block in section.blocks)
        + "</section>"
        for section in page.sections
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>{_STYLE}</style></head>\n"
        f'<body><header><h1>{title}</h1><p class="summary">{html.escape(page.summary)}</p>'
        f"</header>\n{body}\n</body></html>\n"
    )


def _block_markdown(block: Block) -> str:
    match block:
        case Text(text):
            return _plain(text)
        case Bullets(items):
            return "\n".join(f"- {_plain(item)}" for item in items)
        case Table(lead, header, rows):
            dashes = ("---",) * len(header)
            lines = [map(_plain, header), dashes, *(map(_plain, row) for row in rows)]
            grid = "\n".join(f"| {' | '.join(line)} |" for line in lines)
            return f"{_plain(lead)}\n\n{grid}" if lead else grid
        case Reliability(bins, of):
            return _block_markdown(_reliability_table(bins, of))


def _block_html(block: Block) -> str:
    match block:
        case Text(text):
            return f"<p>{html.escape(text)}</p>"
        case Bullets(items):
            return "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in items) + "</ul>"
        case Table(lead, header, rows):
            head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in header)
            lines = "".join(f"<tr>{_cells_html(row)}</tr>" for row in rows)
            said = f"<p>{html.escape(lead)}</p>" if lead else ""
            return (
                f'{said}<div class="wide"><table><thead><tr>{head}</tr></thead>'
                f"<tbody>{lines}</tbody></table></div>"
            )
        case Reliability(bins, of):
            return f"<figure>{draw_reliability(bins, of=of)}</figure>"


def _cells_html(row: Iterable[str]) -> str:
    return "".join(
        f'<td class="{text}">{text}</td>' if text in _OUTCOMES else f"<td>{html.escape(text)}</td>"
        for text in row
    )


def _reliability_table(bins: tuple[ReliabilityBin, ...], of: str) -> Table:
    return Table(
        f"Rows of similar predicted probability{of}, and how often it came true.",
        ("predicted", "observed", "rows"),
        tuple((f"{one.predicted:.3f}", f"{one.observed:.3f}", f"{one.rows:,}") for one in bins),
    )


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    for mark in "\\`*[]|":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(html.escape(text, quote=False).split())


_OUTCOMES = frozenset({"pass", "fail", "inconclusive"})

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5b6875; --line: #dfe5ea;
  --paper: #ffffff; --back: #f4f6f8; --accent: #0b6bcb; --good: #0a7d42; --bad: #b3261e;
  --open: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --soft: #9aa7b4; --line: #313c47;
  --paper: #1a222b; --back: #12181e; --accent: #6cb2ff; --good: #5fd08f; --bad: #ff8a80;
  --open: #f0c060; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.25rem 4rem; color: var(--ink);
  background: var(--back); font: 16px/1.6 system-ui, sans-serif; }
h1 { margin: 0; font-size: 2rem; letter-spacing: -0.02em; }
h2 { margin: 0 0 0.75rem; font-size: 1.15rem; }
.summary { margin: 0.5rem 0 1.5rem; color: var(--soft); font-size: 1.1rem; }
section { margin: 0 0 1rem; padding: 1.25rem 1.5rem; background: var(--paper);
  border: 1px solid var(--line); border-radius: 12px; }
p { margin: 0 0 0.75rem; max-width: 46rem; }
ul { margin: 0; padding-left: 1.2rem; }
.wide { overflow-x: auto; margin-bottom: 0.75rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem;
  font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 600; }
th, td { padding: 0.4rem 0.9rem 0.4rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
td { overflow-wrap: break-word; }
.pass { color: var(--good); font-weight: 600; }
.fail { color: var(--bad); font-weight: 600; }
.inconclusive { color: var(--open); font-weight: 600; }
figure { margin: 0; max-width: 26rem; }
svg { width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 11px; }
svg .grid { stroke: var(--line); }
svg .ideal { stroke: var(--soft); stroke-dasharray: 4 4; }
svg .curve { fill: none; stroke: var(--accent); stroke-width: 2; }
svg .point { fill: var(--accent); }
"""
