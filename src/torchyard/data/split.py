"""Train, validation and test: which part each row belongs to, decided chunk by chunk.

No splitter depends on the order of rows or on where chunks end:

- ``time``: a row's own time.
- ``hash``, ``group``: the digest of some fields, so a row keeps its part when the data grows and
  rows that are equal in these fields are never parted. Without fields: of all request fields, not
  of the label or of ``later`` fields, because rows that a model cannot tell apart must not stand on
  both sides. Rows where all named fields are missing name no entity: the whole row decides.
- ``stratified``: the rank of the row's digest among the rows of its stratum (see ``strata``: its
  class, where it has one); rows without a label are a stratum of their own.
- ``given``: a column says so.

The digest is that of ``fingerprint``, which fixes its form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

import numpy as np
import polars as pl

from torchyard.core.errors import BadData
from torchyard.data.fingerprint import Digests, Fingerprints, row_digests
from torchyard.data.labels import truth_of
from torchyard.data.strata import Chunks, Strata, fit_strata
from torchyard.records.dataset import Split, SplitRule
from torchyard.records.schema import Field, Schema, Task

NAMES = ("train", "validation", "test")

_DIGESTS = 1 << 64


class Splitter(Protocol):
    """Says which part each row belongs to."""

    def part(self, frame: pl.DataFrame, prints: Fingerprints | None = None) -> pl.Series:
        """``train``, ``validation``, ``test``, or null for a row in no part: texts ``[rows]``.

        Args:
            frame: the rows.
            prints: of this frame, from who digests it too: its values are then digested once.
        """
        ...


def fit_splitter(rule: SplitRule, task: Task, schema: Schema, chunks: Chunks) -> Splitter:
    """Make a rule ready to part rows.

    Args:
        rule: how.
        task: names the label, which a stratified split holds the shares within.
        schema: the fields; ``later`` ones take no part in the digest of a whole row.
        chunks: all accepted rows, the label among their columns; only a stratified split reads
            them, once, and keeps 8 bytes per row while it does (16 at its end, when each stratum is
            ranked); of rows with several classes or a number once more before, see ``fit_strata``.

    Raises:
        BadData: a stratified split met a label that the task does not know.
    """
    if rule.by == "time":
        limits = datetime.fromisoformat(rule.validation), datetime.fromisoformat(rule.test)
        return _ByTime(rule.fields[0], *limits)
    if rule.by == "given":
        return _AsGiven(rule.fields[0])
    row = schema.request.fields
    if rule.by == "stratified":
        return _fit_stratified(rule, task, row, chunks)
    entity = tuple(schema.field(name) for name in rule.fields)
    test = _portion(rule.test)
    return _ByHash(entity, row, test, test + _portion(rule.validation))


class SplitTally:
    """Counts rows, labels and classes per part over the chunks of a dataset version.

    Args:
        rule: how the rows were parted.
        task: what is predicted.
    """

    def __init__(self, rule: SplitRule, task: Task) -> None:
        self._rule = rule
        self._task = task
        self._rows = dict.fromkeys(NAMES, 0)
        self._labelled = dict.fromkeys(NAMES, 0)
        self._classes = {name: np.zeros(len(task.classes), dtype=np.int64) for name in NAMES}
        self._times: dict[str, list[datetime]] = {name: [] for name in NAMES}
        self.left_out = 0
        """Rows that belong to no part."""

    def update(self, frame: pl.DataFrame, part: pl.Series) -> None:
        """Count a chunk.

        Args:
            frame: its rows, the label among the columns.
            part: where each belongs, from a ``Splitter``.
        """
        known = frame[self._task.label].is_not_null()
        self.left_out += part.null_count()
        for name in NAMES:
            here = part.eq_missing(pl.Series([name], dtype=part.dtype))
            self._rows[name] += int(here.sum())
            truth = truth_of(frame.filter(here & known), self._task)
            self._labelled[name] += len(truth)
            self._classes[name] += self._count(truth)
            if self._rule.by == "time" and here.any():
                times = frame[self._rule.fields[0]].filter(here)
                seen = [*self._times[name], *times.bottom_k(1), *times.top_k(1)]
                self._times[name] = [min(seen), max(seen)]

    def _count(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """How many rows have each class; of a number nothing is counted."""
        if self._task.is_regression:
            return np.zeros(0, dtype=np.int64)
        if self._task.is_multilabel:
            classes: np.ndarray[Any, Any] = truth.sum(axis=0)
            return classes
        return np.bincount(truth, minlength=len(self._task.classes))

    def records(self) -> tuple[Split, Split, Split]:
        """Train, validation and test.

        Raises:
            BadData: a part has no labelled row, or lacks a class.
        """
        train, validation, test = (self._record(name) for name in NAMES)
        return train, validation, test

    def _record(self, name: str) -> Split:
        classes = tuple(int(count) for count in self._classes[name])
        labelled = self._labelled[name]
        if labelled == 0 or 0 in classes:
            two = "both" if self._task.is_binary else "all"
            raise BadData(
                where=f"{name} split, label '{self._task.label}'",
                found=self._what_lacks(classes, labelled),
                expected=f"rows of {two} classes" if classes else "rows with a label",
                remedy="Move the split's limits, or add labelled rows.",
            )
        first, last = (str(time) for time in self._times[name] or (None, None))
        return Split(
            name=name,  # type: ignore[arg-type]
            rows=self._rows[name],
            labelled=labelled,
            classes=classes,
            first=first if self._times[name] else None,
            last=last if self._times[name] else None,
        )

    def _what_lacks(self, classes: Sequence[int], labelled: int) -> str:
        if not classes:
            return "no row with a label"
        pairs = zip(self._task.classes, classes, strict=True)
        lacking = ", ".join(repr(name) for name, count in pairs if not count)
        return f"no row of {lacking} among {labelled:,} with a label"


@dataclass(frozen=True, slots=True)
class _ByTime:
    field: str
    validation: datetime
    test: datetime

    def part(self, frame: pl.DataFrame, prints: Fingerprints | None = None) -> pl.Series:
        time = pl.col(self.field)
        return frame.select(
            pl.when(time < self.validation)
            .then(pl.lit("train"))
            .when(time < self.test)
            .then(pl.lit("validation"))
            .when(time.is_not_null())
            .then(pl.lit("test"))
            .alias("part")
        ).to_series()


@dataclass(frozen=True, slots=True)
class _AsGiven:
    field: str

    def part(self, frame: pl.DataFrame, prints: Fingerprints | None = None) -> pl.Series:
        given = pl.col(self.field).cast(pl.String)
        return frame.select(pl.when(given.is_in(list(NAMES))).then(given).alias("part")).to_series()


@dataclass(frozen=True, slots=True)
class _ByHash:
    """Digests below ``test`` test, below ``held`` validate, the rest train."""

    entity: tuple[Field, ...]
    row: tuple[Field, ...]
    test: int
    held: int

    def part(self, frame: pl.DataFrame, prints: Fingerprints | None = None) -> pl.Series:
        digests = (prints or Fingerprints(frame)).rows(self.entity or self.row)
        if self.entity and not digests.all():
            nameless = digests == 0
            digests[nameless] = row_digests(frame.filter(pl.Series(nameless)), self.row)
        return _parts(digests < np.uint64(self.test), digests < np.uint64(self.held))


@dataclass(frozen=True, slots=True)
class _Stratified:
    """Per stratum (the last: without a label), the digests below which rows test and are held."""

    strata: Strata
    row: tuple[Field, ...]
    test: Digests
    held: Digests

    def part(self, frame: pl.DataFrame, prints: Fingerprints | None = None) -> pl.Series:
        codes = self.strata.codes(frame)
        digests = (prints or Fingerprints(frame)).rows(self.row)
        return _parts(digests < self.test[codes], digests < self.held[codes])


def _fit_stratified(
    rule: SplitRule, task: Task, row: tuple[Field, ...], chunks: Chunks
) -> _Stratified:
    strata = fit_strata(task, chunks)
    seen: list[list[Digests]] = [[] for _ in range(len(strata.names) + 1)]
    for frame in chunks():
        codes = strata.codes(frame)
        digests = row_digests(frame, row)
        for code in np.unique(codes):
            seen[code].append(digests[codes == code])
    limits = [_limits(_joined(seen.pop(0)), rule) for _ in range(len(seen))]
    test, held = np.array(limits, dtype=np.uint64).T
    return _Stratified(strata, row, test, held)


def _limits(digests: Digests, rule: SplitRule) -> tuple[int, int]:
    """The digests at which a stratum is cut; from three rows on each part gets at least one.

    ``digests`` are put in another order.
    """
    last = len(digests) - 1
    if last < 0:
        return 0, 0
    test_rows = round(Decimal(rule.test) * len(digests))
    held_rows = round((Decimal(rule.test) + Decimal(rule.validation)) * len(digests))
    test_rows = min(max(test_rows, 1 if last >= 2 else 0), max(last - 1, 0))
    held_rows = min(max(held_rows, test_rows + 1 if last >= 2 else 0), last)
    digests.partition((test_rows, held_rows))
    return int(digests[test_rows]), int(digests[held_rows])


def _joined(digests: list[Digests]) -> Digests:
    return np.concatenate(digests) if digests else np.zeros(0, dtype=np.uint64)


def _portion(share: str) -> int:
    """A share of all digests."""
    return int(Decimal(share) * _DIGESTS)


def _parts(test: np.ndarray[Any, Any], held: np.ndarray[Any, Any]) -> pl.Series:
    """Texts from flags: test, else held for validation, else train."""
    places = np.where(test, 2, held)
    return pl.Series("part", NAMES).gather(places)
