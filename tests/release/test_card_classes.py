"""The card of a model of many classes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.releases import sample_contents, sample_report
from torchyard.evaluate import Sample, evaluate
from torchyard.records.schema import Task
from torchyard.release import Contents
from torchyard.release.card import card_html, model_card
from torchyard.release.limits import find_limits

NASTY = "<b>x</b> | `y` [z](w)"


def of_classes(contents: Contents, *names: str) -> Contents:
    """The contents of a model of these classes, the last of which is always mistaken."""
    task = Task(kind="multiclass_classification", label="kind", classes=names)
    draw = np.random.default_rng(0)
    truth = draw.integers(0, len(names), 900)
    probabilities = np.full((900, len(names)), 0.2 / len(names))
    answer = np.where(truth == len(names) - 1, 0, truth)
    probabilities[np.arange(900), answer] += 0.8
    report = evaluate(
        Sample(task=task, truth=truth, outputs=probabilities),
        model="onnx-fp32",
        split="test",
        groups={"carrier": draw.choice(["AA", "DL"], 900)},
        slices={"carrier": np.where(truth == len(names) - 1, "bad", "good")},
        baselines={"majority": np.full_like(probabilities, 1 / len(names))},
        resamples=60,
    )
    return replace(contents, task=task, evidence=replace(contents.evidence, reports=(report,)))


@pytest.fixture(name="contents")
def _contents(tmp_path: Path) -> Contents:
    return sample_contents(tmp_path)


def section(card: str, title: str) -> str:
    return card.split(f"## {title}\n")[1].split("\n## ", maxsplit=1)[0]


def test_every_class_is_told_worst_first_with_what_it_is_mistaken_for(contents: Contents) -> None:
    card = model_card(of_classes(contents, "cat", "dog", "owl"))
    plain = section(card, "In plain words")
    assert "the probability of each of 3 classes (cat, dog, owl)" in plain
    assert re.search(r"most were '\w+' \(\d+\), fewest '\w+' \(\d+\)\.", plain)
    assert "There its accuracy is 0." in plain
    quality = section(card, "Quality")
    classes = re.findall(r"^\| (cat|dog|owl) \| \d+ \| \d+ \| ", quality, re.MULTILINE)
    assert classes[0] == "owl"
    assert "|  | cat | dog | owl |" in quality
    assert re.search(r"^\| owl \| \d+ \| 0 \| 0 \|$", quality, re.MULTILINE)
    assert "Most often mistaken: 'owl' answered with 'cat' (" in quality


def test_groups_and_slices_show_the_metrics_of_the_task(contents: Contents) -> None:
    told = of_classes(contents, "cat", "dog", "owl")
    card = model_card(told)
    assert "| rows where | rows | accuracy | macro_f1 | log_loss | brier |" in section(
        card, "Slices"
    )
    assert "Worst first by accuracy." in section(card, "Slices")
    assert "| carrier | accuracy_difference |" in section(card, "Fairness")
    limits = " ".join(find_limits(told, told.evidence.reports[0]))
    assert "Where carrier is bad" in limits
    assert "accuracy is 0 against 0.6" in limits


def test_reliability_is_that_of_the_answer(contents: Contents) -> None:
    told = of_classes(contents, "cat", "dog", "owl")
    assert "probability of the answer, and how often" in section(model_card(told), "Calibration")
    assert "predicted probability of the answer</text>" in card_html(told)
    assert "predicted probability</text>" in card_html(contents)


def test_long_lists_of_classes_are_cut_and_counted(contents: Contents) -> None:
    card = model_card(of_classes(contents, *(f"c{number}" for number in range(60))))
    assert "each of 60 classes (c0, c1, c2, c3, c4, c5, c6, c7 and 52 more)" in card
    assert "the lowest F1 first; 20 of 60." in card
    assert "(across)" not in card


def test_hostile_class_names_stay_text(contents: Contents) -> None:
    card = model_card(of_classes(contents, NASTY, "dog", "owl"))
    assert "<b>" not in card.split("---\n", 2)[2]
    for table in re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1
    assert "<b>x</b>" not in card_html(of_classes(contents, NASTY, "dog", "owl"))


def test_a_binary_report_has_no_tables_of_classes(contents: Contents) -> None:
    assert sample_report("x").per_class == ()
    assert "answered with it" not in model_card(contents)
