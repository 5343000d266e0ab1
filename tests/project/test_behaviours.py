"""Behaviours are declared in one line each; what could not be tried is refused at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import torchyard as ty
from torchyard.core.errors import BadProject
from torchyard.project.behaviour_checks import (
    as_behaviours,
    check_behaviour_gates,
    check_behaviours,
)
from torchyard.records.schema import Schema, Task

SCHEMA = ty.Schema(
    speed=ty.number(unit="mph"),
    mass=ty.number(unit="stone"),
    seats=ty.integer(optional=True),
    carrier=ty.category(["UA", "B6"]),
    remark=ty.text(),
    photo=ty.image(),
    arrived=ty.number(later=True, optional=True),
)
BINARY = ty.binary_classification("late")
MANY = ty.multiclass_classification("kind", classes=["a", "b", "c"])
NUMBER = ty.regression("minutes", unit="min")


@pytest.mark.parametrize(
    ("declared", "name", "says"),
    [
        (ty.invariant("speed", change=+0.1), "invariant speed +0.1",
         "When speed changes by +0.1, the answer moves by at most 0.1 and the decision stays."),
        (ty.directional("speed", change=-500, expect="any"), "directional speed -500 any",
         "When speed changes by -500, the answer moves."),
        (ty.invariant("remark", typos=1), "invariant remark typos 1",
         "When 1 pair of neighbouring letters of remark change places, the answer moves by at "
         "most 0.1 and the decision stays."),
        (ty.invariant("carrier", swap=["UA", "B6"]), "invariant carrier swap UA, B6", None),
        (ty.invariant("photo", rotate=10), "invariant photo rotate 10", None),
        (ty.robust("photo", corruption="contrast", severity=2), "robust photo contrast 2",
         "When photo is corrupted: contrast, severity 2, the decision stays."),
        (ty.robust(missing="seats"), "robust missing seats", None),
        (ty.robust(unit="speed", sent_in="m/s"), "robust unit speed in m/s",
         "When speed is sent in m/s, the decision stays."),
        (ty.robust("speed", factor=2), "robust speed x2", None),
        (ty.adversarial("speed", "seats", within=[2, 1]), "adversarial speed 2 seats 1", None),
        (ty.minimum(where=lambda rows: rows["speed"] > 1, expect="late"), "minimum late",
         "Each row of a condition is answered with 'late'."),
        (ty.invariant("speed", change=1, name="gust"), "gust", None),
    ],
)  # fmt: skip
def test_names_and_sentences(declared: Any, name: str, says: str | None) -> None:
    assert declared.behaviour.name == name
    assert says is None or declared.behaviour.says == says
    check_behaviours([declared], SCHEMA, BINARY)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (lambda: ty.invariant("speed"), "found nothing that is changed; expected one of change=, "),
        (lambda: ty.invariant("speed", change=1, factor=2), "found change= and factor="),
        (lambda: ty.invariant("speed", change=0), "expected something that changes the field"),
        (lambda: ty.invariant("speed", change=float("nan")), "expected a finite number"),
        (lambda: ty.invariant("speed", change=1, tolerance=-1), "found tolerance=-1"),
        (lambda: ty.invariant("speed", change=1, rows=0), "found rows=0; expected at least 1"),
        (lambda: ty.invariant("carrier", swap=["UA"]), "expected two or more different texts"),
        (lambda: ty.invariant("remark", typos=0), "found typos=0"),
        (lambda: ty.invariant("photo", jpeg=99), "found jpeg=99; expected at most 95"),
        (lambda: ty.invariant("photo", blur=-1), "expected a number from 0 to 100, not 0"),
        (lambda: ty.directional("speed", change=1, expect="upp"), "Did you mean 'up'?"),  # type: ignore[arg-type]
        (lambda: ty.robust("speed", missing="seats"), "found missing= beside 'speed'"),
        (lambda: ty.robust(factor=2), "found factor= without a field"),
        (lambda: ty.robust(missing="seats", sent_in="m/s"), "sent_in='m/s' without unit="),
        (lambda: ty.robust("photo", corruption="contrst"), "Did you mean 'contrast'?"),
        (lambda: ty.robust("photo", corruption="contrast", severity=6), "found severity=6"),
        (lambda: ty.adversarial(within=1), "for 0 fields"),
        (lambda: ty.adversarial("speed", within=[1, 2]), "for 1 fields"),
        (lambda: ty.adversarial("speed", within=0), "a bound above 0"),
        (lambda: ty.adversarial("speed", within=1, steps=0), "found steps=0"),
        (lambda: ty.minimum(expect="late"), "found neither rows= nor where="),
        (
            lambda: ty.minimum(rows=[{}], where=lambda rows: rows["speed"] > 1, expect="late"),
            "found rows= and where=",
        ),
        (lambda: ty.minimum(rows=[{}]), "found nothing that must hold"),
        (lambda: ty.minimum(rows="speed", expect="late"), "expected a list of one row or more"),  # type: ignore[arg-type]
        (lambda: ty.behaviour(lambda rows: rows), "expected a function of rows and answer"),  # type: ignore[arg-type, misc]
        (lambda: ty.behaviour(lambda rows, answer: rows["speed"]), "found no docstring"),
    ],
)
def test_words_that_are_refused(word: Callable[[], Any], message: str) -> None:
    with pytest.raises(BadProject) as refused:
        word()
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("declared", "task", "message"),
    [
        (ty.invariant("sped", change=1), BINARY, "Did you mean 'speed'?"),
        (ty.invariant("carrier", change=1), BINARY, "a category; expected a number or integer"),
        (ty.invariant("speed", typos=1), BINARY, "expected a text field"),
        (ty.invariant("arrived", change=1), BINARY, "declared later=True"),
        (ty.invariant("seats", change=0.5), BINARY, "change=0.5 of 'seats', an integer"),
        (ty.invariant("carrier", swap=["UA", "B7"]), BINARY, "Known: B6, UA."),
        (ty.robust(missing="speed"), BINARY, "which every request must carry"),
        (ty.robust(unit="mass"), BINARY, "found unit='stone' of 'mass'"),
        (ty.robust(unit="speed", sent_in="m"), BINARY, "expected another unit"),
        (ty.robust("speed", factor=2, tolerance=1), BINARY, "a decision is turned or not"),
        (ty.directional("speed", change=1, expect="up"), MANY, "found of=None; expected one of"),
        (ty.directional("speed", change=1, expect="up", of="d"), MANY, "found of='d'"),
        (ty.minimum(rows=[{"speed": 1.0}], expect="lat"), BINARY, "found expect='lat'"),
        (ty.minimum(rows=[{"sped": 1.0}], expect="late"), BINARY, "Did you mean 'speed'?"),
        (ty.minimum(rows=[{"speed": 1.0}], expect="late"), BINARY, "found no mass, carrier"),
        (ty.invariant("speed", change=1), NUMBER, "found no tolerance; expected one, in min"),
        (ty.directional("speed", change=1, expect="up", of="a"), NUMBER, "has no classes"),
    ],
)
def test_behaviours_that_fit_neither_schema_nor_task(
    declared: Any, task: Task, message: str
) -> None:
    with pytest.raises(BadProject) as refused:
        check_behaviours([declared], SCHEMA, task)
    assert message in str(refused.value)


def test_no_optional_field_can_be_missing() -> None:
    schema = Schema(fields=(SCHEMA.field("speed"),))
    with pytest.raises(BadProject, match="found no optional field"):
        check_behaviours([ty.robust(missing="every optional field")], schema, BINARY)


def test_names_are_unique_and_gates_know_them() -> None:
    one = ty.invariant("speed", change=1)
    with pytest.raises(BadProject, match=r"two behaviours of one name.*Give one of them name="):
        check_behaviours([one, one], SCHEMA, BINARY)
    gate = ty.gate("failure_rate", behaviour="invariant sped +1", at_most=0.1)
    with pytest.raises(BadProject, match=r"Did you mean 'invariant speed \+1'"):
        check_behaviour_gates([gate], [one])
    with pytest.raises(BadProject, match="Declare it there"):
        check_behaviour_gates([gate], [])


@pytest.mark.parametrize("given", [ty.invariant("speed", change=1), [len], "speed"])
def test_something_else_is_no_list_of_behaviours(given: object) -> None:
    with pytest.raises(BadProject, match=r"expected a list of ty.invariant"):
        as_behaviours(given)
