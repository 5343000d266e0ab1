"""Pages that people read: plain blocks, written as HTML, as Markdown and as pictures.

Takes: blocks of text, tables and numbers; records of evidence.
Makes: one HTML page that asks nothing of the network, or Markdown that says the same.
Never: measures or judges anything; lets a value of the data write markup.
"""

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
    Section,
    Table,
    Text,
    Tiles,
)
from torchyard.pages.html import render_html
from torchyard.pages.markdown import render_markdown

__all__ = [
    "Block",
    "Bullets",
    "Code",
    "Curve",
    "Details",
    "Intervals",
    "Page",
    "Pictures",
    "Reliability",
    "Section",
    "Table",
    "Text",
    "Tiles",
    "render_html",
    "render_markdown",
]
