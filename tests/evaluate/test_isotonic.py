"""Isotonic curves: those of scikit-learn, in few points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from torchyard.evaluate.calibrating.isotonic import fit_isotonic, pieces, read_curve
from torchyard.records.calibration import Curve


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_it_is_that_of_scikit_learn(decimals: int) -> None:
    generator = np.random.default_rng(decimals)
    x = generator.normal(0.0, 2.0, size=400).round(decimals)
    y = (generator.random(400) < expit(x)).astype(np.float64)
    least = 1.0 / 402
    theirs = IsotonicRegression(y_min=least, y_max=1.0 - least, out_of_bounds="clip").fit(x, y)
    ours = fit_isotonic(x, y, blocks=400)
    everywhere = np.concatenate([np.linspace(-9.0, 9.0, 501), x])
    assert read_curve(ours, everywhere) == pytest.approx(theirs.predict(everywhere), abs=1e-12)


def test_few_points_cost_little() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(0.0, 2.0, size=50_000)
    y = (generator.random(50_000) < expit(x)).astype(np.float64)
    whole, few = fit_isotonic(x, y, blocks=50_000), fit_isotonic(x, y, blocks=32)
    assert len(whole.x) > 100
    assert len(few.x) <= 64
    assert np.abs(read_curve(few, x) - read_curve(whole, x)).mean() < 0.005
    assert np.abs(read_curve(few, x) - expit(x)).mean() < 0.02


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(-9, 9), st.booleans()), min_size=1, max_size=60),
    st.integers(1, 8),
)
def test_a_curve_rises_and_stays_off_certainty(rows: list[tuple[int, bool]], blocks: int) -> None:
    x, y = (np.array(values, dtype=np.float64) for values in zip(*rows, strict=True))
    curve = fit_isotonic(x, y, blocks=blocks)
    assert (np.diff(curve.x) > 0).all()
    assert (np.diff(curve.y) >= 0).all()
    assert len(curve.x) <= 2 * blocks
    least = 1.0 / (x.size + 2)
    assert min(curve.y) >= least
    assert max(curve.y) <= 1.0 - least


def test_a_curve_of_one_point_is_flat() -> None:
    curve = fit_isotonic(np.zeros(8), np.array([1.0, 0.0] * 4), blocks=32)
    assert curve == Curve(x=(0.0,), y=(0.5,))
    assert read_curve(curve, np.array([-1e4, 0.0, 1e4])).tolist() == [0.5, 0.5, 0.5]


def test_a_curve_is_read_as_it_is_drawn() -> None:
    curve = Curve(x=(-1.0, 0.0, 4.0), y=(0.2, 0.2, 0.8))
    x = np.array([-1e4, -1.0, -0.5, 0.0, 1.0, 4.0, 1e4])
    assert read_curve(curve, x) == pytest.approx(np.interp(x, curve.x, curve.y))
    assert pieces(curve)[2].tolist() == pytest.approx([0.0, 0.15, 0.0])
