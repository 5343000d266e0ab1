"""Importance and cost of fields: from losses alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.evaluate.importance import field_cost, mean_of, rank_fields


def test_a_field_that_helps_stands_before_one_that_does_not() -> None:
    draw = np.random.default_rng(0)
    losses = draw.exponential(size=500)
    noise = losses + draw.normal(0, 0.1, (3, 500))
    found = rank_fields(
        losses, {"noise": noise, "use": noise + 0.3}, metric="mae",
        missing={"noise": 0.5, "use": 0.0},
    )  # fmt: skip
    assert [one.field for one in found] == ["use", "noise"]
    use, idle = (one.drop for one in found)
    assert (use.low or 0) > 0 >= (idle.low or 0)
    assert use.value == pytest.approx(0.3, abs=0.02)
    assert (use.rows, use.method) == (500, "mean of paired rows, 3 exchanges")
    assert (found[1].metric, found[1].missing) == ("mae", 0.5)


def test_a_field_that_is_not_used_has_no_drop_at_all() -> None:
    losses = np.linspace(0, 2, 40)
    (found,) = rank_fields(
        losses, {"idle": np.stack([losses, losses])}, metric="log_loss", missing={"idle": 0.0}
    )
    assert (found.drop.value, found.drop.low, found.drop.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("lost", "microseconds", "missing", "earns"),
    [
        (0.5, 9.0, 0.9, True),
        (0.0, 0.0, 0.0, True),
        (0.0, 9.0, 0.0, False),
        (0.0, 0.0, 0.2, False),
        (-0.5, 9.0, 0.0, False),
    ],
)
def test_a_field_earns_its_cost_when_it_helps_or_costs_nothing(
    lost: float, microseconds: float, missing: float, earns: bool
) -> None:
    draw = np.random.default_rng(1)
    with_it = draw.exponential(size=400)
    jitter = draw.normal(0, 0.1, 400)
    found = field_cost(
        "one", metric="log_loss", with_it=with_it,
        without_it=with_it + lost + jitter - jitter.mean(), missing=missing,
        microseconds=microseconds + np.array([-1.0, 1.0, -0.5, 0.5]),
    )  # fmt: skip
    assert found.earns_its_cost is earns
    assert found.microseconds == pytest.approx(microseconds)


def test_the_interval_of_a_mean_holds_the_truth_in_95_of_100_samples() -> None:
    draw = np.random.default_rng(2)
    found = [mean_of(draw.normal(1.0, 2.0, 30), method="") for _ in range(1000)]
    held = sum((one.low or 0) <= 1.0 <= (one.high or 0) for one in found)
    assert 930 <= held <= 968


def test_one_difference_has_no_interval() -> None:
    assert mean_of(np.array([2.0]), method="").low is None


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_the_mean_lies_in_its_interval(values: list[float]) -> None:
    found = mean_of(np.array(values), method="")
    assert found.low is not None and found.high is not None  # noqa: PT018 - for the type checker
    assert found.low <= found.value <= found.high
