"""What cards and reports say of each way to calibrate."""

from __future__ import annotations

import re
import typing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.release.test_card import section
from tests.support.releases import sample_contents
from torchyard.core.record import from_json
from torchyard.pages.calibration import calibration_sentence
from torchyard.pages.reliability import draw_reliability
from torchyard.records.calibration import Calibration, CalibrationMethod, Curve, Interval
from torchyard.records.evidence import ReliabilityBin
from torchyard.records.schema import Task
from torchyard.release.card import model_card

LATE = Task(kind="binary_classification", label="late", classes=("no", "yes"))
MINUTES = Task(kind="regression", label="minutes", classes=(), unit="min")
WIDTH = Curve(x=(0.0, 1.0), y=(2.0, 9.0))


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("temperature", "Temperature scaling: logits are divided by one number, 1.700, fitted on"),
        ("vector", "Vector scaling: each class's logit gets a slope and a shift, fitted on"),
        ("platt", "Platt scaling: logits get a slope and a shift before the sigmoid, fitted on"),
        ("beta", "Beta calibration: the logarithm of each class's odds gets a slope below"),
        ("isotonic", "Isotonic regression: probabilities are read off a rising curve per class"),
    ],
)
def test_each_method_is_told_with_what_it_did(method: CalibrationMethod, said: str) -> None:
    fitted = Calibration(
        method=method, rows=1200, log_loss_before=0.7, log_loss_after=0.5, temperature=1.7
    )
    sentence = calibration_sentence(fitted, LATE)
    assert sentence.startswith(said)
    assert sentence.endswith(
        "fitted on 1,200 validation rows: log loss there 0.7000 before, 0.5000 after."
    )


def test_every_method_has_its_words() -> None:
    for method in typing.get_args(CalibrationMethod):
        if method != "conformal":  # which has an interval
            assert "1,200 validation rows" in calibration_sentence(
                Calibration(method=method, rows=1200), LATE
            )


def test_a_temperature_per_class_is_told_without_numbers() -> None:
    fitted = Calibration(method="temperature", rows=9, slopes=(0.5, 1.0), shifts=(0.0, 0.0))
    assert "one number per class, fitted on 9 validation rows." in calibration_sentence(
        fitted, LATE
    )


@pytest.mark.parametrize(
    ("kind", "width", "said"),
    [
        ("symmetric", None, "of one width, 3 below to 4.5 min above the value."),
        ("asymmetric", None, "its ends at different distances, 3 below to 4.5 min above"),
        ("normalised", WIDTH, "wider where predictions err more. Rows of another time"),
    ],
)
def test_an_interval_is_told_with_its_promise_and_its_limit(
    kind: typing.Literal["symmetric", "asymmetric", "normalised"], width: Curve | None, said: str
) -> None:
    interval = Interval(kind=kind, coverage=0.9, lower=3.0, upper=4.5, rows=800, width=width)
    told = calibration_sentence(Calibration(method="conformal", interval=interval), MINUTES)
    assert "holds the truth in 90% of rows like the 800 validation rows it was made from" in told
    assert said in told
    assert told.endswith("Rows of another time or place may be missed more often.")


def test_what_was_tried_is_on_the_card(tmp_path: Path) -> None:
    told = section(model_card(sample_contents(tmp_path)), "Calibration")
    assert "Temperature scaling: logits are divided by one number, 1.200" in told
    assert "Tried on validation rows that the fit had not seen." in told
    assert "0.0200 (0.0040)" in told
    assert "not tried | fewer than 10 rows with: late" in told


def test_nothing_is_said_of_what_was_not_tried(tmp_path: Path) -> None:
    contents = sample_contents(tmp_path)
    evidence = replace(contents.evidence, calibration=Calibration(method="none", rows=70))
    told = section(model_card(replace(contents, evidence=evidence)), "Calibration")
    assert "Not calibrated: nothing helped beyond noise on 70 validation rows." in told
    assert "Tried" not in told


def test_a_calibration_of_an_earlier_release_is_still_read() -> None:
    old = {
        "method": "temperature", "temperature": 1.2, "rows": 100, "log_loss_before": 0.6,
        "log_loss_after": 0.58,
    }  # fmt: skip
    found = from_json(Calibration, old, where="evidence.json")
    assert (found.temperature, found.tried, found.interval) == (1.2, (), None)


def test_numbers_are_drawn_on_their_own_scale() -> None:
    bins = tuple(
        ReliabilityBin(rows=10, predicted=value, observed=value - 50.0)
        for value in (1000.0, 1500.0, 2000.0)
    )
    drawn = draw_reliability(bins, is_numeric=True)
    places = [float(text) for text in re.findall(r'c[xy]="([^"]+)"', drawn)]
    assert len(places) == 6
    assert all(40.0 <= place <= 340.0 for place in places)
    assert ">950<" in drawn
    assert ">2,000<" in drawn
    alone = draw_reliability(bins[:1], is_numeric=True) + draw_reliability((), is_numeric=True)
    assert "nan" not in alone


def test_probabilities_keep_the_whole_scale() -> None:
    drawn = draw_reliability((ReliabilityBin(rows=10, predicted=0.5, observed=0.25),), of=" of a")
    assert 'cx="190.0" cy="265.0"' in drawn
    assert "predicted probability of a<" in drawn
