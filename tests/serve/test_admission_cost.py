"""What a batch will take: from the release's measurements, then from what batches took."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.serve.admission.cost import BatchCost

MEASURED = [(1, 0.002), (32, 0.0082)]  # 1.8 ms and 0.2 ms a row


def test_the_first_expectation_is_what_the_release_measured() -> None:
    cost = BatchCost(MEASURED)

    assert (cost.fixed_s, cost.row_s) == pytest.approx((0.0018, 0.0002))
    assert cost.of(16) == pytest.approx(0.005)


def test_without_measurements_there_is_a_guess() -> None:
    assert BatchCost().of(1) == pytest.approx(0.001)


def test_a_slower_machine_scales_the_line_while_batches_are_of_one_size() -> None:
    cost = BatchCost(MEASURED)
    for _ in range(400):
        cost.learn(1, 0.006)

    assert cost.of(1) == pytest.approx(0.006, rel=0.01)
    assert cost.of(32) == pytest.approx(0.0246, rel=0.01)


def test_batches_of_several_sizes_tell_the_line_itself() -> None:
    cost = BatchCost(MEASURED)
    for place in range(400):
        rows = (1, 2, 8, 32)[place % 4]
        cost.learn(rows, 0.010 + 0.001 * rows)

    assert (cost.fixed_s, cost.row_s) == pytest.approx((0.010, 0.001), rel=0.01)


def test_one_long_pause_moves_the_line_little() -> None:
    cost = BatchCost(MEASURED)
    for place in range(100):
        rows = 1 + place % 16
        cost.learn(rows, 0.0018 + 0.0002 * rows)
    cost.learn(8, 10.0)

    assert cost.of(8) == pytest.approx(0.0034, rel=0.06)


def test_a_change_is_followed() -> None:
    cost = BatchCost(MEASURED)
    seen = []
    for _ in range(120):
        cost.learn(8, 0.034)  # ten times as long
        seen.append(cost.of(8))

    assert seen[60] > 0.017
    assert seen[-1] == pytest.approx(0.034, rel=0.2)


@given(st.lists(st.tuples(st.integers(1, 10_000), st.floats(0, 100)), max_size=60))
@settings(deadline=None, max_examples=50)
def test_no_batch_is_expected_to_take_less_than_nothing(
    batches: list[tuple[int, float]],
) -> None:
    cost = BatchCost(MEASURED)
    for rows, seconds in batches:
        cost.learn(rows, seconds)
        assert cost.fixed_s >= -1e-12
        assert cost.row_s >= 0
        assert cost.of(1) > 0
