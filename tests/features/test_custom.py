"""Modules of ``ty.custom``: part of the graph, or refused with what to do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import torchyard as ty
from tests.features.fitted import Fitted
from torchyard.core.errors import BadModel
from torchyard.features import fit_graph

SCHEMA = ty.Schema(a=ty.number(), b=ty.number(optional=True))
DRAW = np.random.default_rng(0)
ROWS = pl.DataFrame({"a": DRAW.normal(size=300), "b": [None, *DRAW.normal(size=299)]})


class Applied(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], object], width: int = 3) -> None:
        super().__init__()
        self.function = function
        self.scale = nn.Parameter(torch.arange(width) + 0.5)

    def forward(self, values: torch.Tensor) -> object:
        return self.function(values * self.scale)


def test_a_module_s_weights_travel_in_the_graph() -> None:
    custom = Fitted(SCHEMA, ty.custom(Applied(torch.relu), "a", "b"), ROWS)
    given = np.stack([ROWS["a"], ROWS["b"].fill_null(0), ROWS["b"].is_null()], axis=1)
    expected = np.maximum(given.astype(np.float32) * np.array([0.5, 1.5, 2.5], np.float32), 0)
    np.testing.assert_array_equal(custom.made, expected)
    assert (custom.tensor.dtype, custom.tensor.shape) == ("float32", (3,))


def test_it_reads_what_other_transforms_make() -> None:
    custom = Fitted(SCHEMA, ty.custom(Applied(torch.abs, 1), ty.standardize("a")), ROWS)
    values = ROWS["a"].to_numpy()
    scaled = (values - values.mean()) / values.std()
    np.testing.assert_allclose(custom.made[:, 0], np.abs(scaled) / 2, rtol=1e-5)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (
            lambda x: torch.log(1 + x.abs()),
            r"x = ty.custom\(Applied\(\)\).*the same bits.*element-wise",
        ),
        (lambda x: x - x.mean(dim=0), "values that change when rows come 2 at a time"),
        (lambda x: x[:2], "200 rows made of 300 when they come 3 at a time.*as many rows"),
        (lambda x: (x * 0 - 1).sqrt(), "900 of 900 values that are NaN or infinite.*above 0"),
        (lambda x: x.reshape(-1), r"sizes \[0\]"),
        (lambda x: (x > 0).long(), "output of type INT64"),
        (lambda x: (x, x + 1), "2 outputs"),
        (lambda x: x if x.sum() > 0 else -x, "torch.export can follow"),
    ],
)
def test_what_a_release_cannot_carry_is_refused(
    function: Callable[[torch.Tensor], object], said: str
) -> None:
    with pytest.raises(BadModel, match=said):
        Fitted(SCHEMA, ty.custom(Applied(function), "a", "b"), ROWS)


def test_a_declared_module_that_is_not_handed_over_is_refused(tmp_path: object) -> None:
    features = ty.Features(x=ty.custom(Applied(torch.abs), "a", "b"))
    with pytest.raises(BadModel, match="found no module"):
        fit_graph(features, SCHEMA, lambda: [ROWS], path=tmp_path / "x.onnx")  # type: ignore[operator]
