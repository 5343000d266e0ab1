"""The one-standard-error rule, and folds that each look like the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.evaluate.calibrating.choosing import FOLDS, choose, folds

NOISE = np.random.default_rng(0).normal(size=400)


def test_the_best_wins_where_it_is_better_beyond_noise() -> None:
    name, (none, best) = choose({"none": 1.0 + 0.1 * NOISE, "vector": np.full(400, 0.5)})
    assert name == "vector"
    assert none.excess == pytest.approx(0.5 + 0.1 * NOISE.mean())
    assert none.error == pytest.approx(0.1 * NOISE.std(ddof=1) / 20)
    assert (best.loss, best.excess, best.error) == (0.5, 0.0, 0.0)


def test_the_simplest_wins_within_a_standard_error() -> None:
    centred = NOISE - NOISE.mean()
    error = centred.std(ddof=1) / 20
    for gain, expected in ((0.9 * error, "none"), (1.1 * error, "vector")):
        losses = {"none": np.ones(400), "vector": np.ones(400) - gain + centred}
        assert choose(losses)[0] == expected


def test_what_makes_rows_hard_for_all_cancels() -> None:
    hard = 5.0 * np.abs(NOISE)
    assert choose({"none": hard + 0.01, "temperature": hard})[0] == "temperature"


def test_equals_go_to_the_simplest_even_of_one_row() -> None:
    assert choose({"none": np.ones(1), "temperature": np.ones(1)})[0] == "none"


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.integers(0, 9))
def test_each_fold_has_its_share_of_each_stratum(strata: list[int], seed: int) -> None:
    given_strata = np.array(strata, dtype=np.intp)
    found = folds(given_strata, np.random.default_rng(seed))
    for one in (None, *set(strata)):
        inside = found if one is None else found[given_strata == one]
        counts = np.bincount(inside, minlength=FOLDS)
        assert counts.max() - counts.min() <= 1
