"""The card says among how many a model's settings were chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.releases import sample_contents
from torchyard.records.training import Tuned
from torchyard.release import Contents
from torchyard.release.card import card_html, model_card, serving_report
from torchyard.release.limits import find_limits

TUNED = Tuned(
    study="c10323b8c643", trial=12, tried=1040, pruned=300, failed=4, value=0.4664,
    chosen={"learning_rate": 0.09094140022, "model": {"hidden": 18, "kind": "a|b"}},
)  # fmt: skip


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    made = sample_contents(tmp_path)
    return replace(made, run=replace(made.run, tuned=TUNED))


def test_a_searched_models_card_says_among_how_many(contents: Contents) -> None:
    card = model_card(contents)
    lineage = card.split("## Lineage\n")[1]
    assert (
        "Settings chosen among 1,040 tried (300 pruned, 4 failed): trial 12 of study c10323b8c643, "
        "with the lowest validation loss, 0.4664. The test rows had no part in it."
    ) in lineage
    assert "0.0909414" in lineage
    assert "chosen among 1,040 tried" in card_html(contents)
    limits = "\n".join(find_limits(contents, serving_report(contents)))
    assert "chosen among 1,040 tried, by a validation loss of 0.4664 that such a choice" in limits


def test_a_card_of_declared_settings_says_nothing_of_it(contents: Contents) -> None:
    plain = replace(contents, run=replace(contents.run, tuned=None))
    assert "chosen among" not in model_card(plain)
    assert "Settings chosen" not in model_card(plain)


def test_a_name_in_what_was_chosen_cannot_break_the_table(contents: Contents) -> None:
    assert "| model.kind | a\\|b |" in model_card(contents)
