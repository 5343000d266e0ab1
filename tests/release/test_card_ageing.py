"""What the card says of fields and of age, and that it says when nobody measured it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.releases import sample_contents
from torchyard.records.ageing import AgeAt, Staleness
from torchyard.records.measures import Measured
from torchyard.records.weaknesses import FieldCost, FieldImportance
from torchyard.release.card import card_html, model_card
from torchyard.release.contents import Contents


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    return sample_contents(tmp_path)


def about(value: float) -> Measured:
    return Measured(value=value, low=value - 0.01, high=value + 0.01, rows=900, method="bootstrap")


def section(card: str, title: str) -> str:
    return card.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_the_curve_and_the_missed_age_stand_on_the_card(contents: Contents) -> None:
    staleness = Staleness(
        metric="auroc", field="scheduled", every_days=30.0, points=(),
        curve=(
            AgeAt(age_days=15.0, models=2, measured=about(0.7)),
            AgeAt(age_days=45.0, models=1, measured=about(0.6)),
        ),
        limits={"auroc at least 0.64": 45.0, "auroc at least 0.50": None},
    )  # fmt: skip
    aged = replace(contents, evidence=replace(contents.evidence, staleness=staleness))
    told = section(model_card(aged), "Ageing")
    assert "every later period of 30 days" in told
    assert "at 45 days" in told
    assert "not within 45 days" in told
    assert '<polyline class="curve"' in card_html(aged)


def test_what_fields_are_worth_stands_on_the_card(contents: Contents) -> None:
    (first, *rest) = contents.evidence.reports
    importance = FieldImportance(field="fare", metric="log_loss", drop=about(0.2), missing=0.25)
    cost = FieldCost(
        field="fare", metric="log_loss", loss=about(0.0), missing=0.25, microseconds=3.25,
        earns_its_cost=False,
    )  # fmt: skip
    evidence = replace(
        contents.evidence, costs=(cost,), reports=(replace(first, importance=(importance,)), *rest)
    )
    told = section(model_card(replace(contents, evidence=evidence)), "Fields")
    assert "how much worse log_loss gets" in told
    assert "25.0%" in told
    assert "3.2" in told
    assert "not shown" in told


def test_what_was_not_measured_is_said(contents: Contents) -> None:
    card = model_card(contents)
    assert "What the model looks at was not measured." in section(card, "Fields")
    assert "with the model's age was not measured." in section(card, "Ageing")
