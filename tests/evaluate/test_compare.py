from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from tests.evaluate.samples import about
from torchyard.evaluate.judging.compare import Limit, decide, explain, rows_to_settle, widen
from torchyard.evaluate.resampling.intervals import as_share
from torchyard.records.measures import Measured

NUMBER = st.floats(0.0, 1.0).map(lambda value: round(value, 6))
FLOOR = Limit(bound=0.7, is_floor=True)
CEILING = Limit(bound=0.1, is_floor=False)
RANK = {"fail": 0, "inconclusive": 1, "pass": 2}


@pytest.mark.parametrize(
    ("measured", "limit", "outcome"),
    [
        (about(0.72), FLOOR, "pass"),
        (about(0.75, 0.05), FLOOR, "pass"),
        (about(0.705), FLOOR, "inconclusive"),
        (about(0.695), FLOOR, "inconclusive"),
        (about(0.68), FLOOR, "fail"),
        (about(0.08), CEILING, "pass"),
        (about(0.105), CEILING, "inconclusive"),
        (about(0.12), CEILING, "fail"),
    ],
)
def test_the_whole_interval_decides(measured: Measured, limit: Limit, outcome: str) -> None:
    assert decide(measured, limit) == outcome


@pytest.mark.parametrize(("value", "outcome"), [(0.1, "pass"), (0.100001, "fail")])
def test_a_number_without_interval_is_compared_directly(value: float, outcome: str) -> None:
    exact = Measured(value=value, low=None, high=None, rows=0, method="exact")
    assert decide(exact, CEILING) == outcome


@given(low=NUMBER, width=NUMBER, share=NUMBER, one=NUMBER, other=NUMBER, is_floor=st.booleans())
def test_a_stricter_limit_never_helps(
    low: float, width: float, share: float, one: float, other: float, is_floor: bool
) -> None:
    measured = Measured(
        value=low + share * width, low=low, high=low + width, rows=100, method="bootstrap"
    )
    lenient, strict = sorted((one, other), reverse=not is_floor)
    ranks = [
        RANK[decide(measured, Limit(bound=bound, is_floor=is_floor))] for bound in (lenient, strict)
    ]
    assert ranks[1] <= ranks[0]


@given(value=NUMBER, half=st.floats(0.001, 0.5), bound=NUMBER, is_floor=st.booleans())
def test_the_rows_it_asks_for_would_settle_it(
    value: float, half: float, bound: float, is_floor: bool
) -> None:
    measured, limit = about(value, half, rows=1000), Limit(bound=bound, is_floor=is_floor)
    rows = rows_to_settle(measured, limit)
    if decide(measured, limit) != "inconclusive":
        return
    if rows is None:
        assert value == bound
        return
    assert rows >= 1_900
    shrunk = (measured.rows / rows) ** 0.5 * half
    settled = decide(about(value, shrunk), limit)
    assert settled == ("pass" if limit.clearance(value) > 0 else "fail")
    # two digits of rows are within 5 %; 1.96 and 0.84 standard errors make the distance
    needed = (1.96 + 0.84) / 1.96 * shrunk
    assert needed == pytest.approx(abs(limit.clearance(value)), rel=0.03)


def settled_share(truth: float, limit: Limit, measure: Callable[[int], Measured]) -> float:
    """How often as many rows as were asked for settle a comparison as the truth has it."""
    found = [measure(2_000) for _ in range(40)]
    asked = replace(found[0], value=truth, low=None, high=None)
    halves = [(one.high or 0) - (one.low or 0) for one in found]
    half = float(np.mean(halves)) / 2
    rows = rows_to_settle(replace(asked, low=truth - half, high=truth + half), limit)
    assert rows is not None
    expected = "pass" if limit.clearance(truth) > 0 else "fail"
    return float(np.mean([decide(measure(rows), limit) == expected for _ in range(1_000)]))


@pytest.mark.parametrize("bound", [0.78, 0.815])
def test_the_rows_it_asks_for_settle_a_share_four_times_in_five(bound: float) -> None:
    generator = np.random.default_rng(5)

    def measure(rows: int) -> Measured:
        return as_share(generator.binomial(rows, 0.8) / rows, trials=rows, rows=rows)

    assert 0.76 < settled_share(0.8, Limit(bound=bound, is_floor=True), measure) < 0.86


@pytest.mark.parametrize("bound", [1.05, 0.96])
def test_the_rows_it_asks_for_settle_a_mean_four_times_in_five(bound: float) -> None:
    generator = np.random.default_rng(6)

    def measure(rows: int) -> Measured:
        drawn = generator.exponential(1.0, rows)
        half = 1.96 * float(drawn.std()) / rows**0.5
        return about(float(drawn.mean()), half, rows=rows)

    assert 0.74 < settled_share(1.0, Limit(bound=bound, is_floor=False), measure) < 0.86


def text(measured: Measured, limit: Limit) -> str:
    return explain(measured, limit, outcome=decide(measured, limit), count="28,112 rows")


def test_reasons() -> None:
    clear = Measured(value=0.7312, low=0.7251, high=0.7373, rows=28112, method="")
    assert text(clear, FLOOR) == (
        "0.7312 [0.7251, 0.7373] clears at least 0.70 by 0.0312 (28,112 rows)"
    )
    assert text(about(0.1234, 0.004), CEILING) == (
        "0.1234 [0.1194, 0.1274] misses at most 0.10 by 0.0234 (28,112 rows)"
    )
    assert text(about(0.703), FLOOR) == (
        "0.7030 [0.6930, 0.7130] leaves at least 0.70 open (28,112 rows): "
        "about 230,000 rows would settle it"
    )
    assert text(about(0.695), FLOOR) == (
        "0.6950 [0.6850, 0.7050] leaves at least 0.70 open (28,112 rows): "
        "the estimate misses by 0.0050, about 82,000 rows would settle it"
    )
    assert text(about(0.7), FLOOR) == (
        "0.7000 [0.6900, 0.7100] leaves at least 0.70 open (28,112 rows): "
        "the estimate lies at the limit, which no number of rows settles"
    )


def test_widening_follows_the_normal_quantiles_on_each_side() -> None:
    one = Measured(value=0.7, low=0.6, high=0.72, rows=9, method="bootstrap")
    wide = widen(one, family=14)
    ratio = norm.ppf(1 - 0.025 / 14) / norm.ppf(0.975)
    assert (wide.low, wide.high) == pytest.approx((0.7 - 0.1 * ratio, 0.7 + 0.02 * ratio))
    assert wide.method == "bootstrap, widened to 99.64 % for 14 slices (Bonferroni)"
    assert widen(one, family=1) == one
    without = replace(one, low=None, high=None)
    assert widen(without, family=14) == without
