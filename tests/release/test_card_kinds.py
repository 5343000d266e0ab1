"""A card of a model that gives any number of classes, or a number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.evaluate.samples import labels, numbers
from tests.release.test_card import section
from tests.support.releases import measured, sample_contents
from torchyard.evaluate import Sample, evaluate
from torchyard.pages.numbers import shown
from torchyard.release.card import card_html, model_card
from torchyard.release.contents import Contents


def contents_of(sample: Sample, folder: Path) -> Contents:
    contents = sample_contents(folder)
    report = evaluate(
        sample,
        model=contents.ladder[0],
        split="test",
        groups={"sex": np.where(np.arange(sample.rows) % 10, "f", "m")},
        slices={"city": np.where(np.arange(sample.rows) % 2, "A", "B")},
        baselines={"same": sample.outputs},
        resamples=40,
    )
    evidence = replace(contents.evidence, reports=(report,))
    return replace(contents, task=sample.task, evidence=evidence)


def test_a_card_of_numbers(tmp_path: Path) -> None:
    contents = contents_of(numbers(600), tmp_path)
    told = model_card(contents)
    plain = section(told, "In plain words")
    assert "the model states price, in EUR, and an interval that should hold the truth in 80%" in (
        plain
    )
    assert "It was tried on 600 rows it had not seen." in plain
    assert "There its mae is " in plain
    assert 'pipeline_tag: "tabular-regression"' in told
    assert "the mean of their truths" in section(told, "Calibration")
    assert "| method | interval score in EUR |" in section(told, "Calibration")
    assert "| rows where | rows | mae | rmse | r2 | interval_coverage |" in section(told, "Slices")
    assert "Too few test rows to say much about: sex = m (60 rows)." in section(told, "Limits")
    assert "nan" not in card_html(contents)


def test_a_card_of_several_classes_at_once(tmp_path: Path) -> None:
    told = model_card(contents_of(labels(600), tmp_path))
    plain = section(told, "In plain words")
    assert "answers with all from 0.4 on. It was tried on 600 rows it had not seen, with" in plain
    assert "There its micro_f1 is " in plain
    assert "| rows where | rows | micro_f1 | macro_f1 | log_loss | brier |" in (
        section(told, "Slices")
    )
    assert "tag 3" in section(told, "Quality")


def test_numbers_are_shown_by_their_size() -> None:
    assert shown(measured(12_345.6, spread=500.0)) == "12,346 (11,846 to 12,846)"
    assert shown(measured(0.00004, spread=0.00001)) == "4e-05 (3e-05 to 5e-05)"
    assert shown(measured(0.81)) == "0.81 (0.79 to 0.83)"
    assert shown(None) == "-"


@pytest.mark.parametrize("sample", [labels(600), numbers(600)], ids=["labels", "numbers"])
def test_slices_are_named_worst_first(sample: Sample, tmp_path: Path) -> None:
    told = section(model_card(contents_of(sample, tmp_path)), "Slices")
    assert f"Worst first by {sample.task.headline}." in told
