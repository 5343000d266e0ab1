"""Number transforms make what their words say, alone and inside one another."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchyard as ty
from tests.features.fitted import Fitted
from torchyard.core.errors import BadData
from torchyard.features import fit_graph
from torchyard.features.numeric import _pieces

SCHEMA = ty.Schema(a=ty.number(), b=ty.number(optional=True))
ROWS = pl.DataFrame({"a": [1.0, 2.0, 3.0, 10.0], "b": [0.0, None, 4.0, 8.0]})


def fitted(transform: Any, rows: pl.DataFrame = ROWS) -> Fitted:
    return Fitted(SCHEMA, transform, rows)


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_numbers_stay_and_gaps_are_zero_and_flagged() -> None:
    close(fitted(ty.numbers("a", "b")).made, [[1, 0, 0], [2, 0, 1], [3, 4, 0], [10, 8, 0]])


def test_standardize_has_mean_0_and_deviation_1() -> None:
    made = fitted(ty.standardize("a", "b")).made
    spread = math.sqrt(32 / 3)
    close(made[:, 1], [-4 / spread, 0, 0, 4 / spread])
    close(made[:, 0].mean(), 0)
    close(made[:, 0].std(), 1)
    close(made[:, 2], [0, 1, 0, 0])


def test_a_constant_becomes_zero_even_one_that_has_no_exact_double() -> None:
    rows = pl.DataFrame({"a": [0.1] * 100_000, "b": [0.1] * 100_000})
    for transform in (ty.standardize("a", "b"), ty.robust_scale("a", "b")):
        assert not fitted(transform, rows).made.any()


@pytest.mark.parametrize("scale", [1e-300, 1 + 1e-9])
def test_what_the_runtime_drops_as_nothing_is_nothing(scale: float) -> None:
    """ONNX Runtime takes the 1e-300 that is subtracted for 0, and the divisor 1 + 1e-9 for 1."""
    rows = pl.DataFrame({"a": [1 - scale, 1 + scale] if scale > 1 else [scale] * 2})
    scaling = ty.standardize(ty.numbers("a"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.onnx"
        fit_graph(ty.Features(x=scaling), ty.Schema(a=ty.number()), lambda: [rows], path=path)
        levels = onnxruntime.GraphOptimizationLevel
        made = []
        for level in (levels.ORT_DISABLE_ALL, levels.ORT_ENABLE_ALL):
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = level
            session = onnxruntime.InferenceSession(str(path), options)
            made.append(session.run(None, {"a": np.linspace(0, 1, 2000).reshape(-1, 1)})[0])
    assert made[0].tobytes() == made[1].tobytes()


def test_robust_scale_uses_median_and_quartiles() -> None:
    made = fitted(ty.robust_scale("a", "b")).made
    close(made[:, 0], (np.array([1, 2, 3, 10]) - 2.5) / (4.75 - 1.75))
    close(made[:, 1], [-1, 0, 0, 1])


def test_quantile_is_the_share_below() -> None:
    transform = fitted(ty.quantile("a", "b", points=4))
    close(transform.made[:, 0], [0, 1 / 3, 2 / 3, 1])
    close(transform({"a": [-99.0, 2.5, 6.5, 99.0], "b": [None, 4.0, 2.0, 1e308]}),
          [[0, 0.5, 1], [0.5, 0.5, 0], [5 / 6, 0.25, 0], [1, 1, 0]])  # fmt: skip


def test_a_value_that_many_rows_share_has_the_middle_of_their_shares() -> None:
    rows = pl.DataFrame({"a": [0.0] * 60 + [float(n) for n in range(1, 41)], "b": [1.0] * 100})
    transform = fitted(ty.quantile("a", "b", points=101), rows)
    made = transform({"a": [0.0, -1e-9, 1e-9, 40.0], "b": [1.0, 0.0, 2.0, 1.0]})
    close(made[:, 0], [0.295, 0, 0.59, 1])
    close(made[:, 1], [0.5, 0, 1, 0.5])


@given(st.lists(st.sampled_from([-1e140, -2.0, -0.0, 0.0, 5e-324, 1e-300, 1.0, 1e140]) | st.floats(
    -1e9, 1e9), min_size=1, max_size=30))  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_the_pieces_of_a_quantile_curve_rise_from_0_to_1(values: list[float]) -> None:
    shares = np.linspace(0, 1, 11)
    left, base, slope = _pieces(np.quantile(values, shares), shares)
    assert (np.diff(left) > 0).all()
    assert (np.diff(base) >= 0).all()
    assert (slope >= 0).all()
    assert np.isfinite(slope).all()
    assert 0 <= base[0] <= base[-1] == 1
    ends = base[:-1] + slope[:-1] * np.diff(left)
    assert (ends <= base[1:] + 1e-9).all()


def test_log_keeps_the_sign_and_the_digits_of_small_numbers() -> None:
    transform = fitted(ty.log("a"))
    values = [0.0, 1.0, -1.0, 1e-12, -1e-9, 2e-9, 1e308, -1e308, 5e-324]
    made = transform(pl.DataFrame({"a": values, "b": [0.0] * len(values)}))
    close(made[:, 0], np.sign(values) * np.log1p(np.abs(values)))
    np.testing.assert_allclose(made[3:6, 0], [1e-12, -1e-9, 2e-9], rtol=1e-6)


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (ty.clip("a", low=2), [2, 2, 3, 10]),
        (ty.clip("a", high=3), [1, 2, 3, 3]),
        (ty.clip("a", low_share=0.5, high=4.0), [2.5, 2.5, 3, 4]),
        (ty.clip("a", high_share=0.5), [1, 2, 2.5, 2.5]),
    ],
)
def test_clip_holds_between_bounds(transform: Any, expected: list[float]) -> None:
    close(fitted(transform).made[:, 0], expected)


@pytest.mark.parametrize(("value", "filled"), [("median", 4), ("mean", 4), (7.5, 7.5)])
def test_impute_fills_gaps_and_flags_them(value: Any, filled: float) -> None:
    close(fitted(ty.impute("a", "b", value=value)).made,
          [[1, 0, 0], [2, filled, 1], [3, 4, 0], [10, 8, 0]])  # fmt: skip
    close(fitted(ty.impute("b", value=value, flag=False)).made, [[0], [filled], [4], [8]])


def test_an_outer_transform_learns_from_what_the_inner_one_makes() -> None:
    inner = np.log1p([1, 2, 3, 10])
    close(fitted(ty.standardize(ty.log("a"))).made[:, 0], (inner - inner.mean()) / inner.std())
    filled = np.array([0, 4, 4, 8.0])
    close(
        fitted(ty.standardize(ty.impute("b"), "a")).made[:, [0, 2]],
        np.stack([(filled - 4) / filled.std(), [0, 1, 0, 0]], axis=1),
    )


def test_a_gap_goes_through_every_level_and_is_flagged_once() -> None:
    made = fitted(ty.quantile(ty.clip(ty.log("b"), low=1), points=2)).made
    assert made.shape == (4, 2)
    close(made[1], [0.5, 1])


def test_the_largest_doubles_stay_finite() -> None:
    rows = pl.DataFrame({"a": [1e308, -1e308, 5e-324, 1.0], "b": [1e308, None, 1.0, 1.0]})
    for word in (ty.numbers, ty.standardize, ty.robust_scale, ty.quantile, ty.log, ty.impute):
        assert np.isfinite(fitted(word("a", "b"), rows).made).all(), word
        assert np.isfinite(fitted(ty.standardize(word("a", "b")), rows).made).all(), word


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        (ty.standardize("a", "b"), r"x = standardize\('a', 'b'\)"),
        (ty.quantile(ty.log("b")), r"x = quantile\(log\('b'\)\)"),
        (ty.impute("b"), r"x = impute\('b'\).*no value in the training split"),
    ],
)
def test_nothing_to_learn_from_is_refused(transform: Any, said: str) -> None:
    rows = ROWS.with_columns(b=pl.lit(None, pl.Float64))
    with pytest.raises(BadData, match=said):
        fitted(transform, rows)
