"""Every kind of block, written both ways: well-formed, escaped, and saying the same."""

from __future__ import annotations

import typing
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.core.errors import BadRecord
from torchyard.pages import (
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
    render_html,
    render_markdown,
)
from torchyard.pages.blocks import Bar, Point, Tile
from torchyard.pages.charts import Scale
from torchyard.records.evidence import ReliabilityBin

NASTY = '<script>alert(1)</script>"`|*'
VOID = {"meta", "circle", "line", "img", "polyline", "polygon", "br"}
BLOCKS: tuple[Block, ...] = (
    Text(NASTY),
    Code(NASTY),
    Bullets((NASTY, "two")),
    Table(NASTY, (NASTY, "verdict"), ((NASTY, "pass"), ("b", "inconclusive"))),
    Tiles((Tile(NASTY, "0.5", NASTY, "fail"),)),
    Reliability((ReliabilityBin(rows=5, predicted=0.2, observed=0.4),), NASTY),
    Intervals(
        NASTY, NASTY, (Bar(NASTY, 0.7, 0.6, 0.8, NASTY, "pass"), Bar("alone", 0.5)), 0.65, NASTY
    ),
    Curve(NASTY, NASTY, NASTY, (Point(1, 0.7, 0.6, 0.8), Point(2, 0.65)), ((NASTY, 0.6),)),
    Pictures(NASTY, ("aGVsbG8=",)),
    Details(NASTY, (Text("folded"),)),
)  # fmt: skip


def page(*blocks: Block) -> Page:
    return Page(
        title=NASTY,
        summary=NASTY,
        metadata={"name": NASTY},
        sections=(Section(title=NASTY, blocks=blocks),),
    )


class Seen(HTMLParser):
    """The elements of a page, those that were never closed, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_every_kind_of_block_is_tried_here() -> None:
    assert {type(block) for block in BLOCKS} == set(typing.get_args(Block))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: type(block).__name__)
def test_no_block_lets_data_write_markup(block: Block) -> None:
    seen = Seen(render_html(page(block)))
    assert seen.open == []
    assert not {"script", "link", "iframe", "object"} & set(seen.names)
    written = render_markdown(page(block))
    body = written.partition("\n---\n")[2]
    assert "<script>" not in body
    assert "| *" not in body


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: type(block).__name__)
def test_both_forms_tell_the_numbers(block: Block) -> None:
    both = render_html(page(block)), render_markdown(page(block))
    for number in {"Tiles": ("0.5",), "Intervals": ("0.7", "0.6", "0.8"), "Curve": ("0.65",)}.get(
        type(block).__name__, ()
    ):
        assert all(number in text for text in both)


def test_a_page_asks_nothing_of_the_network() -> None:
    text = render_html(page(*BLOCKS))
    assert "http" not in text.replace("http-equiv", "")
    assert "default-src 'none'" in text


def test_what_is_no_base64_is_no_picture() -> None:
    with pytest.raises(BadRecord, match="something else than base64"):
        render_html(page(Pictures("", ('"><script>',))))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.floats(), max_size=6))
def test_a_scale_holds_all_its_numbers_between_round_marks(values: list[float]) -> None:
    finite = [value for value in values if abs(value) < 1e12]
    scale = Scale.over(finite, start=10, end=110)
    assert 2 <= len(scale.marks) <= 9
    assert all(9.9 <= scale(value) <= 110.1 for value in finite)
    assert scale(float("nan")) == pytest.approx(10)
