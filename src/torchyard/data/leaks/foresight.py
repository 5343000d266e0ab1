"""Fields from the future: the label under another name, and times after the prediction's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from torchyard.data.leaks.parted import (
    EXAMPLES,
    Parted,
    present,
    shown,
    shown_label,
    shown_value,
)
from torchyard.data.leaks.questions import Question
from torchyard.data.leaks.readings import readings_of
from torchyard.records.dataset import Finding, SplitRule
from torchyard.records.schema import Field, Schema, Task

_FEWEST = 20
_EQUAL = 0.999
_MOSTLY = 0.95
_FILLERS = {"is", "was", "has", "will", "be", "the", "flag", "label", "target", "true", "actual"}
_COMPARABLE = ("number", "integer", "boolean", "category", "text", "id")


class EqualsLabel:
    """Finds request fields that hold the label, or one of its classes, or are named like it."""

    def __init__(self, schema: Schema, task: Task, questions: Sequence[Question]) -> None:
        self._task = task
        self._fields = [field for field in schema.request.fields if field.kind in _COMPARABLE]
        self._readings = readings_of(task, questions)
        self._equal = np.zeros((len(self._readings), len(self._fields)), dtype=np.int64)
        self._checked = np.zeros(len(self._fields), dtype=np.int64)
        self._met: list[set[float]] = [set() for _ in self._readings]
        self._examples: list[list[str]] = [[] for _ in self._fields]

    def first(self, rows: Parted) -> None:
        """Compare a chunk."""
        labelled = rows.marks >= 0
        frame = rows.frame.filter(pl.Series(labelled))
        meant = [reading.label(frame, rows, labelled) for reading in self._readings]
        for met, truth in zip(self._met, meant, strict=True):
            if len(met) < 2 and len(truth):
                met.update((float(truth.min()), float(truth.max())))
        for place, field in enumerate(self._fields):
            series = frame[field.name]
            there = present(series).to_numpy()
            self._checked[place] += there.sum()
            for number, (reading, truth) in enumerate(zip(self._readings, meant, strict=True)):
                equal = there & reading.says(series, truth, frame)
                self._equal[number, place] += equal.sum()
                for row in np.flatnonzero(equal)[: EXAMPLES - len(self._examples[place])]:
                    value = shown_value(series[int(row)], field)
                    label = shown_label(frame, int(row), self._task)
                    self._examples[place].append(f"{value}: {label}")

    def settle(self) -> bool:
        """One pass is enough."""
        return False

    def second(self, rows: Parted) -> None:
        """Nothing more to see."""

    def findings(self) -> Iterator[Finding]:
        """At most one for each field."""
        for place, field in enumerate(self._fields):
            checked = int(self._checked[place])
            equal = self._held(place)
            if equal is not None:
                number, rows = equal
                of = self._readings[number].of
                yield Finding(
                    rule="equals the label" if not of else f"says whether the label has '{of}'",
                    field=field.name,
                    severity="fail",
                    rows=rows,
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

    def _held(self, place: int) -> tuple[int, int] | None:
        """The first reading of the label that a field holds, and in how many rows."""
        checked = int(self._checked[place])
        for number, met in enumerate(self._met):
            equal = int(self._equal[number, place])
            if checked >= _FEWEST and len(met) > 1 and equal >= _EQUAL * checked:
                return number, equal
        return None


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


def _words(name: str) -> frozenset[str]:
    """What a name says, without case, separators and words that say nothing."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return frozenset(re.findall(r"[a-z]+|\d+", parted.casefold())) - _FILLERS
