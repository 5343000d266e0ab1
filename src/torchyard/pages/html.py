"""A page as one HTML file that asks nothing of the network and runs no script."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from torchyard.core.errors import BadRecord
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
    Tile,
    Tiles,
)
from torchyard.pages.charts import draw_curve, draw_intervals
from torchyard.pages.reliability import draw_reliability
from torchyard.pages.style import STYLE

# the browser is told so, too: a value that slips through all the same can load and run nothing
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_MARKS = frozenset({"pass", "fail", "inconclusive"})
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def render_html(page: Page) -> str:
    """The page as HTML. Field values and names come from data, so every text is escaped.

    Raises:
        BadRecord: a picture is not base64.
    """
    title = escape(page.title)
    body = "\n".join(
        f"<section><h2>{escape(section.title)}</h2>\n{_blocks(section.blocks)}</section>"
        for section in page.sections
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style></head>\n"
        f'<body><header><h1>{title}</h1><p class="summary">{escape(page.summary)}</p>'
        f"</header>\n{body}\n</body></html>\n"
    )


def _blocks(blocks: Iterable[Block]) -> str:
    return "\n".join(map(_block, blocks))


def _block(block: Block) -> str:
    match block:
        case Text(text):
            return f"<p>{escape(text)}</p>"
        case Code(text):
            return f"<pre><code>{escape(text)}</code></pre>"
        case Bullets(items):
            return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"
        case Table(lead, header, rows):
            return _table(lead, header, rows)
        case Tiles(items):
            return f'<div class="tiles">{"".join(map(_tile, items))}</div>'
        case Reliability() | Intervals() | Curve():
            return _figure(block)
        case Pictures(lead, images):
            return f'{_lead(lead)}<div class="pictures">{"".join(map(_image, images))}</div>'
        case Details(summary, blocks):
            inside = _blocks(blocks)
            return f"<details><summary>{escape(summary)}</summary>\n{inside}</details>"


def _figure(block: Reliability | Intervals | Curve) -> str:
    match block:
        case Reliability(bins, of, is_numeric):
            return f"<figure>{draw_reliability(bins, of=of, is_numeric=is_numeric)}</figure>"
        case Intervals(lead):
            return f'{_lead(lead)}<figure class="broad">{draw_intervals(block)}</figure>'
        case Curve(lead):
            return f'{_lead(lead)}<figure class="broad">{draw_curve(block)}</figure>'


def _lead(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def _table(lead: str, header: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    lines = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    return (
        f'{_lead(lead)}<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _cells(row: Iterable[str]) -> str:
    return "".join(
        f'<td class="{text}">{text}</td>' if text in _MARKS else f"<td>{escape(text)}</td>"
        for text in row
    )


def _tile(tile: Tile) -> str:
    mark = f" {tile.mark}" if tile.mark else ""
    note = f'<div class="note">{escape(tile.note)}</div>' if tile.note else ""
    return (
        f'<div class="tile"><div class="title">{escape(tile.title)}</div>'
        f'<div class="value{mark}">{escape(tile.value)}</div>{note}</div>'
    )


def _image(content: str) -> str:
    if not _BASE64.fullmatch(content):
        raise BadRecord(
            where="a picture of a page",
            found="something else than base64",
            expected="a PNG file as base64",
            remedy="Make the record again by the stage that made it.",
        )
    return f'<img alt="" src="data:image/png;base64,{content}">'
