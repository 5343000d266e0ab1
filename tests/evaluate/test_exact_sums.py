"""Sums without rounding, against those of fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.core.errors import BadData
from torchyard.evaluate.counting import exact_sums
from torchyard.evaluate.counting.exact_sums import (
    as_float,
    check_size,
    exact_squares,
    exact_sum,
    spread,
)

NUMBERS = st.lists(
    st.floats(-1e38, 1e38, allow_subnormal=True) | st.sampled_from([0.0, 5e-324, -1e38, 0.1]),
    max_size=40,
)
# Of which the part of a square that rounding takes is no smaller than the smallest float.
ORDINARY = st.lists(st.floats(1e-100, 1e38) | st.floats(-1e38, -1e-100) | st.just(0.0), max_size=40)


@settings(deadline=None, max_examples=80)
@given(NUMBERS, st.integers(0, 40))
def test_a_sum_is_that_of_fractions_however_it_is_cut(numbers: list[float], cut: int) -> None:
    column = np.array(numbers, np.float64)
    total = exact_sum(column[:cut]) + exact_sum(column[cut:])
    assert total == exact_sum(column[::-1].copy())
    assert Fraction(total, 1 << 1126) == sum(map(Fraction, numbers), Fraction(0))
    assert as_float(total) == math.fsum(numbers)


@settings(deadline=None, max_examples=80)
@given(ORDINARY)
def test_squares_are_those_of_fractions(numbers: list[float]) -> None:
    expected = sum((Fraction(one) ** 2 for one in numbers), Fraction(0))
    assert Fraction(exact_squares(np.array(numbers, np.float64)), 1 << 1126) == expected


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.floats(-1e12, 1e12))
def test_spread_is_that_of_fractions(numbers: list[float], about: float) -> None:
    column = np.array(numbers) + about
    found = spread(squares=exact_squares(column), total=exact_sum(column), rows=column.size)
    exactly = [Fraction(one) for one in column.tolist()]
    mean = sum(exactly, Fraction(0)) / len(exactly)
    expected = float(sum(((one - mean) ** 2 for one in exactly), Fraction(0)))
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-200)


def test_no_rows_have_no_spread() -> None:
    assert spread(squares=0, total=0, rows=0) == 0.0


def test_long_columns_are_added_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    column = np.random.default_rng(0).normal(size=1000)
    whole = exact_sum(column)
    monkeypatch.setattr(exact_sums, "_STEP", 7)
    assert exact_sum(column) == whole


def test_what_has_no_square_is_refused() -> None:
    check_size(np.array([1e38, -1e38]), where="labels")
    with pytest.raises(BadData) as refused:
        check_size(np.array([0.0, -2e38, 3e38]), where="labels")
    assert str(refused.value).startswith(
        "labels: found 2 beyond 1e38, for example -2e+38; expected numbers whose squares"
    )
