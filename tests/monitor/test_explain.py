"""Words about a change: the numbers that show it, and none that do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torchyard.monitor.explain import NO_CHANGE, explain
from torchyard.records.dataset import FieldProfile

NUMBER = FieldProfile(
    name="x",
    kind="number",
    rows=100,
    missing=0,
    unit="hPa",
    edges=(1000.0, 1010.0),
    quantiles=(990.0, 995, 1000, 1004, 1008, 1010, 1012, 1015, 1020),
    counts=(30, 30, 40),
)


def values(current: FieldProfile, reference: FieldProfile = NUMBER) -> str:
    text, cause = explain(reference, current, causes=("values",), unseen={})
    assert cause == "values"
    return text


def test_the_median_is_told_when_it_moved() -> None:
    moved = replace(NUMBER, quantiles=tuple(x + 12.34 for x in NUMBER.quantiles))
    assert values(moved) == "median 1,020 hPa, was 1,008 hPa"


def test_the_middle_is_told_when_the_median_stayed() -> None:
    wider = replace(NUMBER, quantiles=(900.5, 960, 980, 1000, 1008, 1012, 1020, 1040, 1100))
    assert values(wider) == "middle 80 % from 900 to 1,100 hPa, was 990 to 1,020 hPa"


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((60, 20, 20), "below 1,000 hPa in 60 % of present rows, was 30 %"),
        ((10, 80, 10), "1,000 hPa to 1,010 hPa in 80 % of present rows, was 30 %"),
        ((5, 4, 91), "1,010 hPa or more in 91 % of present rows, was 40 %"),
    ],
)
def test_a_bin_is_told_when_all_deciles_stayed(counts: tuple[int, ...], words: str) -> None:
    assert values(replace(NUMBER, counts=counts)) == words


def test_values_beyond_the_list_can_be_what_moved() -> None:
    known = FieldProfile(
        name="x", kind="category", rows=10, missing=0, values=("a",), counts=(8,), other=2
    )
    current = replace(known, counts=(1,), other=9)
    assert values(current, known) in (
        "'a' in 10 % of present rows, was 80 %",
        "other values in 90 % of present rows, was 20 %",
    )


def test_several_causes_are_told_the_first_to_look_into_first() -> None:
    known = FieldProfile(
        name="x", kind="category", rows=100, missing=2, values=("a", "b"), counts=(49, 49)
    )
    current = replace(known, missing=31, counts=(10, 20), other=39)
    text, cause = explain(
        known,
        current,
        causes=("values", "missing", "unseen"),
        unseen={"y" * 60: 12, "XX": 12, "ZZ": 15},
    )
    assert cause == "missing"
    assert text == (
        "missing in 31 % of rows, was 2 %; new value 'ZZ' in 15 % of rows and 2 more; "
        "other values in 57 % of present rows, was 0 %"
    )


def test_a_long_value_is_cut() -> None:
    known = FieldProfile(name="x", kind="category", rows=9, missing=0, values=("a",), counts=(9,))
    text, _ = explain(
        known, replace(known, counts=(0,), other=9), causes=("unseen",), unseen={"y" * 60: 9}
    )
    assert text == f"new value '{'y' * 40}...' in 100 % of rows"


def test_no_cause_no_words() -> None:
    assert explain(NUMBER, NUMBER, causes=(), unseen={}) == (NO_CHANGE, None)
