"""A measured number against a limit: cleared, missed, or not known yet."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

from torchyard.evaluate.judging.wording import limit_text, number_text, with_interval
from torchyard.evaluate.resampling.intervals import CONFIDENCE
from torchyard.records.measures import Measured
from torchyard.records.verdicts import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """``at least bound`` when ``is_floor``, else ``at most bound``."""

    bound: float
    is_floor: bool

    def __str__(self) -> str:
        return f"at {'least' if self.is_floor else 'most'} {limit_text(self.bound)}"

    def clearance(self, value: float) -> float:
        """How far a value is on the right side: 0 at the limit, negative on the wrong side."""
        return value - self.bound if self.is_floor else self.bound - value


def decide(measured: Measured, limit: Limit) -> Outcome:
    """Pass when the whole interval clears the limit, fail when all of it misses.

    A number without an interval is compared directly. A bound at the limit clears it.

    Example:
        >>> about = Measured(value=0.70, low=0.68, high=0.72, rows=5000, method="bootstrap")
        >>> [decide(about, Limit(bound=bound, is_floor=True)) for bound in (0.6, 0.7, 0.8)]
        ['pass', 'inconclusive', 'fail']
    """
    worst, best = sorted(
        limit.clearance(measured.value if bound is None else bound)
        for bound in (measured.low, measured.high)
    )
    if worst >= 0.0:
        return "pass"
    return "fail" if best < 0.0 else "inconclusive"


_POWER = 0.8
# how much narrower than the distance to the limit the interval must be: other rows give other
# values, and with one that just reached the limit every second set of rows would settle nothing
_ALLOWANCE = 1.0 + NormalDist().inv_cdf(_POWER) / NormalDist().inv_cdf(0.5 + CONFIDENCE / 2.0)


def rows_to_settle(measured: Measured, limit: Limit) -> int | None:
    """About how many rows would settle an inconclusive comparison, four times in five.

    If the truth is what was measured. An interval's half shrinks with one over the square root of
    its rows; new rows settle it with 80 % when the distance to the limit is the half plus as much
    as the new value may be off by then (the usual sample size of a test with power 0.8).

    Returns:
        Rows, to two digits; None when the value is at the limit, which no number of rows settles.

    Example:
        >>> about = Measured(value=0.71, low=0.69, high=0.73, rows=5000, method="bootstrap")
        >>> rows_to_settle(about, Limit(bound=0.70, is_floor=True))
        41000
    """
    margin = limit.clearance(measured.value)
    if margin == 0.0 or measured.low is None or measured.high is None:
        return None
    towards_low = (margin > 0.0) == limit.is_floor
    half = measured.value - measured.low if towards_low else measured.high - measured.value
    return round(float(f"{measured.rows * (_ALLOWANCE * half / margin) ** 2:.2g}"))


def explain(
    measured: Measured, limit: Limit, *, outcome: Outcome, count: str, unit: str = "rows"
) -> str:
    """The comparison in one sentence.

    Args:
        measured: the number.
        limit: what it was held against.
        outcome: what was decided.
        count: what the number was taken over, for example ``28,112 rows``; may be empty.
        unit: what more of would settle it.

    Example:
        >>> found = Measured(value=0.6812, low=0.6741, high=0.688, rows=28112, method="bootstrap")
        >>> explain(found, Limit(bound=0.7, is_floor=True), outcome="fail", count="28,112 rows")
        '0.6812 [0.6741, 0.6880] misses at least 0.70 by 0.0188 (28,112 rows)'
    """
    margin = limit.clearance(measured.value)
    by = f"by {number_text(abs(margin))}"
    taken = f" ({count})" if count else ""
    number = with_interval(measured)
    if outcome == "inconclusive":
        return f"{number} leaves {limit} open{taken}: {how_to_settle(measured, limit, unit=unit)}"
    return f"{number} {'clears' if outcome == 'pass' else 'misses'} {limit} {by}{taken}"


def how_to_settle(measured: Measured, limit: Limit, *, unit: str = "rows") -> str:
    """What would turn an inconclusive comparison into a decision, in words."""
    rows = rows_to_settle(measured, limit)
    if rows is None:
        return f"the estimate lies at the limit, which no number of {unit} settles"
    needed = f"about {rows:,} {unit} would settle it"
    margin = limit.clearance(measured.value)
    if margin > 0.0:
        return needed
    return f"the estimate misses by {number_text(-margin)}, {needed}"


def widen(measured: Measured, *, family: int) -> Measured:
    """The interval a number needs when ``family`` numbers are judged at once.

    Bonferroni: each of ``m`` intervals holds its value with ``1 - 0.05 / m``, so all of them do
    with 95 % together, however they depend on one another. The stored 95 % interval is widened by
    the ratio of the normal quantiles, each side by itself.

    Example:
        >>> one = Measured(value=0.7, low=0.6, high=0.75, rows=500, method="bootstrap")
        >>> wide = widen(one, family=10)
        >>> round(wide.low or 0, 3), round(wide.high or 0, 3), wide.method
        (0.557, 0.772, 'bootstrap, widened to 99.5 % for 10 slices (Bonferroni)')
    """
    if family <= 1 or measured.low is None or measured.high is None:
        return measured
    tail = (1.0 - CONFIDENCE) / 2.0
    ratio = NormalDist().inv_cdf(1.0 - tail / family) / NormalDist().inv_cdf(1.0 - tail)
    return Measured(
        value=measured.value,
        low=measured.value - ratio * (measured.value - measured.low),
        high=measured.value + ratio * (measured.high - measured.value),
        rows=measured.rows,
        method=f"{measured.method}, {widened_text(family)}",
    )


def widened_text(family: int) -> str:
    """How intervals were widened, in words."""
    percent = 100.0 * (1.0 - (1.0 - CONFIDENCE) / family)
    return f"widened to {percent:.4g} % for {family} slices (Bonferroni)"
