"""Which champions a model can be compared with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torchyard.core.errors import Refused
from torchyard.records.schema import Task
from torchyard.yard.champion import check_comparable

PETS = Task(
    kind="multiclass_classification", label="pet",
    classes=tuple(f"pet {number}" for number in range(20)),
)  # fmt: skip
DELAY = Task(kind="regression", label="delay", classes=(), unit="minutes")


@pytest.mark.parametrize(
    ("champion", "ours", "found", "expected"),
    [
        (PETS, replace(PETS, kind="multilabel_classification"),
         "a champion for multiclass classification", "one for multilabel classification"),
        (PETS, DELAY, "a champion for multiclass classification", "one for regression"),
        (PETS, replace(PETS, classes=(*PETS.classes[:-1], "owl")),
         "a champion that answers with pet 0, pet 1", "one that answers with pet 0, pet 1"),
        (DELAY, replace(DELAY, unit="hours"), "a champion that answers in minutes",
         "one that answers in hours"),
        (replace(DELAY, unit=None), DELAY, "a champion that answers without a unit",
         "one that answers in minutes"),
    ],
)  # fmt: skip
def test_a_champion_that_answers_something_else_is_refused(
    champion: Task, ours: Task, found: str, expected: str
) -> None:
    with pytest.raises(Refused) as refused:
        check_comparable(champion, ours)
    assert refused.value.where == "gates against the champion"
    assert refused.value.found.startswith(found)
    assert refused.value.expected.startswith(expected)
    assert "take the gate out for one release" in refused.value.remedy


def test_another_threshold_or_coverage_is_no_other_task() -> None:
    check_comparable(PETS, replace(PETS, threshold=0.7))
    check_comparable(DELAY, replace(DELAY, coverage=0.8))
