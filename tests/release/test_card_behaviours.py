"""The card says what the model must do when a row is changed, and shows rows where it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.releases import measured, sample_contents, sample_report
from torchyard.cli.behaved import show_behaviours
from torchyard.records.behaviours import BehaviourExample, BehaviourResult
from torchyard.release.card import model_card
from torchyard.release.card_behaviours import behaviours

FAILS = BehaviourResult(
    name="directional distance +500 up", kind="direction", says="When it is further, it is later.",
    rows=40, failed=4, failure_rate=measured(0.1), left_out=3, worst=0.25,
    examples=(
        BehaviourExample(
            row={"distance": 100.0, "carrier": "UA"}, changed={"distance": 600.0},
            before=(0.4, 0.6), after=(0.65, 0.35),
        ),
    ),
)  # fmt: skip
UNTRIED = BehaviourResult(
    name="odd", kind="function", says="It holds.", rows=0, failed=0, failure_rate=None,
    finding="behaviour 'odd': found ValueError",
)  # fmt: skip


def test_the_card_tells_shares_examples_and_findings(tmp_path: Path) -> None:
    contents = sample_contents(tmp_path)
    assert "The project declares no behaviours." in model_card(contents)
    reports = tuple(replace(one, behaviours=(FAILS, UNTRIED)) for one in contents.evidence.reports)
    card = model_card(replace(contents, evidence=replace(contents.evidence, reports=reports)))
    section = card.split("## Behaviours\n")[1].split("\n## ")[0]
    assert "further, it is later. | 40 | 3 | 4 | 0.1 (0.08 to 0.12) | 0.25 |" in section
    assert "It holds. Not measured: behaviour 'odd': found ValueError" in section
    assert "distance 100.0 to 600.0" in section
    assert "0.600" in section
    assert "0.350" in section


def test_every_kind_of_task_has_an_answer_to_show() -> None:
    report = sample_report("torch-fp32")
    many = replace(report.task, kind="multiclass_classification", classes=("a", "b", "c"))
    number = replace(report.task, kind="regression", classes=())
    three = replace(FAILS.examples[0], before=(0.2, 0.5, 0.3), after=(12.5, 10.0, 15.0), changed={})
    for task, told in ((many, "b 0.500, c 0.300, a 0.200"), (number, "12.5")):
        result = replace(FAILS, examples=(three,))
        blocks = list(behaviours(replace(report, task=task, behaviours=(result,))))
        assert told in str(blocks)
        assert "distance 100.0, carrier UA" in str(blocks)


def test_the_screen_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    show_behaviours(replace(sample_report("torch-fp32"), behaviours=(FAILS, UNTRIED)))
    assert capsys.readouterr().out.splitlines() == [
        "Behaviour directional distance +500 up: 4 of 40 rows fail, 10.0% [8.0%, 12.0%], largest "
        "change 0.25; 3 left out",
        "Behaviour odd: not measured. behaviour 'odd': found ValueError",
    ]
