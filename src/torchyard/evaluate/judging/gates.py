"""Judging a variant: every gate against what was measured, and why.

Records in, records out. A gate passes when the whole 95 % interval clears its limit, fails when all
of it misses, and is inconclusive between. Only passing lets a required gate through, or a waiver
that still holds. What gates can be judged at all is in ``gate_checks``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from torchyard.core.errors import BadProject, nearest
from torchyard.evaluate.judging.compare import Limit, decide, explain
from torchyard.evaluate.judging.gate_checks import (
    AGREEMENT,
    FAILURES,
    FINDINGS,
    LATENCY,
    OPERATING_COST,
    OUTSIDE_DOMAIN,
    SIZE,
    check_gate,
)
from torchyard.evaluate.judging.slices import judge_slices
from torchyard.evaluate.judging.wording import describe
from torchyard.evaluate.metrics.kinds import MIN_PER_CLASS, MIN_ROWS
from torchyard.evaluate.resampling.quantiles import least_for_quantile
from torchyard.records.abstaining import COVERAGE, SELECTIVE
from torchyard.records.dataset import Finding
from torchyard.records.evidence import Report, Variant
from torchyard.records.measures import Measured
from torchyard.records.verdicts import Gate, Objective, Outcome, Verdict, Waiver

CHAMPION = "champion"
_BYTES_PER_MB = 1_000_000
_LATER = "measured by torchyard optimize"

Differences = Mapping[str, Mapping[str, Measured]]
_Decision = tuple[Outcome, str, Measured | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """All that gates are judged by."""

    report: Report
    variant: Variant | None
    against: Differences
    findings: Sequence[Finding] | None


def judge(
    gates: Sequence[Gate],
    *,
    report: Report,
    variant: Variant | None,
    today: date,
    objective: Objective | None = None,
    against: Differences | None = None,
    findings: Sequence[Finding] | None = None,
) -> tuple[Verdict, ...]:
    """Hold one variant against every gate and against the objective.

    Args:
        gates: the project's limits.
        report: how well this variant answers the split it is judged on.
        variant: its size and its latency; None before variants are built, which leaves open what
            is measured of them.
        today: the day on which waivers must still hold.
        objective: the service level, judged as two more required gates.
        against: per rival and metric how much worse the variant is on the same rows, as
            ``paired_difference`` makes it, beside what the report holds. Without ``champion``
            nothing serves yet.
        findings: those of the dataset version; None where they are not at hand.

    Returns:
        One verdict per gate, in order, then those of the objective.

    Raises:
        BadProject: a gate names an unknown metric, or combines what does not go together.
    """
    known = {**report.against, **(against or {})}
    seen = _Seen(report=report, variant=variant, against=known, findings=findings)
    return tuple(
        _verdict(gate, seen, today) for gate in (*gates, *objective_gates(objective or Objective()))
    )


def passes(verdicts: Sequence[Verdict]) -> bool:
    """Whether every required gate passed or is waived. Inconclusive is not passed."""
    return not refusal(verdicts)


def refusal(verdicts: Sequence[Verdict]) -> list[str]:
    """One line per required gate that neither passed nor is waived; empty lets a release out."""
    return [
        f"{verdict.variant}: {verdict.gate}: {verdict.outcome}: {verdict.reason}"
        for verdict in verdicts
        if verdict.required and verdict.outcome != "pass" and verdict.waiver is None
    ]


def objective_gates(objective: Objective) -> tuple[Gate, ...]:
    """The objective's bounds as gates.

    Example:
        >>> [describe(gate) for gate in objective_gates(Objective(p99_ms=20, max_size_mb=50))]
        ['latency_p99_ms at most 20', 'size_mb at most 50']
    """
    bounds = ((LATENCY, objective.p99_ms), (SIZE, objective.max_size_mb))
    return tuple(Gate(metric=name, at_most=most) for name, most in bounds if most is not None)


def holds(waiver: Waiver, today: date) -> bool:
    """Whether a waiver still lets a model out; it does so on its last day, too.

    Example:
        >>> until = Waiver(by="Ada", reason="few rows yet", until="2027-01-31")
        >>> holds(until, date(2027, 1, 31)), holds(until, date(2027, 2, 1))
        (True, False)
    """
    return today <= date.fromisoformat(waiver.until)


def _verdict(gate: Gate, seen: _Seen, today: date) -> Verdict:
    check_gate(gate, seen.report.task)
    outcome, reason, measured = _decide(gate, seen)
    waiver = gate.waiver if outcome != "pass" else None
    if waiver is not None and not holds(waiver, today):
        reason += f"; the waiver by {waiver.by} ended on {waiver.until}"
        waiver = None
    return Verdict(
        gate=describe(gate),
        variant=seen.report.model if seen.variant is None else seen.variant.name,
        outcome=outcome,
        required=gate.required,
        measured=measured,
        limit=_limit(gate).bound,
        reason=reason,
        waiver=waiver,
    )


def _decide(gate: Gate, seen: _Seen) -> _Decision:
    if gate.metric in _SUBJECTS:
        return _SUBJECTS[gate.metric](gate, seen)
    if gate.metric.startswith(SELECTIVE):
        return _selective(gate, seen)
    if gate.against is not None:
        return _against(gate, seen)
    if gate.per_slice is not None:
        return judge_slices(gate, _limit(gate), seen.report)
    return _quality(gate, seen.report)


def _against(gate: Gate, seen: _Seen) -> _Decision:
    rival = str(gate.against)
    if rival not in seen.against:
        if rival == CHAMPION:
            return "pass", "no other release serves", None
        return "inconclusive", f"no baseline '{rival}' was trained", None
    if gate.metric not in seen.against[rival]:
        return "inconclusive", f"it was not measured against {rival}", None
    return _decided(seen.against[rival][gate.metric], gate)


def _size(gate: Gate, seen: _Seen) -> _Decision:
    if seen.variant is None:
        return "inconclusive", _LATER, None
    megabytes = seen.variant.size_bytes / _BYTES_PER_MB
    size = Measured(value=megabytes, low=None, high=None, rows=0, method="exact")
    return _decided(size, gate, count="")


def _latency(gate: Gate, seen: _Seen) -> _Decision:
    variant = seen.variant
    if variant is None:
        return "inconclusive", _LATER, None
    single = next((latency for latency in variant.latency if latency.batch == 1), None)
    if single is None:
        why = f": {variant.finding}" if variant.finding else ""
        return "inconclusive", f"the latency of one row was not measured{why}", None
    calls = f"{single.calls:,} calls"
    slowest = Measured(
        value=single.p99_ms,
        low=single.p99_low_ms,
        high=single.p99_high_ms,
        rows=single.calls,
        method=f"99th percentile of {calls} with one row on {variant.hardware}, order statistics",
    )
    if slowest.low is None or slowest.high is None:
        needed = least_for_quantile(0.99)
        return (
            "inconclusive",
            f"{calls} on {variant.hardware} bound no 99th percentile: {needed} would",
            slowest,
        )
    return _decided(slowest, gate, count=f"{calls} on {variant.hardware}", unit="calls")


def _agreement(gate: Gate, seen: _Seen) -> _Decision:
    measured, variant = seen.report.agreement, seen.variant
    if measured is not None:
        return _decided(measured, gate)
    if variant is None:
        return "inconclusive", _LATER, None
    if not variant.servable:
        return "pass", "it is the module in PyTorch itself", None
    return "inconclusive", "it was not held against the module in PyTorch", None


def _findings(gate: Gate, seen: _Seen) -> _Decision:
    if seen.findings is None:
        return "inconclusive", "the findings of its data are not at hand", None
    alike = [finding for finding in seen.findings if finding.severity == gate.severity]
    count = Measured(value=float(len(alike)), low=None, high=None, rows=0, method="exact")
    outcome, reason, measured = _decided(count, gate, count="")
    named = ", ".join(dict.fromkeys(f"{finding.field} {finding.rule}" for finding in alike))
    return outcome, f"{reason}: {named}" if named and outcome != "pass" else reason, measured


def _failures(gate: Gate, seen: _Seen) -> _Decision:
    behaviour = next((one for one in seen.report.behaviours if one.name == gate.behaviour), None)
    if behaviour is None:
        return "inconclusive", f"behaviour '{gate.behaviour}' was not tried", None
    if behaviour.failure_rate is None:
        why = behaviour.finding or "it applies to no row"
        return "inconclusive", f"behaviour '{gate.behaviour}' was not measured: {why}", None
    return _decided(behaviour.failure_rate, gate)


def _cost(gate: Gate, seen: _Seen) -> _Decision:
    point = seen.report.operating
    if point is None or OPERATING_COST not in point.test:
        return "inconclusive", "no threshold was chosen by its cost", None
    return _decided(point.test[OPERATING_COST], gate)


def _coverage(gate: Gate, seen: _Seen) -> _Decision:
    found = seen.report.selective
    if found is None:
        return "inconclusive", "what abstaining costs was not measured", None
    return _decided(found.coverage, gate)


def _selective(gate: Gate, seen: _Seen) -> _Decision:
    found = seen.report.selective
    metric = gate.metric.removeprefix(SELECTIVE)
    if found is None or metric not in found.answered:
        return "inconclusive", "too few rows are answered, or it was not measured", None
    return _decided(found.answered[metric], gate)


def _outside_domain(gate: Gate, seen: _Seen) -> _Decision:
    if seen.report.outside_domain is None:
        return "inconclusive", "answers were not held against the domain", None
    return _decided(seen.report.outside_domain, gate)


_SUBJECTS: Mapping[str, Callable[[Gate, _Seen], _Decision]] = {
    LATENCY: _latency,
    SIZE: _size,
    AGREEMENT: _agreement,
    FINDINGS: _findings,
    FAILURES: _failures,
    OPERATING_COST: _cost,
    COVERAGE: _coverage,
    OUTSIDE_DOMAIN: _outside_domain,
}


def _quality(gate: Gate, report: Report) -> _Decision:
    if gate.group is None:
        measured = report.metrics.get(gate.metric)
        missing = f"{gate.metric} is undefined on these {report.rows:,} rows"
    else:
        if gate.group not in report.fairness:
            raise BadProject(
                where=f"gate {gate.metric}, group",
                found=f"'{gate.group}', whose groups the report does not hold",
                expected="a protected field",
                remedy=nearest(gate.group, report.fairness),
            )
        measured = report.fairness[gate.group].get(gate.metric)
        missing = _why_no_difference(gate.group, report)
    return ("inconclusive", missing, None) if measured is None else _decided(measured, gate)


def _why_no_difference(field: str, report: Report) -> str:
    groups = [group for group in report.groups if group.field == field]
    large = sum(bool(group.metrics) for group in groups)
    if large < 2:
        either = f" and {MIN_PER_CLASS} of either class" if report.task.is_binary else ""
        return (
            f"{large} of {len(groups)} {field} groups have {MIN_ROWS} rows{either}; "
            "a difference needs two"
        )
    return f"it is undefined in one of the {field} groups, for example with nothing selected"


def _decided(
    measured: Measured, gate: Gate, *, count: str | None = None, unit: str = "rows"
) -> _Decision:
    limit = _limit(gate)
    outcome = decide(measured, limit)
    taken = f"{measured.rows:,} rows" if count is None else count
    return outcome, explain(measured, limit, outcome=outcome, count=taken, unit=unit), measured


def _limit(gate: Gate) -> Limit:
    if gate.at_least is not None:
        return Limit(bound=gate.at_least, is_floor=True)
    most = gate.at_most if gate.at_most is not None else gate.drop_at_most
    assert most is not None, "check_gate refuses a gate without a limit"
    return Limit(bound=most, is_floor=False)
