"""A chunk as the leak checks see it: rows, their parts, their labels; and rows as examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl

from torchyard.data.fingerprint import Digests, Fingerprints
from torchyard.data.labels import label_marks
from torchyard.data.leaks.questions import Question, answered
from torchyard.data.split import NAMES, Splitter
from torchyard.data.strata import Chunks
from torchyard.records.dataset import Finding
from torchyard.records.schema import Field, Schema, Task

Integers = np.ndarray[Any, np.dtype[np.int64]]
Numbers = np.ndarray[Any, np.dtype[np.float64]]

TRAIN, VALIDATION, TEST = range(3)
NOWHERE = -1
EXAMPLES = 5
_LONGEST_VALUE = 60
_MOST_FIELDS = 8


@dataclass(frozen=True, slots=True)
class Parted:
    """Some rows.

    Attributes:
        frame: the fields and the label.
        parts: ``[rows]``: place in ``train, validation, test``; -1 for a row in no part.
        codes: per question, ``[rows]``: place in its names; -1 without a label.
        marks: ``[rows]``: the same number where labels are the same; -1 without one.
        digests: ``[rows]``: of all request fields.
        prints: digests of any of the fields, made once for all checks.
    """

    frame: pl.DataFrame
    parts: Integers
    codes: tuple[Integers, ...]
    marks: Integers
    digests: Digests
    prints: Fingerprints


class Check(Protocol):
    """Looks for leaks in one or two passes over the rows."""

    def first(self, rows: Parted) -> None:
        """See a chunk of the first pass."""
        ...

    def settle(self) -> bool:
        """Conclude the first pass; whether a second one is wanted."""
        ...

    def second(self, rows: Parted) -> None:
        """See a chunk of the second pass."""
        ...

    def findings(self) -> Iterable[Finding]:
        """What was found; ``fail`` marks what is serious."""
        ...


def parted(
    chunks: Chunks,
    splitter: Splitter,
    schema: Schema,
    task: Task,
    questions: Sequence[Question],
) -> Iterator[Parted]:
    """One pass over all rows."""
    for frame in chunks():
        prints = Fingerprints(frame)
        yield Parted(
            frame=frame,
            parts=_places(splitter.part(frame, prints)),
            codes=answered(frame, task, questions),
            marks=label_marks(frame, task),
            digests=prints.rows(schema.request.fields),
            prints=prints,
        )


def present(series: pl.Series) -> pl.Series:
    """Whether each value is there: not null, NaN, nor an empty text or picture."""
    if series.dtype.is_float():
        return (series.is_not_null() & series.is_not_nan()).fill_null(False)
    if series.dtype == pl.String:
        return (series.str.len_bytes() > 0).fill_null(False)
    if series.dtype == pl.Binary:
        return (series.bin.size() > 0).fill_null(False)
    return series.is_not_null()


def shown(frame: pl.DataFrame, row: int, fields: Sequence[Field]) -> str:
    """A row for a person's eye: its first fields, cut to a readable length."""
    texts = [f"{field.name}={shown_value(frame[field.name][row], field)}" for field in fields]
    more = len(texts) - _MOST_FIELDS
    return ", ".join(texts[:_MOST_FIELDS]) + (f", and {more} more fields" if more > 0 else "")


def shown_value(value: object, field: Field) -> str:
    """A value for a person's eye; personal ones, pictures and tensors are named, not shown."""
    if value is None:
        return "missing"
    if field.personal:
        return "(personal)"
    if field.kind in ("image", "tensor"):
        return f"({field.kind})"
    text = str(value) if field.kind == "timestamp" else repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def shown_label(frame: pl.DataFrame, row: int, task: Task) -> str:
    """A row's label for a person's eye: its class, its classes or its number."""
    value = frame[task.label][row]
    if task.is_binary:
        return task.classes[int(value)]
    text = f"{value:g}" if task.is_regression else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _places(part: pl.Series) -> Integers:
    places = part.replace_strict(NAMES, range(len(NAMES)), default=None, return_dtype=pl.Int64)
    found: Integers = places.fill_null(NOWHERE).to_numpy()
    return found
