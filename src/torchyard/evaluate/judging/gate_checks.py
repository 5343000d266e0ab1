"""Which gates can be judged: refused before anything is trained for one that cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from torchyard.core.errors import BadProject
from torchyard.evaluate.metrics.kinds import kind_of, unknown_metric
from torchyard.evaluate.selective import selective_metrics
from torchyard.records.abstaining import COVERAGE, SELECTIVE
from torchyard.records.schema import Task
from torchyard.records.verdicts import Gate

LATENCY, SIZE = "latency_p99_ms", "size_mb"
AGREEMENT, FINDINGS, FAILURES = "agreement", "findings", "failure_rate"
OPERATING_COST = "cost"
OUTSIDE_DOMAIN = "outside_domain"
SUBJECTS = (
    LATENCY, SIZE, AGREEMENT, FINDINGS, FAILURES, OPERATING_COST, COVERAGE, OUTSIDE_DOMAIN,
)  # fmt: skip
LONGEST_WAIVER_DAYS = 366

# what a gate names beside its limit, and the one metric that it belongs to
_BELONGS: Mapping[str, str] = {"behaviour": FAILURES, "severity": FINDINGS}
_EXAMPLES = {"behaviour": "behaviour='typos'", "severity": "severity='warn'"}


def check_gates(gates: Sequence[Gate], task: Task, *, today: date) -> None:
    """Refuse gates that cannot be judged, and waivers for longer than a year from a day.

    Raises:
        BadProject: see ``check_gate``; or a waiver runs too long.
    """
    for gate in gates:
        check_gate(gate, task)
        _check_waiver(gate, today)


def check_gate(gate: Gate, task: Task) -> None:
    """Refuse a gate that cannot be judged.

    Raises:
        BadProject: reports on such a task have no metric of that name; not exactly one limit is
            given; ``group`` is missing from a fairness difference or given to another metric;
            ``behaviour`` or ``severity`` is missing from, or given to, another metric than its own;
            ``per_slice`` or ``against`` is given to what is not a metric of rows, or ``against`` to
            one without a direction; ``cost`` is limited where the task states no costs, or
            ``outside_domain`` where it allows every value.
    """
    where, kind = f"gate {gate.metric}", kind_of(task)
    selective = (f"{SELECTIVE}{name}" for name in selective_metrics(task))
    known = (*kind.metrics, *kind.rates, *SUBJECTS, *selective)
    if gate.metric not in known:
        raise unknown_metric(gate.metric, known, kind=kind, where=where)
    limits = [gate.at_least, gate.at_most, gate.drop_at_most]
    given = sum(limit is not None for limit in limits)
    if given != 1 or (gate.against is None) != (gate.drop_at_most is None):
        raise BadProject(
            where=where,
            found=f"{given} limits" if gate.against is None else f"against='{gate.against}'",
            expected="at_least or at_most, or against='champion' (or a baseline) with drop_at_most",
            remedy="Give one limit per gate.",
        )
    for name, metric in _BELONGS.items():
        _check_belonging(gate, name, metric)
    _check_scope(gate, task, where)
    if gate.metric == OPERATING_COST and _states_no_costs(task):
        raise BadProject(
            where=where,
            found="a task that states no costs",
            expected="costs of either error",
            remedy="Write threshold=ty.cheapest(false_positive=1, false_negative=5) in the task.",
        )

    if gate.metric == OUTSIDE_DOMAIN and task.ge is None and task.le is None:
        raise BadProject(
            where=where,
            found="a task that allows every value",
            expected="a number with bounds",
            remedy="Write ty.regression(..., ge=0) in the task, or leave the gate out.",
        )


def _check_belonging(gate: Gate, name: str, metric: str) -> None:
    given = getattr(gate, name)
    if (gate.metric == metric) == (given is not None):
        return
    raise BadProject(
        where=f"gate {gate.metric}",
        found=f"no {name}" if given is None else f"{name}='{given}'",
        expected=f"a {name} with {metric}, and with nothing else",
        remedy=f"For example ty.gate('{metric}', {_EXAMPLES[name]}, at_most=0).",
    )


def _states_no_costs(task: Task) -> bool:
    return task.operating is None or task.operating.false_positive is None


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
        directed = [n for n, one in kind.metrics.items() if one.higher_is_better is not None]
        raise BadProject(
            where=f"gate {gate.metric}, against='{gate.against}'",
            found=f"metric '{gate.metric}', of which neither more nor less is better",
            expected="a metric with a better direction",
            remedy=f"Use one of: {', '.join(directed)}.",
        )


def _check_waiver(gate: Gate, today: date) -> None:
    """An ended waiver is no mistake of the project file: the gate may pass by itself now."""
    if gate.waiver is None:
        return
    last = today + timedelta(days=LONGEST_WAIVER_DAYS)
    if date.fromisoformat(gate.waiver.until) > last:
        raise BadProject(
            where=f"gate {gate.metric}, waiver by {gate.waiver.by}",
            found=f"until='{gate.waiver.until}'",
            expected=f"a day within a year: until {last.isoformat()}",
            remedy="Waive it for a shorter time, and look at it again then.",
        )
