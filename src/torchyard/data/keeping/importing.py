"""What a new version is made of: rows that arrive, or rows of a version without some of them.

Either is one pass: each chunk is checked, written to the stage, digested and profiled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import polars as pl

from torchyard.core.errors import BadData
from torchyard.data.check import Checker, Validation
from torchyard.data.checking.labels import LabelTally
from torchyard.data.checking.predicates import matching_rows
from torchyard.data.keeping.content import ContentDigest
from torchyard.data.keeping.staging import Stage
from torchyard.data.profile import Profiler
from torchyard.data.reading.chunks import Blocks
from torchyard.data.rules import Checks
from torchyard.data.source import Source
from torchyard.records.dataset import DatasetVersion, Finding, Profile
from torchyard.records.schema import Schema, Task

_MOST_FINDINGS = 8


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A version without a place yet."""

    digest: str
    source: str
    schema: Schema
    label: str | None
    rows: int
    quarantined: int
    findings: tuple[Finding, ...]
    profile: Profile

    def version(self, **place: Any) -> DatasetVersion:
        """The version, given the fields of its record that say where it stands."""
        return DatasetVersion(**place, **vars(self))


class Import(Protocol):
    """Rows on their way in."""

    def run(self, stage: Stage, before: Iterator[pl.DataFrame]) -> Draft:
        """Put the rows on a stage and describe them together with those that stand before them."""


@dataclass(frozen=True)
class Arrival:
    """Rows of a source, to be checked."""

    source: Source
    schema: Schema
    task: Task | None
    checks: Checks | None
    now: datetime

    def run(self, stage: Stage, before: Iterator[pl.DataFrame]) -> Draft:
        """Check every row; refuse when a finding says fail or too many rows are set aside."""
        checker = Checker(
            self.schema, task=self.task, checks=self.checks, source=self.source.name, now=self.now
        )
        account = _Account(self.schema)
        for frame in before:
            checker.seed(frame)
            account.add(frame)
        for chunk in self.source.chunks():
            parted = checker.update(chunk)
            stage.keep(parted.accepted)
            stage.set_aside(parted.quarantined)
            account.add(parted.accepted)
        validation = checker.result()
        refuse_unfit(validation, self.checks or Checks(), self.source.name)
        return account.draft(
            source=self.source.name,
            label=None if self.task is None else self.task.label,
            quarantined=validation.quarantined,
            findings=validation.findings,
        )


@dataclass(frozen=True)
class Removal:
    """The rows of a version but for those that a condition holds for."""

    where: str
    parent: DatasetVersion
    chunks: Iterator[pl.DataFrame]
    task: Task | None

    def run(self, stage: Stage, before: Iterator[pl.DataFrame]) -> Draft:
        """Keep the other rows; they were checked when they came."""
        account = _Account(self.parent.schema)
        labels = None
        if self.task is not None and self.task.label == self.parent.label:
            labels = LabelTally(self.task, self.parent.schema)
        read = 0
        for chunk in self.chunks:
            gone = matching_rows(self.where, chunk, probe=read == 0)
            kept = chunk.filter(~gone)
            if labels is not None:
                labels.update(kept, np.flatnonzero(~gone.to_numpy()) + read)
            read += chunk.height
            stage.keep(kept)
            account.add(kept)
        if account.rows in (0, read):
            raise BadData(
                where=f"delete where {self.where!r}",
                found="a condition that holds for no row" if account.rows else
                f"a condition that holds for all {read:,} rows",
                expected="some rows to go and some to stay",
                remedy=f"Look at the values with: torchyard data show {self.parent.number}",
            )  # fmt: skip
        findings = () if labels is None else tuple(labels.findings())
        left = Validation(account.rows, account.rows, 0, findings)
        refuse_unfit(left, Checks(), f"version {self.parent.number} without these rows")
        return account.draft(
            source=f"version {self.parent.number} without {read - account.rows:,} rows where "
            f"{self.where}",
            label=self.parent.label,
            quarantined=0,
            findings=findings,
        )


class _Account:
    """What is written down about accepted rows as they pass, however they are cut into frames.

    Sketches and sums come out a bit differently for other frames, so that they are given blocks.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._digest, self._profiler = ContentDigest(schema), Profiler(schema)
        self._blocks = Blocks()
        self.rows = 0

    def add(self, frame: pl.DataFrame) -> None:
        if frame.is_empty():
            return
        self.rows += frame.height
        self._digest.update(frame)
        for block in self._blocks.add(frame):
            self._profiler.update(block.rechunk())

    def draft(
        self, *, source: str, label: str | None, quarantined: int, findings: tuple[Finding, ...]
    ) -> Draft:
        for block in self._blocks.rest():
            self._profiler.update(block.rechunk())
        return Draft(
            digest=self._digest.result(), source=source, schema=self._schema, label=label,
            rows=self.rows, quarantined=quarantined, findings=findings,
            profile=self._profiler.result(),
        )  # fmt: skip


def refuse_unfit(validation: Validation, checks: Checks, source: str) -> None:
    """Let only data pass that may be trained on.

    Raises:
        BadData: a finding says fail, or a larger share of rows is set aside than the checks allow.
    """
    if validation.failures:
        raise BadData(
            where=source,
            found=_listed(validation.failures),
            expected="data without a finding that says fail",
            remedy=validation.failures[0].meaning
            + " See all findings with: torchyard data validate",
        )
    share = validation.quarantined / max(validation.rows, 1)
    causes = tuple(found for found in validation.findings if found.severity == "quarantine")
    if share > checks.quarantine_at_most:
        raise BadData(
            where=source,
            found=f"{validation.quarantined:,} of {validation.rows:,} rows ({share:.1%}) set aside",
            expected=f"at most {checks.quarantine_at_most:.1%}",
            remedy=f"{_listed(causes)}. Mend the data, or allow more with "
            "ty.Checks(quarantine_at_most=...).",
        )


def _listed(findings: tuple[Finding, ...]) -> str:
    shown = "; ".join(
        f"{item.field} {item.rule}" + (f" in {item.rows:,} rows" if item.rows else "")
        for item in sorted(findings, key=lambda item: -item.rows)[:_MOST_FINDINGS]
    )
    more = len(findings) - _MOST_FINDINGS
    return f"{shown}; and {more} more findings" if more > 0 else shown
