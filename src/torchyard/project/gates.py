"""The words of a project file for what must hold before a model goes out, and who lets it pass."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal

from torchyard.core.errors import BadProject
from torchyard.project.needs import need_at_least, need_texts, need_types
from torchyard.records.dataset import SplitRule
from torchyard.records.verdicts import Gate, Rival, Waiver


def gate(
    metric: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    group: str | Sequence[str] | None = None,
    per_slice: str | None = None,
    min_rows: int = 0,
    against: Rival | None = None,
    drop_at_most: float | None = None,
    behaviour: str | None = None,
    severity: Literal["warn", "fail"] | None = None,
    required: bool = True,
    waiver: Waiver | None = None,
) -> Gate:
    """A limit that every shipped variant must clear with its whole 95 % interval.

    Args:
        metric: a metric of the report, for example ``auroc``; or ``latency_p99_ms``, ``size_mb``,
            ``agreement``, ``failure_rate``, ``findings``, ``cost``.
        at_least: the smallest value that passes.
        at_most: the largest value that passes.
        group: the protected field between whose groups a fairness metric is taken; a list of
            several takes their intersections.
        per_slice: judge each value of this field alone ...
        min_rows: ... that has at least this many test rows.
        against: ``"champion"`` compares on the same test rows with what serves now, the name of a
            baseline with that: ``majority``, ``linear``, ``trees``, ``last_value`` ...
        drop_at_most: ... and lets the metric be worse by at most this; below 0 it must be better.
        behaviour: whose ``failure_rate`` is limited.
        severity: of the data findings that ``findings`` counts.
        required: False makes the verdict advice: it is shown and stops nothing.
        waiver: lets a release out although the gate does not pass, see ``ty.waiver``.

    Raises:
        BadProject: not exactly one limit is given, ``min_rows`` without ``per_slice``, or a waiver
            of what is advice anyway.

    Example:
        >>> gate("auroc", at_least=0.7).required
        True
    """
    where = f"ty.gate({metric!r}, ...)"
    need_at_least(min_rows, 0, where=where, name="min_rows")
    judged = Gate(
        metric=metric, at_least=at_least, at_most=at_most, group=_joined(group, where),
        per_slice=per_slice, min_rows=min_rows, against=against, drop_at_most=drop_at_most,
        behaviour=behaviour, severity=severity, required=required, waiver=waiver,
    )  # fmt: skip
    need_types(judged, where=where)
    _check_limits(judged, where)
    return judged


def waiver(*, by: str, reason: str, until: str) -> Waiver:
    """Let releases out although a gate does not pass, until a day. It is shown for ever.

    The card of a release that it let out says so, and so do the cards of all later releases.

    Args:
        by: who answers for it.
        reason: why that is right for now.
        until: the last day on which it holds, ISO 8601; at most a year ahead.

    Raises:
        BadProject: a name or a reason is missing, or the day is none.

    Example:
        >>> waiver(by="Ada Lovelace", reason="few rows of the new carrier yet",
        ...        until="2027-01-31").by
        'Ada Lovelace'
    """
    where = "ty.waiver(...)"
    for name, value in (("by", by), ("reason", reason)):
        if not isinstance(value, str) or not value.strip():
            raise BadProject(
                where=where,
                found=f"{name}={value!r}",
                expected="a text that says who answers for it, and why",
                remedy="A waiver without both is refused: it is shown on the card for ever.",
            )
    if not _is_day(until):
        raise BadProject(
            where=where,
            found=f"until={until!r}",
            expected="the last day on which it holds, like '2027-01-31'",
            remedy="Write the day as year, month and day.",
        )
    return Waiver(by=by.strip(), reason=reason.strip(), until=until)


def check_rivals(gates: Sequence[Gate], split: SplitRule) -> None:
    """Refuse a comparison with the last period's value where rows are not split by time.

    Raises:
        BadProject: a gate asks for it.
    """
    for one in gates:
        if one.against == "last_value" and split.by != "time":
            raise BadProject(
                where=f"gate {one.metric}, against='last_value'",
                found="rows that are not split by time",
                expected="ty.split_by_time(...), which makes a last period",
                remedy="Compare with 'trees', 'linear' or 'majority'.",
            )


def _check_limits(judged: Gate, where: str) -> None:
    """One limit, and nothing beside it that it has no use for."""
    limits = (judged.at_least, judged.at_most, judged.drop_at_most)
    given = sum(limit is not None for limit in limits)
    if given != 1 or (judged.drop_at_most is None) != (judged.against is None):
        raise BadProject(
            where=where,
            found=f"{given} limits" if judged.against is None else f"against={judged.against!r}",
            expected="at_least or at_most, or against='champion' (or a baseline) with drop_at_most",
            remedy="Give one limit per gate.",
        )
    if judged.min_rows and judged.per_slice is None:
        raise BadProject(
            where=where,
            found=f"min_rows={judged.min_rows!r} without per_slice",
            expected="min_rows beside per_slice: the least rows of a slice",
            remedy="Add per_slice='<field>', or leave min_rows out.",
        )
    if judged.waiver is not None and not judged.required:
        raise BadProject(
            where=where,
            found="a waiver of a gate that is not required",
            expected="a waiver where a gate would stop a release",
            remedy="Leave out the waiver, or required=False.",
        )


def _is_day(text: object) -> bool:
    try:
        return isinstance(text, str) and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _joined(group: str | Sequence[str] | None, where: str) -> str | None:
    if group is None or isinstance(group, str):
        return group
    return ", ".join(need_texts(group, where=where, name="group"))
