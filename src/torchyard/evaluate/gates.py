"""Judging a variant: every gate against what was measured, and why.

Records in, records out. A gate passes when the whole 95 % interval clears its limit, fails when all
of it misses, and is inconclusive between; only passing lets a required gate through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torchyard.core.errors import BadProject, nearest
from torchyard.evaluate.bootstrap import undirected
from torchyard.evaluate.compare import Limit, decide, explain
from torchyard.evaluate.kinds import MIN_PER_CLASS, MIN_ROWS, kind_of, unknown_metric
from torchyard.evaluate.slices import judge_slices
from torchyard.evaluate.wording import describe
from torchyard.records.evidence import Report, Variant
from torchyard.records.measures import Measured
from torchyard.records.schema import Task
from torchyard.records.verdicts import Gate, Objective, Outcome, Verdict

LATENCY, SIZE = "latency_p99_ms", "size_mb"
COSTS = (LATENCY, SIZE)
_BYTES_PER_MB = 1_000_000


def judge(
    gates: Sequence[Gate],
    *,
    report: Report,
    variant: Variant,
    objective: Objective | None = None,
    against: Mapping[str, Measured] | None = None,
) -> tuple[Verdict, ...]:
    """Hold one variant against every gate and against the objective.

    Args:
        gates: the project's limits.
        report: how well this variant answers the split it is judged on.
        variant: its size and its latency.
        objective: the service level, judged as two more required gates.
        against: per metric how much worse the variant is than the champion on the same rows, as
            ``paired_difference`` makes it; None when nothing serves yet.

    Returns:
        One verdict per gate, in order, then those of the objective.

    Raises:
        BadProject: a gate names an unknown metric, or combines what does not go together.
    """
    verdicts = []
    for gate in (*gates, *objective_gates(objective or Objective())):
        check_gate(gate, report.task)
        if gate.against is not None:
            outcome, reason, measured = _against(gate, against)
        elif gate.per_slice is not None:
            outcome, reason, measured = judge_slices(gate, _limit(gate), report)
        elif gate.metric in COSTS:
            outcome, reason, measured = _cost(gate, variant)
        else:
            outcome, reason, measured = _quality(gate, report)
        verdicts.append(
            Verdict(
                gate=describe(gate),
                variant=variant.name,
                outcome=outcome,
                required=gate.required,
                measured=measured,
                limit=_limit(gate).bound,
                reason=reason,
            )
        )
    return tuple(verdicts)


def passes(verdicts: Sequence[Verdict]) -> bool:
    """Whether every required gate passed. Inconclusive is not passed."""
    return not refusal(verdicts)


def refusal(verdicts: Sequence[Verdict]) -> list[str]:
    """One line per required gate that did not pass; empty when a release may be made."""
    return [
        f"{verdict.variant}: {verdict.gate}: {verdict.outcome}: {verdict.reason}"
        for verdict in verdicts
        if verdict.required and verdict.outcome != "pass"
    ]


def objective_gates(objective: Objective) -> tuple[Gate, ...]:
    """The objective's bounds as gates.

    Example:
        >>> [describe(gate) for gate in objective_gates(Objective(p99_ms=20, max_size_mb=50))]
        ['latency_p99_ms at most 20', 'size_mb at most 50']
    """
    bounds = ((LATENCY, objective.p99_ms), (SIZE, objective.max_size_mb))
    return tuple(Gate(metric=name, at_most=most) for name, most in bounds if most is not None)


def check_gate(gate: Gate, task: Task) -> None:
    """Refuse a gate that cannot be judged, before anything is trained for it.

    Raises:
        BadProject: reports on such a task have no metric of that name; not exactly one limit is
            given; ``group`` is missing from a fairness difference or given to another metric;
            ``per_slice`` or ``against`` is given to what is not a metric of rows, or ``against`` to
            one without a direction.
    """
    where, kind = f"gate {gate.metric}", kind_of(task)
    known = (*kind.metrics, *kind.rates, *COSTS)
    if gate.metric not in known:
        raise unknown_metric(gate.metric, known, kind=kind, where=where)
    limits = [gate.at_least, gate.at_most, gate.drop_at_most]
    given = sum(limit is not None for limit in limits)
    if given != 1 or (gate.against is None) != (gate.drop_at_most is None):
        raise BadProject(
            where=where,
            found=f"{given} limits" if gate.against is None else f"against='{gate.against}'",
            expected="at_least or at_most, or against='champion' with drop_at_most",
            remedy="Give one limit per gate.",
        )
    _check_scope(gate, task, where)


def _check_scope(gate: Gate, task: Task, where: str) -> None:
    kind = kind_of(task)
    if (gate.metric in kind.rates) != (gate.group is not None):
        raise BadProject(
            where=where,
            found="no group" if gate.group is None else f"group='{gate.group}'",
            expected="a group with a fairness difference, and with nothing else",
            remedy=f"Fairness differences: {', '.join(kind.rates)}. "
            "To judge each value of a field alone, use per_slice.",
        )
    scoped = [name for name in ("per_slice", "against") if getattr(gate, name) is not None]
    if scoped and (gate.metric not in kind.metrics or len(scoped) == 2):
        raise BadProject(
            where=where,
            found=" and ".join(scoped),
            expected="at most one of per_slice and against, with a metric of rows",
            remedy=f"Metrics of rows: {', '.join(kind.metrics)}.",
        )
    if gate.against is not None and kind.metrics[gate.metric].higher_is_better is None:
        raise undirected(gate.metric, task)


_Decision = tuple[Outcome, str, Measured | None]


def _against(gate: Gate, against: Mapping[str, Measured] | None) -> _Decision:
    if against is None:
        return "pass", "no other release serves", None
    if gate.metric not in against:
        return "inconclusive", "it was not measured against the champion", None
    return _decided(against[gate.metric], gate)


def _cost(gate: Gate, variant: Variant) -> _Decision:
    if gate.metric == SIZE:
        size = Measured(
            value=variant.size_bytes / _BYTES_PER_MB, low=None, high=None, rows=0, method="exact"
        )
        return _decided(size, gate, count="")
    single = [latency for latency in variant.latency if latency.batch == 1]
    if not single:
        why = f": {variant.finding}" if variant.finding else ""
        return "inconclusive", f"the latency of one row was not measured{why}", None
    calls = f"{single[0].calls:,} calls"
    slowest = Measured(
        value=single[0].p99_ms,
        low=None,
        high=None,
        rows=single[0].calls,
        method=f"99th percentile of {calls} with one row on {variant.hardware}",
    )
    return _decided(slowest, gate, count=f"{calls} on {variant.hardware}")


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


def _decided(measured: Measured, gate: Gate, *, count: str | None = None) -> _Decision:
    limit = _limit(gate)
    outcome = decide(measured, limit)
    taken = f"{measured.rows:,} rows" if count is None else count
    return outcome, explain(measured, limit, outcome=outcome, count=taken), measured


def _limit(gate: Gate) -> Limit:
    if gate.at_least is not None:
        return Limit(bound=gate.at_least, is_floor=True)
    most = gate.at_most if gate.at_most is not None else gate.drop_at_most
    assert most is not None, "check_gate refuses a gate without a limit"
    return Limit(bound=most, is_floor=False)
