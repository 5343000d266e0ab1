"""One gate over every slice of a field, as a family.

The more slices are looked at, the likelier one looks bad by chance; intervals are widened for the
number of slices judged (Bonferroni), so that with 95 % none of them is decided wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass

from torchyard.core.errors import BadProject, nearest
from torchyard.core.wording import listed
from torchyard.evaluate.judging.compare import Limit, decide, how_to_settle, widen, widened_text
from torchyard.evaluate.judging.wording import number_text, with_interval
from torchyard.records.evidence import GroupResult, Report
from torchyard.records.measures import Measured
from torchyard.records.verdicts import Gate, Outcome

_FROM_WORST: tuple[Outcome, ...] = ("fail", "inconclusive", "pass")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slice:
    """One slice's widened number and what follows from it; ``margin`` is below 0 for a miss."""

    value: str
    rows: int
    measured: Measured
    outcome: Outcome
    margin: float

    def __str__(self) -> str:
        by = f" by {number_text(-self.margin)}" if self.outcome == "fail" else ""
        return f"{self.value} {with_interval(self.measured)}{by} ({self.rows:,} rows)"


def judge_slices(gate: Gate, limit: Limit, report: Report) -> tuple[Outcome, str, Measured | None]:
    """The verdict of the worst slice that is large enough, naming those that decide.

    Args:
        gate: with ``per_slice`` and ``min_rows``.
        limit: its limit.
        report: with slices (or groups) of that field.

    Returns:
        Outcome, reason, and the worst slice's number with its widened interval.

    Raises:
        BadProject: the report holds no slices of the field.
    """
    field, members = gate.per_slice, _members(gate, report)
    large = [member for member in members if member.rows >= gate.min_rows]
    able = [member for member in large if gate.metric in member.metrics]
    if not able:
        least = f" of {gate.min_rows:,} rows or more" if gate.min_rows else ""
        return "inconclusive", f"{gate.metric} was measured in no slice of {field}{least}", None
    judged = sorted(
        (_judged(member, gate.metric, limit, family=len(able)) for member in able),
        key=lambda one: (_FROM_WORST.index(one.outcome), one.margin),
    )
    worst = judged[0]
    reason = _reason(judged, limit)
    if len(judged) > 1:
        reason += f"; intervals {widened_text(len(judged))}"
    unable = [member.value for member in large if gate.metric not in member.metrics]
    if unable:
        reason += f"; too few rows or classes to measure: {listed(unable)}"
    return worst.outcome, reason, worst.measured


def _members(gate: Gate, report: Report) -> list[GroupResult]:
    """The slices of the gate's field, or its groups where it is protected and not a slice."""
    for results in (report.slices, report.groups):
        members = [result for result in results if result.field == gate.per_slice]
        if members:
            return members
    known = {result.field for result in (*report.slices, *report.groups)}
    raise BadProject(
        where=f"gate {gate.metric}, per_slice",
        found=f"'{gate.per_slice}', of which the report holds no slices",
        expected="a slice field",
        remedy=nearest(str(gate.per_slice), known),
    )


def _judged(member: GroupResult, metric: str, limit: Limit, *, family: int) -> _Slice:
    measured = widen(member.metrics[metric], family=family)
    return _Slice(
        value=member.value or "(missing)",
        rows=member.rows,
        measured=measured,
        outcome=decide(measured, limit),
        margin=limit.clearance(measured.value),
    )


def _reason(judged: list[_Slice], limit: Limit) -> str:
    worst, number = judged[0], len(judged)
    deciding = [str(one) for one in judged if one.outcome == worst.outcome]
    share = f"{len(deciding)} of {number} slices"
    if worst.outcome == "fail":
        return f"{share} miss {limit}: {listed(deciding)}"
    if worst.outcome == "inconclusive":
        settle = how_to_settle(worst.measured, limit)
        return f"{share} leave {limit} open: {listed(deciding)}; for {worst.value}, {settle}"
    return f"all {number} slices clear {limit}, {worst} the narrowest"
