from __future__ import annotations

from typing import Any

import pytest

import torchyard as ty
from tests.project.test_declare import declare
from torchyard.core.errors import BadProject

SCHEMA = ty.Schema(
    when=ty.timestamp(),
    sex=ty.category(["f", "m"], protected=True),
    race=ty.category(protected=True),
    age=ty.integer(protected=[18, 65]),
    origin=ty.category(),
    distance=ty.number(),
    pay=ty.number(personal=True),
    note=ty.text(),
)


def sliced(*slices: Any, **more: Any) -> ty.Project:
    features = ty.Features(numbers=ty.standardize("distance"))
    return declare(schema=SCHEMA, slices=list(slices), features=features, **more)


def test_slices_of_every_way_are_named() -> None:
    project = sliced(
        "origin",
        ty.slice("distance", edges=[500, 1000]),
        ty.slice("note", edges=[20]),
        ty.slice("when", by="hour"),
        ty.slice("near", lambda rows: rows["distance"] < 300),
        gates=[ty.gate("auroc", per_slice="when by hour", at_least=0.5)],
    )
    assert [one.name for one in project.sliced] == [
        "origin", "distance", "note", "when by hour", "near",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ty.slice("x"), "found 0 ways to part rows"),
        (lambda: ty.slice("x", edges=[1], by="hour"), "found 2 ways to part rows"),
        (lambda: ty.slice("", edges=[1]), "found no name"),
        (lambda: ty.slice("x", edges=[2, 1]), "expected rising numbers"),
        (lambda: ty.slice("x", edges=[1, float("nan")]), "expected rising numbers"),
        (lambda: ty.slice("x", by="year"), "expected some of"),  # type: ignore[arg-type]
        (lambda: ty.slice("x", 3), "expected a function of the rows"),  # type: ignore[arg-type]
        (lambda: sliced(ty.slice("origin", edges=[1])), "'origin', a category; expected a number"),
        (lambda: sliced(ty.slice("note", by="hour")), "'note', a text; expected a timestamp field"),
        (lambda: sliced(ty.slice("pay", edges=[1])), "found field 'pay', which is personal"),
        (lambda: sliced(ty.slice("pay", lambda rows: rows["pay"])), "with the name of a field"),
        (lambda: sliced(3), r"expected a list of texts and ty.slice\(...\)"),
        (lambda: sliced("origin", "origin"), "found 'origin' twice"),
        (lambda: ty.integer(protected=True), "expected rising numbers"),  # type: ignore[arg-type]
        (lambda: ty.number(protected=[5, 5]), "expected rising numbers"),
    ],
)
def test_what_is_no_slice_and_no_band_is_refused(make: Any, said: str) -> None:
    with pytest.raises(BadProject, match=said):
        make()


@pytest.mark.parametrize(
    ("group", "joined"),
    [
        ("age", "age"),
        (["age"], "age"),
        (["race", "sex"], "sex, race"),
        ("age, sex", "sex, age"),
        (["age", "race", "sex"], "sex, race, age"),
    ],
)
def test_a_gate_may_name_intersections_in_any_order(group: Any, joined: str) -> None:
    gate = ty.gate("equalized_odds_difference", group=group, at_most=0.1)
    assert sliced(gates=[gate]).gates[0].group == joined


@pytest.mark.parametrize(
    ("group", "said"),
    [
        (["sex", "sex"], "each once. Reports compare the intersections"),
        (["sex", "origin"], "'origin', which is not protected"),
        (["sex", "distance"], r"distance=ty.number\(protected=\[18, 65\]\)"),
        (["sex", "raze"], "Did you mean 'race'"),
    ],
)
def test_a_gate_on_groups_that_no_report_compares_is_refused(group: Any, said: str) -> None:
    gate = ty.gate("equalized_odds_difference", group=group, at_most=0.1)
    with pytest.raises(BadProject, match=said):
        sliced(gates=[gate])


def test_three_of_four_protected_fields_are_not_compared() -> None:
    fields = {name: ty.boolean(protected=True) for name in "abcd"}
    schema = ty.Schema(distance=ty.number(), when=ty.timestamp(), **fields)
    features = ty.Features(x=ty.standardize("distance"))
    gate = ty.gate("equalized_odds_difference", group=["a", "b", "c"], at_most=0.1)
    with pytest.raises(BadProject, match="one protected field, two, or all of them"):
        declare(schema=schema, slices=[], gates=[gate], features=features)


def test_a_personal_number_in_bands_may_be_protected() -> None:
    schema = ty.Schema(
        when=ty.timestamp(), distance=ty.number(), age=ty.integer(protected=[30], personal=True)
    )
    features = ty.Features(x=ty.standardize("distance"))
    assert declare(schema=schema, slices=[], features=features).schema.field("age").bands == (30.0,)
