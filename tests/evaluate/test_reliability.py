from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.evaluate.samples import binary, draw
from torchyard.evaluate.counting.bins import sum_per_bin
from torchyard.evaluate.counting.sample import Bools, Floats
from torchyard.evaluate.counting.tally import Tally, sheet
from torchyard.evaluate.metrics.reliability import reliability


def count(truth: Bools, probability: Floats) -> Tally:
    return sheet(binary(truth, probability)).whole()


def test_bins_hold_equal_shares_and_all_rows() -> None:
    truth, probability = draw(3000)
    bins = reliability(count(truth, probability))
    assert [one.rows for one in bins] == [200] * 15
    assert sum(one.rows * one.observed for one in bins) == pytest.approx(truth.sum())
    assert sum(one.rows * one.predicted for one in bins) == pytest.approx(probability.sum())
    assert [one.predicted for one in bins] == sorted(one.predicted for one in bins)


def test_bins_are_as_equal_as_rows_allow() -> None:
    truth, probability = draw(1000)
    rows = [one.rows for one in reliability(count(truth, probability))]
    assert sum(rows) == 1000
    assert max(rows) - min(rows) <= 1


def test_tied_rows_are_never_parted() -> None:
    truth = np.array([True, False] * 50)
    probability = np.array([0.5] * 90 + [0.9] * 10)
    bins = reliability(count(truth, probability))
    assert [(one.rows, round(one.predicted, 9), one.observed) for one in bins] == [
        (90, 0.5, 0.5),
        (10, 0.9, 0.5),
    ]


def test_sums_per_bin_are_those_of_slices() -> None:
    generator = np.random.default_rng(0)
    truth, probability = draw(100, decimals=1)
    edges = count(truth, probability).edges
    values = generator.random(edges[-1])
    assert (np.diff(edges) == 0).any()
    plain = [values[a:b].sum() for a, b in itertools.pairwise(edges)]
    assert sum_per_bin(values, edges) == pytest.approx(np.array(plain))


def test_no_rows_have_no_bins() -> None:
    assert reliability(count(np.array([], dtype=bool), np.array([]))) == ()
