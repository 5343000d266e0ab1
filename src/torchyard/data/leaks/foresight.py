"""Fields from the future: the label under another name, and times after the prediction's."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import polars as pl

from torchyard.data.fingerprint import Flags
from torchyard.data.leaks.parted import (
    EXAMPLES,
    Integers,
    Numbers,
    Parted,
    present,
    shown,
    shown_value,
)
from torchyard.records.dataset import Finding, SplitRule
from torchyard.records.schema import Field, Schema, Task

_FEWEST = 20
_EQUAL = 0.999
_MOSTLY = 0.95
_FILLERS = {"is", "was", "has", "will", "be", "the", "flag", "label", "target", "true", "actual"}
_TRUTH = {"true": 1, "yes": 1, "y": 1, "t": 1, "1": 1, "false": 0, "no": 0, "n": 0, "f": 0, "0": 0}
_COMPARABLE = ("number", "integer", "boolean", "category", "text", "id")


class EqualsLabel:
    """Finds request fields that hold the label, or are named like it."""

    def __init__(self, schema: Schema, task: Task) -> None:
        self._task = task
        self._fields = [field for field in schema.request.fields if field.kind in _COMPARABLE]
        self._equal = np.zeros(len(self._fields), dtype=np.int64)
        self._checked = np.zeros(len(self._fields), dtype=np.int64)
        self._met: set[int] = set()
        self._examples: list[list[str]] = [[] for _ in self._fields]
        self._texts = {name.lower(): code for code, name in enumerate(task.classes)}
        if task.is_binary:
            self._texts = _TRUTH | self._texts
        self._longest = max(len(text.encode()) for text in self._texts)
        self._numbers = _as_numbers(task)

    def first(self, rows: Parted) -> None:
        """Compare a chunk."""
        labelled = rows.codes >= 0
        frame, codes = rows.frame.filter(pl.Series(labelled)), rows.codes[labelled]
        self._met.update(np.unique(codes).tolist())
        for place, field in enumerate(self._fields):
            series = frame[field.name]
            equal = present(series).to_numpy() & self._says(series, codes)
            self._checked[place] += present(series).sum()
            self._equal[place] += equal.sum()
            for row in np.flatnonzero(equal)[: EXAMPLES - len(self._examples[place])]:
                value = shown_value(series[int(row)], field)
                self._examples[place].append(f"{value}: {self._task.classes[codes[row]]}")

    def settle(self) -> bool:
        """One pass is enough."""
        return False

    def second(self, rows: Parted) -> None:
        """Nothing more to see."""

    def findings(self) -> Iterator[Finding]:
        """At most one for each field."""
        for place, field in enumerate(self._fields):
            equal, checked = int(self._equal[place]), int(self._checked[place])
            if checked >= _FEWEST and len(self._met) > 1 and equal >= _EQUAL * checked:
                yield Finding(
                    rule="equals the label",
                    field=field.name,
                    severity="fail",
                    rows=equal,
                    rows_checked=checked,
                    examples=tuple(self._examples[place]),
                    meaning=f"It says what '{self._task.label}' says. The model would copy it, and "
                    "in production it is not known. Take it out of the schema, or declare it "
                    "later=True.",
                )
            elif _words(field.name) and _words(field.name) == _words(self._task.label):
                yield Finding(
                    rule="is named like the label",
                    field=field.name,
                    severity="warn",
                    rows=0,
                    rows_checked=checked,
                    examples=(),
                    meaning=f"Its name differs little from '{self._task.label}'. If it is another "
                    "form of the label, declare it later=True.",
                )

    def _says(self, series: pl.Series, codes: Integers) -> Flags:
        """Whether each value, read as a class, is the class of its row, ``[rows]``."""
        if series.dtype.is_numeric() or series.dtype == pl.Boolean:
            numbers: Numbers = series.cast(pl.Float64).to_numpy()
            return np.equal(numbers, self._numbers[codes])
        short = series.set(series.str.len_bytes() > self._longest, None).str.to_lowercase()
        read = short.replace_strict(
            list(self._texts), list(self._texts.values()), default=-1, return_dtype=pl.Int64
        )
        meant: Integers = read.to_numpy()
        return np.equal(meant, codes)


class LateTimes:
    """Finds timestamps that lie after the moment of prediction in most rows.

    The moment is the field that a split by time is by, else the latest of all other timestamps.
    """

    def __init__(self, schema: Schema, rule: SplitRule) -> None:
        self._times = [field for field in schema.request.fields if field.kind == "timestamp"]
        names = [field.name for field in self._times]
        self._moments = {
            field: list(rule.fields)
            if rule.by == "time"
            else [name for name in names if name != field.name]
            for field in self._times
            if rule.by != "time" or field.name not in rule.fields
        }
        self._late = dict.fromkeys(self._moments, 0)
        self._checked = dict.fromkeys(self._moments, 0)
        self._examples: dict[Field, list[str]] = {field: [] for field in self._moments}
        self._schema = schema

    def first(self, rows: Parted) -> None:
        """Compare a chunk."""
        for field, moments in self._moments.items():
            if not moments:
                continue
            late = rows.frame.select(pl.col(field.name) > pl.max_horizontal(moments)).to_series()
            self._checked[field] += late.len() - late.null_count()
            self._late[field] += int(late.sum())
            beside = [field, *(self._schema.field(name) for name in moments)]
            for row in late.arg_true().head(EXAMPLES - len(self._examples[field])):
                self._examples[field].append(shown(rows.frame, int(row), beside))

    def settle(self) -> bool:
        """One pass is enough."""
        return False

    def second(self, rows: Parted) -> None:
        """Nothing more to see."""

    def findings(self) -> Iterator[Finding]:
        """At most one for each field."""
        for field, moments in self._moments.items():
            late, checked = self._late[field], self._checked[field]
            if checked >= _FEWEST and late >= _MOSTLY * checked:
                yield Finding(
                    rule=f"lies after {', '.join(moments)}",
                    field=field.name,
                    severity="warn",
                    rows=late,
                    rows_checked=checked,
                    examples=tuple(self._examples[field]),
                    meaning="A time after the moment of prediction is either planned, and known, "
                    "or measured, and not known yet. Declare it later=True if it is measured.",
                )


def _as_numbers(task: Task) -> Numbers:
    """The number that stands for each class: its name where all are numbers, else its place."""
    try:
        return np.array([float(name) for name in task.classes])
    except ValueError:
        return np.arange(len(task.classes), dtype=np.float64)


def _words(name: str) -> frozenset[str]:
    """What a name says, without case, separators and words that say nothing."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return frozenset(re.findall(r"[a-z]+|\d+", parted.casefold())) - _FILLERS
