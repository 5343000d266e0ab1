"""The card says where the model is weak, whichever report was searched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.releases import measured, sample_contents
from torchyard.records.weaknesses import Condition, ErrorCluster, FoundSlice, SliceSearch
from torchyard.release import Contents
from torchyard.release.card import card_html, model_card

FOUND = FoundSlice(
    conditions=(
        Condition(field="distance", low=500.0, high=1000.0), Condition(field="carrier", value="UA")
    ),
    rows=1200, measured=measured(0.91), others=0.41234, p_value=0.001,
)  # fmt: skip
SEARCH = SliceSearch(metric="log_loss", tried=1234, min_rows=100, method="Welch", found=(FOUND,))
WORDS = ErrorCluster(
    field="note", kind="text", rows=200, errors=120, error_rate=measured(0.6), others=0.1,
    words=("refund", "card"),
)  # fmt: skip
LOOKS = replace(WORDS, field="photo", kind="image", words=(), pictures=("iVBORw0KGgo=",))


def with_weaknesses(
    contents: Contents, search: SliceSearch | None, *clusters: ErrorCluster
) -> Contents:
    first, *others = contents.evidence.reports
    searched = replace(first, weaknesses=search, clusters=clusters)
    return replace(contents, evidence=replace(contents.evidence, reports=(searched, *others)))


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    return sample_contents(tmp_path)


def test_slices_and_clusters_are_told_with_their_numbers(contents: Contents) -> None:
    made = with_weaknesses(contents, SEARCH, WORDS, LOOKS)
    section = model_card(made).split("## Slices\n")[1].split("\n## ")[0]
    unit = contents.schema.field("distance").unit
    name = f"distance from 500 to 1,000{f' {unit}' if unit else ''} and carrier = 'UA'"
    assert f"| {name} | 1,200 | 0.91 (0.89 to 0.93) | 0.4123 |" in section
    assert "1,234 slices of at least 100 rows were tried" in section
    assert "| note | refund, card | 200 | 0.6 (0.58 to 0.62) | 0.1 |" in section
    assert "photo, 120 of 200 answered wrongly" in section
    assert "data:image/png;base64,iVBORw0KGgo=" in card_html(made)


def test_a_search_that_found_nothing_says_so(contents: Contents) -> None:
    card = model_card(with_weaknesses(contents, replace(SEARCH, found=())))
    assert "were tried; none is worse than chance explains." in card
    card = model_card(with_weaknesses(contents, replace(SEARCH, tried=0, found=())))
    assert "No condition on a field has enough rows" in card


def test_a_card_without_a_search_says_nothing_of_it(contents: Contents) -> None:
    assert "slices of at least" not in model_card(contents)
