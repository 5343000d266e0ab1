"""The card of a model of several labels, and of one of numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.support.kinds import with_labels, with_number
from tests.support.releases import measured, sample_contents
from torchyard.release import Contents
from torchyard.release.card import model_card
from torchyard.release.card_classes import shown


def card(contents: Contents) -> str:
    return model_card(contents)


def test_labels_are_answered_from_a_threshold_on(tmp_path: Path) -> None:
    text = card(with_labels(sample_contents(tmp_path)))
    assert (
        "the probability of each of 3 classes (delay, price, crew), and answers with all from 0.4 "
        "on. It was tried on 100 rows it had not seen, with 1.5 classes each on average. There its "
        "micro_f1 is 0.5 (0.48 to 0.52)." in text
    )
    assert "pipeline_tag: " in text
    assert "Rows of similar predicted probability of a class" in text


def test_a_number_is_told_with_its_unit_and_interval(tmp_path: Path) -> None:
    contents = with_number(sample_contents(tmp_path))
    reports = tuple(
        replace(report, metrics={"mae": measured(12_345.6, spread=500.0)})
        for report in contents.evidence.reports
    )
    text = card(replace(contents, evidence=replace(contents.evidence, reports=reports)))
    assert (
        "the model states delay, in minutes, and an interval that should hold the truth in 90% of "
        "rows. It was tried on 100 rows it had not seen. There its mae is 12,346 (11,846 to "
        "12,846)." in text
    )
    assert "| method | interval score in minutes |" in text
    assert "Rows of similar predicted numbers, and the mean of their truths." in text


def test_numbers_are_shown_by_their_size() -> None:
    assert shown(measured(0.00004, spread=0.00001)) == "4e-05 (3e-05 to 5e-05)"
    assert shown(measured(0.81)) == "0.81 (0.79 to 0.83)"
    assert shown(None) == "-"
