"""Limits on measured numbers, and what was decided from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torchyard.records.measures import Measured

Outcome = Literal["pass", "fail", "inconclusive"]
# the rival that is no simple model
CHAMPION = "champion"
Rival = Literal["champion", "majority", "linear", "trees", "last_value"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Who lets a model out although a gate does not pass, why, and until which day.

    ``until`` is a day, ISO 8601, after which the waiver holds no more.
    """

    by: str
    reason: str
    until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A limit on a measured number.

    ``metric`` names one of:

    - a metric of the report; with ``per_slice`` of every slice of a field with at least
      ``min_rows``; with ``against`` in comparison with another model on the same rows, than which
      it may be worse by at most ``drop_at_most``;
    - a fairness difference, then with ``group``: a protected field, or several, joined by ``", "``,
      for their intersections;
    - ``failure_rate``, then with ``behaviour``: the share of rows that fail a behaviour;
    - ``agreement``: the share of rows that a variant answers as the module in PyTorch does;
    - ``latency_p99_ms`` or ``size_mb``;
    - ``findings``: how many findings of ``severity`` the dataset version has.

    ``waiver`` lets a release out although the gate does not pass.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    group: str | None = None
    per_slice: str | None = None
    min_rows: int = 0
    against: Rival | None = None
    drop_at_most: float | None = None
    behaviour: str | None = None
    severity: Literal["warn", "fail"] | None = None
    required: bool = True
    waiver: Waiver | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a gate decided about a variant, from which number against which limit.

    ``waiver`` stands here when the gate did not pass and its waiver let the variant through.
    """

    gate: str
    variant: str
    outcome: Outcome
    required: bool
    measured: Measured | None
    limit: float
    reason: str
    waiver: Waiver | None = None


def waived_text(verdict: Verdict) -> str:
    """What a waiver let through, by whom and why, in one line; empty without one."""
    waiver = verdict.waiver
    if waiver is None:
        return ""
    return (
        f"gate '{verdict.gate}' is {verdict.outcome}, waived by {waiver.by} until {waiver.until}: "
        f"{waiver.reason}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """The service level a release must meet on the machine that measured it.

    ``p99_ms`` bounds the 99th percentile of one row, raw fields to answer, in process;
    ``max_size_mb`` a variant's file, in units of 10^6 bytes.
    """

    p99_ms: float | None = None
    max_size_mb: float | None = None
