"""Readings: the ways in which a field can hold a label, whatever its own type.

A class is held by its name, by its number, or, of two, by any word for true and false; several
classes by the same text, or one of them alone by a word for true and false; a number by the number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import polars as pl

from torchyard.data.fingerprint import Flags
from torchyard.data.labels import truth_of
from torchyard.data.leaks.parted import Integers, Numbers, Parted
from torchyard.data.leaks.questions import Question
from torchyard.records.schema import Task

_TRUTH = {"true": 1, "yes": 1, "y": 1, "t": 1, "1": 1, "false": 0, "no": 0, "n": 0, "f": 0, "0": 0}
_CLOSE = 1e-6  # a copy in 32 bits is a copy

Array = np.ndarray[Any, np.dtype[Any]]


class Reading(Protocol):
    """One way to read a field as the label. ``of`` names the class that alone is read, if one."""

    of: str

    def label(self, frame: pl.DataFrame, rows: Parted, labelled: Flags) -> Array:
        """The labels as numbers that are equal where labels are, ``[labelled rows]``.

        Args:
            frame: the labelled rows alone.
            rows: all rows.
            labelled: which of them have a label, ``[rows]``.
        """
        ...

    def says(self, series: pl.Series, label: Array, frame: pl.DataFrame) -> Flags:
        """Whether each value of a field says what the label says, ``[labelled rows]``."""
        ...


def readings_of(task: Task, questions: Sequence[Question]) -> tuple[Reading, ...]:
    """All the ways in which the label of a task can be held."""
    if task.is_regression:
        return (AsNumber(task),)
    if task.is_multilabel:
        each = (AsClass(place, one.names, of=one.names[1]) for place, one in enumerate(questions))
        return (AsText(task), *each)
    return (AsClass(0, task.classes),)


class AsClass:
    """A class by its name or number."""

    def __init__(self, place: int, names: Sequence[str], *, of: str = "") -> None:
        self.of = of
        self._place = place
        self._texts = {name.lower(): code for code, name in enumerate(names)}
        if len(names) == 2:
            self._texts = _TRUTH | self._texts
        self._longest = max(len(text.encode()) for text in self._texts)
        self._numbers = _as_numbers(names)

    def label(self, frame: pl.DataFrame, rows: Parted, labelled: Flags) -> Array:
        """Places among the names."""
        return rows.codes[self._place][labelled]

    def says(self, series: pl.Series, label: Array, frame: pl.DataFrame) -> Flags:
        """Whether each value, read as a class, is the class of its row."""
        if series.dtype.is_numeric() or series.dtype == pl.Boolean:
            numbers: Numbers = series.cast(pl.Float64).to_numpy()
            return np.equal(numbers, self._numbers[label])
        short = series.set(series.str.len_bytes() > self._longest, None).str.to_lowercase()
        read = short.replace_strict(
            list(self._texts), list(self._texts.values()), default=-1, return_dtype=pl.Int64
        )
        meant: Integers = read.to_numpy()
        return np.equal(meant, label)


class AsNumber:
    """A number by itself."""

    of = ""

    def __init__(self, task: Task) -> None:
        self._task = task

    def label(self, frame: pl.DataFrame, rows: Parted, labelled: Flags) -> Array:
        """The numbers."""
        return truth_of(frame, self._task)

    def says(self, series: pl.Series, label: Array, frame: pl.DataFrame) -> Flags:
        """Whether each value is the number, up to what 32 bits keep of it."""
        if not series.dtype.is_numeric():
            return np.zeros(len(series), dtype=np.bool_)
        same: Flags = np.isclose(series.cast(pl.Float64).to_numpy(), label, rtol=_CLOSE, atol=0.0)
        return same


class AsText:
    """Several classes by the same text, in any case."""

    of = ""

    def __init__(self, task: Task) -> None:
        self._task = task

    def label(self, frame: pl.DataFrame, rows: Parted, labelled: Flags) -> Array:
        """Marks of the labels."""
        return rows.marks[labelled]

    def says(self, series: pl.Series, label: Array, frame: pl.DataFrame) -> Flags:
        """Whether each value is the text."""
        if series.dtype != pl.String:
            return np.zeros(len(series), dtype=np.bool_)
        same = series.str.to_lowercase() == frame[self._task.label].str.to_lowercase()
        flags: Flags = same.fill_null(False).to_numpy()
        return flags


def _as_numbers(names: Sequence[str]) -> Numbers:
    """The number that stands for each class: its name where all are numbers, else its place."""
    try:
        return np.array([float(name) for name in names])
    except ValueError:
        return np.arange(len(names), dtype=np.float64)
