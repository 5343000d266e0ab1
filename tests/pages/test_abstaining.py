"""What cards and reports say of rows that are not answered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.releases import measured, sample_contents, sample_report
from torchyard.pages import Table, Text
from torchyard.pages.abstaining import REASONS, abstaining_blocks
from torchyard.records.abstaining import Reason, SelectiveQuality
from torchyard.records.schema import Task
from torchyard.release.card import model_card

QUALITY = SelectiveQuality(
    abstained={"outside_training": 4, "unsure": 16},
    coverage=measured(0.8),
    answered={"accuracy": measured(0.9)},
    everything={"accuracy": measured(0.85)},
)


def test_both_numbers_stand_beside_each_other() -> None:
    told, why, quality = abstaining_blocks(replace(sample_report("m"), selective=QUALITY))
    assert isinstance(told, Text)
    assert "Of 100 test rows it answers 80: a share of 0.8 (0.78 to 0.82)." in told.text
    assert isinstance(why, Table)
    assert why.rows == ((REASONS["outside_training"], "4"), (REASONS["unsure"], "16"))
    assert isinstance(quality, Table)
    assert quality.rows == (("accuracy", "0.9 (0.88 to 0.92)", "0.85 (0.83 to 0.87)"),)


def test_every_reason_has_words() -> None:
    assert set(REASONS) == set(Reason.__args__)  # type: ignore[attr-defined]


def test_nothing_is_said_where_nothing_was_declared() -> None:
    assert abstaining_blocks(sample_report("m")) == ()


def test_too_few_answers_are_told() -> None:
    none = replace(QUALITY, abstained={"unsure": 100}, coverage=measured(0.0), answered={})
    *_, last = abstaining_blocks(replace(sample_report("m"), selective=none))
    assert last == Text("Too few rows are answered to tell how well.")


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"ge": 0.0}, "A value is at least 0 minutes; "),
        ({"ge": 0.0, "le": 600.0}, "A value is at least 0 and at most 600 minutes; "),
    ],
)
def test_the_domain_is_told_with_the_share_outside_of_it(
    bounds: dict[str, float], said: str
) -> None:
    task = Task(kind="regression", label="delay", classes=(), unit="minutes", **bounds)  # type: ignore[arg-type]
    report = replace(sample_report("m"), task=task, outside_domain=measured(0.03))
    (told,) = abstaining_blocks(report)
    assert isinstance(told, Text)
    assert told.text.startswith(said)
    assert told.text.endswith("The share of test rows of which that is so: 0.03 (0.01 to 0.05).")


def test_a_card_says_whether_every_row_is_answered(tmp_path: Path) -> None:
    contents = sample_contents(tmp_path)
    assert "Every row that its schema allows is answered." in model_card(contents)
    reports = tuple(replace(one, selective=QUALITY) for one in contents.evidence.reports)
    quiet = replace(contents, evidence=replace(contents.evidence, reports=reports))
    card = model_card(quiet)
    assert "Every row that its schema allows is answered." not in card
    assert "The model may leave a row without an answer." in card
