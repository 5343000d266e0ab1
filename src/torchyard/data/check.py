"""Validation: every rule over every row, chunk by chunk, as polars expressions.

All findings are collected. Rows that break a required rule are set aside, never silently dropped;
rows that lack a field or hold the wrong type are refused whole. Memory does not grow with rows, but
for 30 bytes a row where rows are compared with each other (uniqueness, labels of equal rows).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from torchyard.data.checking.broken import broken_conditions, places
from torchyard.data.checking.conditions import (
    MISSING,
    Condition,
    Severity,
    conditions,
    shape_rule,
)
from torchyard.data.checking.labels import LabelTally
from torchyard.data.checking.predicates import broken_rows
from torchyard.data.checking.table import Table, fit_table
from torchyard.data.checking.tally import ROW, Tally
from torchyard.data.checking.unique import Seen
from torchyard.data.labels import joined_labels, label_field
from torchyard.data.rules import Checks
from torchyard.data.source import Source
from torchyard.records.dataset import Finding
from torchyard.records.schema import Schema, Task

Array = np.ndarray[Any, np.dtype[Any]]
# nothing is kept of a chunk, so it may be large: less is done per chunk, and few need a second one
_CHUNK_ROWS = 1 << 20
# equal keys cost more than different ones, and a copy of the rows costs too
_MOSTLY = 0.99
_REPEATED = "repeats an earlier row"


@dataclass(frozen=True, slots=True)
class Validation:
    """What a check of all rows found."""

    rows: int
    accepted: int
    quarantined: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no required rule is broken: nothing but warnings."""
        return all(finding.severity == "warn" for finding in self.findings)

    @property
    def failures(self) -> tuple[Finding, ...]:
        """Findings for which data is refused whole."""
        return tuple(finding for finding in self.findings if finding.severity == "fail")


@dataclass(frozen=True, slots=True)
class Parted:
    """A chunk of rows, and which of them are set aside.

    ``aside`` holds true for these rows, Boolean ``[rows]``; None where every row is kept. ``broke``
    names the rules that some row broke, each with the places of these rows.
    """

    rows: pl.DataFrame
    aside: Array | None = None
    broke: Sequence[tuple[str, Array]] = ()

    @property
    def accepted(self) -> pl.DataFrame:
        """The rows that fit."""
        return self.rows if self.aside is None else self.rows.filter(pl.Series(~self.aside))

    @property
    def quarantined(self) -> pl.DataFrame:
        """The others, with the rules they broke in a last column."""
        name = broke_column(self.rows.columns)
        if self.aside is None:
            return self.rows.clear().with_columns(pl.Series(name, [], pl.String))
        reasons = _reasons(np.flatnonzero(self.aside), self.broke)
        return self.rows.filter(pl.Series(self.aside)).with_columns(reasons.alias(name))


def validate(
    source: Source,
    schema: Schema,
    *,
    task: Task | None = None,
    checks: Checks | None = None,
    now: datetime | None = None,
) -> Validation:
    """Hold a source against a schema; keep nothing.

    Args:
        source: the rows.
        schema: the fields and their rules.
        task: names the label, a column beside the fields; None where there is none.
        checks: rules beyond the schema.
        now: what freshness is measured from.

    Raises:
        BadData: a column is missing or of another type.
        BadProject: a rule cannot be applied.

    Example:
        >>> from pathlib import Path
        >>> from torchyard.data.source import open_source
        >>> from torchyard.project import Schema, number
        >>> rows = open_source(pl.DataFrame({"age": [31.0, -4.0]}), folder=Path())
        >>> found = validate(rows, Schema(age=number(ge=0)))
        >>> found.ok, found.quarantined, found.findings[0].examples
        (False, 1, ('row 2: -4.0',))
    """
    checker = Checker(schema, task=task, checks=checks, source=source.name, now=now)
    for chunk in source.chunks(rows=_CHUNK_ROWS):
        checker.update(chunk)
    return checker.result()


