"""The words for gates, waivers and operating points: what they keep, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import torchyard as ty
from tests.project.test_declare import declare
from torchyard.core.errors import BadProject

WORDS: Any = ty
WHO = {"by": "Ada", "reason": "few rows yet", "until": "2027-01-31"}


def test_a_waiver_is_kept_as_written() -> None:
    waived = ty.gate("auroc", at_least=0.7, waiver=ty.waiver(**WHO)).waiver
    assert waived is not None
    assert (waived.by, waived.reason, waived.until) == ("Ada", "few rows yet", "2027-01-31")


def test_a_threshold_may_be_a_rule() -> None:
    cheap = ty.binary_classification("y", threshold=ty.cheapest(false_positive=1, false_negative=5))
    assert (cheap.threshold, cheap.operating) == (
        0.5, ty.cheapest(false_positive=1, false_negative=5),
    )  # fmt: skip
    assert ty.binary_classification("y", threshold=0.3).operating is None


@pytest.mark.parametrize("missing", ["by", "reason"])
@pytest.mark.parametrize("value", ["", "  ", None, 3])
def test_a_waiver_without_a_name_or_a_reason_is_refused(missing: str, value: object) -> None:
    with pytest.raises(BadProject) as refused:
        WORDS.waiver(**{**WHO, missing: value})
    assert f"ty.waiver(...): found {missing}={value!r}" in str(refused.value)


@pytest.mark.parametrize("until", ["", "soon", "2027-02-30", "20270131", "2027-01-31T10:00", None])
def test_a_waiver_without_a_day_is_refused(until: object) -> None:
    with pytest.raises(BadProject) as refused:
        WORDS.waiver(**{**WHO, "until": until})
    assert f"found until={until!r}; expected the last day on which it holds, like" in str(
        refused.value
    )


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            lambda: ty.gate("auroc", at_least=0.7, required=False, waiver=ty.waiver(**WHO)),
            "found a waiver of a gate that is not required",
        ),
        (lambda: ty.gate("auroc", against="trees", at_least=0.7), "found against='trees'"),
        (lambda: WORDS.gate("findings", severity="bad", at_most=1), "severity: found 'bad'"),
        (lambda: WORDS.gate("auroc", at_least=0.7, waiver="Ada"), "waiver: found"),
        (lambda: ty.cheapest(false_positive=0, false_negative=5), "two costs above 0"),
        (lambda: WORDS.cheapest(false_positive="1", false_negative=5), "a finite number"),
        (lambda: ty.best("recall", subject_to="recall", at_least=0.8), "the metric itself"),
        (lambda: ty.best("precision", subject_to="recall", at_least=1.5), "found at_least=1.5"),
        (lambda: WORDS.best(3, subject_to="recall", at_least=0.5), "metric: found 3"),
        (lambda: ty.binary_classification("y", threshold=1.0), r"ty.cheapest\(...\) or ty.best"),
        (lambda: WORDS.binary_classification("y", threshold="0.3"), "a finite number"),
    ],
)
def test_what_makes_no_sense_is_refused(word: Callable[[], object], said: str) -> None:
    with pytest.raises(BadProject, match=said):
        word()


def test_the_last_value_needs_a_split_by_time() -> None:
    gates = [ty.gate("auroc", against="last_value", drop_at_most=0.0)]
    assert declare(gates=gates).gates[0].against == "last_value"
    with pytest.raises(BadProject) as refused:
        declare(gates=gates, split=ty.split_by_hash())
    assert str(refused.value) == (
        "gate auroc, against='last_value': found rows that are not split by time; expected "
        "ty.split_by_time(...), which makes a last period. Compare with 'trees', 'linear' or "
        "'majority'."
    )
