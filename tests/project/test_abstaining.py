"""The word for when a model is not to answer, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

import torchyard as ty
from torchyard.core.errors import BadProject
from torchyard.project.abstaining import Abstain, check_abstain
from torchyard.records.abstaining import AbstainRule
from torchyard.records.schema import Schema, Task
from torchyard.records.verdicts import Gate

SCHEMA: Schema = ty.Schema(
    distance=ty.number(),
    carrier=ty.category(),
    seat=ty.category(personal=True),
    photo=ty.image(),
    gate=ty.category(later=True),
)
LATE = ty.binary_classification("late", threshold=0.3)
PET = ty.multiclass_classification("pet", classes=["cat", "dog", "owl", "emu"])
ABOUT = ty.multilabel_classification("about", classes=["a", "b"])
DELAY = ty.regression("delay", unit="minutes")
COVERAGE = ty.gate("coverage", at_least=0.9)


def test_a_rule_says_what_was_given() -> None:
    assert Abstain(below=0.7) == AbstainRule(below=0.7)
    assert Abstain(wider_than=60).wider_than == 60
    assert Abstain(outside_training=True).outside_training is True
    assert Abstain(outside_training=["distance", "carrier"]).outside_training == (
        "distance",
        "carrier",
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "found no condition"),
        ({"outside_training": []}, "found no condition"),
        ({"below": 0.0}, "a probability between 0 and 1"),
        ({"below": 1.0}, "a probability between 0 and 1"),
        ({"below": "0.7"}, "a finite number"),
        ({"below": float("nan")}, "a finite number"),
        ({"wider_than": 0.0}, "a width above 0"),
        ({"outside_training": "distance"}, "a list of texts"),
        ({"outside_training": 1}, "a list of texts"),
    ],
)
def test_a_rule_without_sense_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadProject, match=said):
        Abstain(**given)


@pytest.mark.parametrize(
    ("rule", "task", "said"),
    [
        ("no", LATE, r"expected ty\.Abstain\(\.\.\.\), or nothing"),
        (Abstain(below=0.3), LATE, "below=0.3, which no answer's probability ever is; expected ab"),
        (Abstain(below=0.25), PET, "expected above 0.25"),
        (Abstain(below=0.7), DELAY, "expected wider_than=, as a number has no probability"),
        (Abstain(below=0.7), ABOUT, "as each label has its own probability"),
        (Abstain(wider_than=9), LATE, "expected below=, as classes have no interval"),
        (Abstain(outside_training=["dist"]), LATE, "found field 'dist'"),
        (Abstain(outside_training=["photo"]), LATE, "found field 'photo', an image"),
        (Abstain(outside_training=["gate"]), LATE, "found field 'gate'"),
        (Abstain(outside_training=["seat"]), LATE, "found field 'seat', which is personal"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(rule: object, task: Task, said: str) -> None:
    with pytest.raises(BadProject, match=said):
        check_abstain(rule, SCHEMA, task, ())


def test_a_rule_that_fits_is_taken() -> None:
    check_abstain(None, SCHEMA, LATE, [ty.gate("auroc", at_least=0.7)])
    check_abstain(Abstain(below=0.31), SCHEMA, LATE, [COVERAGE])
    check_abstain(Abstain(below=0.26, outside_training=["carrier"]), SCHEMA, PET, ())
    check_abstain(Abstain(wider_than=5, outside_training=True), SCHEMA, DELAY, ())
    chosen = ty.binary_classification(
        "late", threshold=ty.cheapest(false_positive=1, false_negative=9)
    )
    check_abstain(Abstain(below=0.1), SCHEMA, chosen, ())  # its threshold is not known yet


@pytest.mark.parametrize("gate", [COVERAGE, ty.gate("selective_accuracy", at_least=0.8)])
def test_a_gate_on_abstaining_needs_a_rule(gate: Gate) -> None:
    with pytest.raises(BadProject, match=r"found a model that answers every row"):
        check_abstain(None, SCHEMA, LATE, [gate])


def test_a_number_may_have_a_domain() -> None:
    task = ty.regression("delay", unit="minutes", ge=0, le=600)
    assert (task.ge, task.le) == (0, 600)
    assert ty.regression("delay").ge is None
    with pytest.raises(BadProject, match="found ge=9, le=3; expected ge at most le"):
        ty.regression("delay", ge=9, le=3)
    with pytest.raises(BadProject, match="a finite number"):
        ty.regression("delay", ge=float("inf"))