class Checker:
    """Holds rows against a schema as they come.

    Args: as ``validate``; ``source`` is what errors call the rows.

    Raises:
        BadProject: a rule cannot be applied.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        task: Task | None = None,
        checks: Checks | None = None,
        source: str = "data",
        now: datetime | None = None,
    ) -> None:
        self._schema, self._source, self._task = schema, source, task
        self._checks = checks or Checks()
        self._now = now or datetime.now(UTC)
        self._label = None if task is None else label_field(task)
        self._labels = None if task is None else LabelTally(task, schema)
        self._conditions = conditions(schema)
        alone = tuple((field.name,) for field in schema.fields if field.unique)
        self._unique = {names: Seen() for names in dict.fromkeys((*alone, *self._checks.unique))}
        # all of them in advance: the order of findings must not depend on what comes first
        self._tallies = {
            (tally.field, tally.rule): tally
            for tally in _tallies(schema, self._conditions, self._checks, tuple(self._unique))
        }
        self._shapes = {
            (field.name, shape_rule(field)) for field in schema.fields if field.kind == "tensor"
        }
        self._unknown: dict[str, int] = {}
        self._rows = self._accepted = 0
        self._newest: datetime | None = None

    def seed(self, frame: pl.DataFrame) -> None:
        """Take note of rows accepted before, without counting them: later ones may repeat them."""
        for names, seen in self._unique.items():
            _repeats(frame, names, seen)
        if self._labels is not None or self._checks.fresh is not None:
            self._note(frame, np.full(frame.height, -1))

    def update(self, frame: pl.DataFrame) -> Parted:
        """Check the next rows.

        Raises:
            BadData: a column is missing or of another type.
            BadProject: a rule of the project fails on these rows.
        """
        if self._task is not None:
            frame = joined_labels(frame, self._task)
        table = fit_table(frame, self._schema, label=self._label, source=self._source)
        for name in table.unknown:
            self._unknown[name] = self._unknown.get(name, 0) + frame.height
        numbers = np.arange(self._rows + 1, self._rows + frame.height + 1)
        bad = []
        for (field, rule), broken in self._broken(table):
            if len(broken):
                tally = self._tallies[field, rule]
                # a tensor of another shape has no place in the typed table
                shown = frame if (field, rule) in self._shapes else table.frame
                tally.count(broken, shown, numbers)
                if tally.severity == "quarantine":
                    bad.append((f"{field}: {rule}", broken))
        self._rows += frame.height
        parted = _part(table.frame, bad)
        aside = parted.aside
        self._accepted += frame.height - (0 if aside is None else int(aside.sum()))
        if self._labels is not None or self._checks.fresh is not None:
            self._note(parted.accepted, numbers if aside is None else numbers[~aside])
        return parted

    def result(self) -> Validation:
        """What all rows so far amount to."""
        rows, accepted = self._rows, self._accepted
        findings = [tally.finding(rows) for tally in self._tallies.values() if tally.rows]
        if self._labels is not None and accepted:
            findings += self._labels.findings()
        findings += self._staleness()
        if not accepted:
            rule = "fits the schema in no case" if rows else "is missing: there are none"
            findings.append(_whole(rule, ROW, "fail", "Nothing is left to learn from.", rows))
        for name, count in self._unknown.items():
            meaning = "The column was left out. Declare it, or stop sending it."
            unknown = _whole("is not in the schema", name, "warn", meaning, rows)
            findings.append(replace(unknown, rows=count))
        return Validation(rows, accepted, rows - accepted, tuple(findings))

    def _broken(self, table: Table) -> Iterator[tuple[tuple[str, str], Array]]:
        """Field and rule of each rule that may be broken, and the places of rows that break it."""
        frame, wrong = table.frame, table.misshapen
        for field in self._schema.fields:
            if field.name in wrong:
                yield (field.name, shape_rule(field)), places(wrong[field.name])
        for item, broken in broken_conditions(self._conditions, frame, table.ranges):
            misshapen = item.rule == MISSING and item.field in wrong
            missing = broken[~wrong[item.field].to_numpy()[broken]] if misshapen else broken
            yield (item.field, item.rule), missing
        for rule in self._checks.rules:
            mask = broken_rows(rule, frame, probe=self._rows == 0)
            yield (", ".join(rule.fields) or ROW, rule.name), places(mask)
        for names, seen in self._unique.items():
            yield (", ".join(names), _REPEATED), np.flatnonzero(_repeats(frame, names, seen))

    def _note(self, accepted: pl.DataFrame, numbers: Array) -> None:
        if self._labels is not None:
            self._labels.update(accepted, numbers)
        if self._checks.fresh is not None:
            newest: Any = accepted[self._checks.fresh].max()
            if newest is not None:
                self._newest = newest if self._newest is None else max(self._newest, newest)

    def _staleness(self) -> list[Finding]:
        """Local times are held against UTC: hours do not matter where days are asked for."""
        field, days = self._checks.fresh, self._checks.fresh_within_days
        now = self._now.astimezone(UTC).replace(tzinfo=None)
        if field is None or self._newest is None or now - self._newest <= timedelta(days=days):
            return []
        age = (now - self._newest) / timedelta(days=1)
        return [
            _whole(f"is at most {self._newest}, {age:.0f} days ago", field, "fail",
                   f"The newest row must be at most {days:g} days old.", self._rows)
        ]  # fmt: skip


def _tallies(
    schema: Schema,
    asked: Sequence[Condition],
    checks: Checks,
    unique: Sequence[tuple[str, ...]],
) -> Iterator[Tally]:
    private = {field.name for field in schema.fields if field.personal}
    for field in schema.fields:
        if field.kind == "tensor":
            yield Tally(shape_rule(field), (field.name,), "quarantine",
                        "Every row must have this shape.", field.personal)  # fmt: skip
        for item in asked:
            if item.field == field.name:
                yield Tally(item.rule, (field.name,), "quarantine", item.meaning, field.personal)
    for rule in checks.rules:
        severity: Severity = "quarantine" if rule.required else "warn"
        yield Tally(rule.name, rule.fields, severity, rule.meaning,
                    bool(private & set(rule.fields)))  # fmt: skip
    for names in unique:
        yield Tally(_REPEATED, names, "quarantine",
                    "The first of equal rows stays, later ones are set aside.",
                    bool(private & set(names)))  # fmt: skip


def _repeats(frame: pl.DataFrame, names: Sequence[str], seen: Seen) -> Array:
    """Rows whose values in some fields occurred before, ``bool [rows]``; where one is missing, none
    did.
    """
    values = frame.select(names)
    if not any(column.has_nulls() for column in values):
        return seen.add(values, names)[0]
    kept = values.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
    present = kept.to_numpy()
    if present.sum() > _MOSTLY * frame.height:
        repeated: Array = seen.add(values, names)[0] & present
        return repeated
    repeated = np.zeros(frame.height, dtype=bool)
    repeated[present] = seen.add(values.filter(kept), names)[0]
    return repeated


def _part(frame: pl.DataFrame, bad: Sequence[tuple[str, Array]]) -> Parted:
    """Set rows aside that break one rule or more."""
    if not bad:
        return Parted(frame)
    aside = np.zeros(frame.height, dtype=bool)
    for _, broken in bad:
        aside[broken] = True
    return Parted(frame, aside, bad)


def _reasons(rows: Array, bad: Sequence[tuple[str, Array]]) -> pl.Series:
    """The names of all rules that each of some rows broke, in one text."""
    broke = pl.DataFrame({str(n): _among(broken, rows) for n, (_, broken) in enumerate(bad)})
    return broke.select(
        pl.concat_str(
            [pl.when(pl.col(str(n))).then(pl.lit(name)) for n, (name, _) in enumerate(bad)],
            separator="; ", ignore_nulls=True,
        )
    ).to_series()  # fmt: skip


def _among(some: Array, rows: Array) -> Array:
    """Which of ascending numbers are among some of them."""
    found = np.zeros(len(rows), dtype=bool)
    found[np.searchsorted(rows, some)] = True
    return found


def broke_column(columns: Sequence[str]) -> str:
    """The column of quarantined rows that says what they broke: ``broke``, or longer if taken."""
    name = "broke"
    while name in columns:
        name += "_"
    return name


def _whole(rule: str, field: str, severity: Severity, meaning: str, rows: int) -> Finding:
    """A finding about all rows together."""
    return Finding(
        rule=rule, field=field, severity=severity, rows=0, rows_checked=rows, examples=(),
        meaning=meaning,
    )  # fmt: skip
