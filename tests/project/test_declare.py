from __future__ import annotations

from typing import Any

import pytest

import torchyard as ty
from torchyard.core.errors import BadProject


def declare(**changes: Any) -> ty.Project:
    given: dict[str, Any] = {
        "name": "demo",
        "task": ty.binary_classification("late"),
        "data": "rows.csv",
        "schema": ty.Schema(
            when=ty.timestamp(),
            origin=ty.category(["A", "B"], protected=True),
            carrier=ty.category(),
            distance=ty.number(unit="miles", ge=0),
        ),
        "split": ty.split_by_time("when", validation="2024-02-01", test="2024-03-01"),
        "features": ty.Features(numbers=ty.standardize("distance"), origin=ty.lookup("origin")),
        "model": lambda features: None,
        "slices": ["carrier"],
    }
    return ty.Project(**{**given, **changes})


def test_a_good_declaration_is_kept_as_written() -> None:
    project = declare(gates=[ty.gate("auroc", at_least=0.7)])
    assert project.task.classes == ("not late", "late")
    assert [transform.output for transform in project.features] == ["numbers", "origin"]
    assert project.schema.field("distance").unit == "miles"
    assert project.gates[0].at_least == 0.7


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "Demo model"}, "project name: found 'Demo model'"),
        ({"task": ty.binary_classification("origin")}, "the label 'origin' among the fields"),
        ({"features": ty.Features()}, "no features"),
        (
            {"features": ty.Features(x=ty.standardize("distanse"))},
            "found field 'distanse'.*Did you mean 'distance'",
        ),
        ({"features": ty.Features(x=ty.standardize("origin"))}, "'origin', a category; expected a"),
        ({"features": ty.Features(x=ty.cyclic_time("distance", "hour"))}, "a timestamp field"),
        (
            {"split": ty.split_by_time("origin", validation="2024-01-01", test="2024-02-01")},
            "split by time: found field 'origin', a category; .* Name another field here",
        ),
        ({"slices": ["distance"]}, "slices"),
        (
            {"gates": [ty.gate("equalized_odds_difference", group="carrier", at_most=0.1)]},
            r"'carrier', which is not protected.*carrier=ty.category\(protected=True\)",
        ),
        (
            {"gates": [ty.gate("auroc", per_slice="origin", at_least=0.5)]},
            r"which is not a slice field.*slices=\['origin'\]",
        ),
    ],
)
def test_a_wrong_declaration_says_what_and_where(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadProject, match=said):
        declare(**changes)


def test_a_field_of_another_kind_is_called_as_one_speaks() -> None:
    schema = ty.Schema(when=ty.timestamp(), who=ty.id(), distance=ty.number())
    with pytest.raises(BadProject, match="'who', an id; expected a number or integer or boolean"):
        declare(schema=schema, slices=[], features=ty.Features(x=ty.standardize("who")))
    with pytest.raises(BadProject, match="'distance', a number; expected an image field"):
        declare(
            schema=schema, slices=[], features=ty.Features(x=ty.pixels("distance", size=(2, 2)))
        )


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: ty.number(ge=2, le=1), "ge=2 above le=1"),
        (lambda: ty.category(["a", "a"]), "different, non-empty texts"),
        (lambda: ty.category(["a", ""]), "different, non-empty texts"),
        (ty.Schema, "no fields"),
        (lambda: ty.binary_classification("x", threshold=1.0), "threshold=1.0"),
        (lambda: ty.binary_classification("x", classes=("a", "a")), "two different names"),
        (
            lambda: ty.split_by_time("t", validation="2024-02-01", test="2024-01-01"),
            "in that|valid",
        ),
        (lambda: ty.split_by_time("t", validation="soon", test="later"), "two ISO times"),
        (
            lambda: ty.split_by_time("t", validation="2024-01-01T00:00Z", test="2024-02-01"),
            "without an offset",
        ),
        (lambda: ty.split_by_hash(validation=0.6, test=0.5), "add up to less than 1"),
        (lambda: ty.cyclic_time("t"), "some of"),
        (lambda: ty.gate("auroc"), "0 limits"),
        (lambda: ty.gate("auroc", at_least=0.5, at_most=0.6), "2 limits"),
        (lambda: ty.gate("auroc", at_least=0.5, against="champion"), "against='champion'"),
    ],
)
def test_a_wrong_word_is_refused_where_it_is_said(call: Any, said: str) -> None:
    with pytest.raises(BadProject, match=said):
        call()
