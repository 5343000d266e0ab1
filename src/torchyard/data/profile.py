"""Profiles: the distribution of every field, in bins that two sets of rows can be compared by.

The same code describes training data when it is imported and traffic when it is watched. It only
describes; whether a difference matters is decided in ``monitor``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from torchyard.core.errors import BadData
from torchyard.data.profiling.contents import Pictures, Tensors, Texts
from torchyard.data.profiling.values import Categories, FieldProfiler, Numbers, Timestamps
from torchyard.records.dataset import FieldProfile, Profile
from torchyard.records.schema import Field, Schema, Task

MOST_CLASSES = 100  # of a multilabel task, whose probabilities are profiled

Chunks = Callable[[], Iterable[pl.DataFrame]]
"""Rows in frames; every call starts anew and gives the same rows in the same order."""


class Profiler:
    """Describes rows that come in chunks, in memory that does not grow with them.

    Missing are nulls, numbers that are not finite and empty texts, as in the raw columns.

    Without a reference, the bins of numbers and the list of categories are made from what was seen:
    exactly while a number has at most 4,096 different values and a category as many, and from then
    on by sketches, within the errors that the profile states. With a reference, its bins and values
    are used and counts are exact, so that they compare bin by bin; values it does not list fall in
    ``other``.

    The same rows in the same chunks give the same profile, to the last bit.

    Args:
        schema: the fields to describe.
        reference: an earlier profile of (at least) the same fields.

    Raises:
        BadData: the reference lacks a field or has it as another kind.

    Example:
        >>> profiler = Profiler(Schema(fields=(Field(name="hops", kind="integer"),)))
        >>> profiler.update(pl.DataFrame({"hops": [1, 1, 2]}))
        >>> profiler.update(pl.DataFrame({"hops": [None, 2]}))
        >>> hops = profiler.result().fields[0]
        >>> hops.edges, hops.counts, hops.missing
        ((1.5,), (2, 2), 1)
    """

    def __init__(self, schema: Schema, *, reference: Profile | None = None) -> None:
        self._schema = schema
        self._reference = reference
        self._rows = 0
        self._fields = {
            field.name: _profiler_of(field, _known(reference, field)) for field in schema.fields
        }

    def update(self, frame: pl.DataFrame) -> None:
        """Add rows that have the schema's fields as columns of the matching types.

        Raises:
            BadData: the frame lacks a field.
        """
        columns = {field.name: _column(frame, field) for field in self._schema.fields}
        self._rows += frame.height
        for name, column in columns.items():
            self._fields[name].update(column)

    def merge(self, other: Profiler) -> None:
        """Add all that another profiler has seen.

        Raises:
            BadData: it was made with another schema or another reference.
        """
        if self._schema != other._schema or self._reference != other._reference:
            raise BadData(
                where="profiles",
                found="another schema or another reference",
                expected="two profilers that were made alike",
                remedy="Make both with the same schema and reference=.",
            )
        self._rows += other._rows
        for name, field in self._fields.items():
            field.merge(other._fields[name])

    def result(self) -> Profile:
        """The profile of everything so far."""
        return Profile(
            rows=self._rows, fields=tuple(field.result() for field in self._fields.values())
        )


def profile(frame: pl.DataFrame, schema: Schema, *, reference: Profile | None = None) -> Profile:
    """Describe every field of some rows, with exact counts.

    Args:
        frame: rows that have the schema's fields as columns of the matching types.
        schema: the fields to describe.
        reference: an earlier profile of (at least) the same fields, whose bins are used.

    Raises:
        BadData: the frame or the reference lacks a field, or the reference has it as another kind.

    Example:
        >>> rows = pl.DataFrame({"hops": [1, 1, 2, None]})
        >>> hops = profile(rows, Schema(fields=(Field(name="hops", kind="integer"),))).fields[0]
        >>> hops.edges, hops.counts, hops.missing
        ((1.5,), (2, 1), 1)
    """
    return profile_chunks(lambda: (frame,), schema, reference=reference)


def profile_chunks(chunks: Chunks, schema: Schema, *, reference: Profile | None = None) -> Profile:
    """Describe every field of rows that can be read again, with exact counts.

    Where the bins had to come from a sketch, the fields concerned are read a second time and
    counted in them. What remains approximate are the deciles (``rank_error``), where exactly the
    edges lie, and ``distinct``.

    Args:
        chunks: gives the rows, as frames, each time it is called.
        schema: the fields to describe.
        reference: an earlier profile of (at least) the same fields, whose bins are used.

    Raises:
        BadData: a frame or the reference lacks a field, or the reference has it as another kind.
    """
    first = _read(chunks, Profiler(schema, reference=reference))
    inexact = {field.name for field in first.fields if not _counts_are_exact(field)}
    if not inexact:
        return first
    again = Schema(fields=tuple(field for field in schema.fields if field.name in inexact))
    counted = {f.name: f for f in _read(chunks, Profiler(again, reference=first)).fields}
    fields = (
        _recounted(field, counted[field.name]) if field.name in inexact else field
        for field in first.fields
    )
    return Profile(rows=first.rows, fields=tuple(fields))


def answers_schema(task: Task) -> Schema:
    """What is profiled about answers.

    Binary: ``probability`` of the second class. Multiclass: ``class``, the most probable one, and
    ``confidence``, its probability. Multilabel: ``labels``, how many classes a row is answered
    with, and ``probability of '...'`` of each class, of the first 100. Regression: ``value``, in
    the label's unit; the interval follows from it.
    """
    if task.is_regression:
        return Schema(fields=(Field(name="value", kind="number", unit=task.unit),))
    if task.is_binary:
        return Schema(fields=(_chance("probability"),))
    if task.is_multilabel:
        chances = (_chance(f"probability of '{name}'") for name in task.classes[:MOST_CLASSES])
        return Schema(fields=(Field(name="labels", kind="integer"), *chances))
    listed = Field(name="class", kind="category", values=task.classes)
    return Schema(fields=(listed, _chance("confidence")))


def answers_frame(scores: npt.NDArray[np.floating], task: Task) -> pl.DataFrame:
    """Answers as rows of ``answers_schema``.

    Args:
        scores: ``[rows, outputs]``: calibrated probabilities of the classes, 0 to 1, or value and
            interval; for a binary task also ``[rows]`` of the second class.
        task: names the outputs.
    """
    outputs = scores.astype(np.float64)
    if task.is_regression:
        return pl.DataFrame({"value": np.ascontiguousarray(outputs[:, 0])})
    if task.is_binary:
        second = outputs if outputs.ndim == 1 else outputs[:, 1]
        return pl.DataFrame({"probability": np.ascontiguousarray(second)})
    if task.is_multilabel:
        answered = (outputs >= task.threshold).sum(axis=1)
        columns = (answered, *np.ascontiguousarray(outputs.T))
        return pl.DataFrame(dict(zip(answers_schema(task).names, columns, strict=False)))
    best = outputs.argmax(axis=1)
    classes = pl.Series("class", task.classes, dtype=pl.String)
    return pl.DataFrame([classes.gather(best), pl.Series("confidence", outputs.max(axis=1))])


def profile_scores(
    scores: npt.NDArray[np.floating], task: Task, *, reference: Profile | None = None
) -> Profile:
    """Describe answers: see ``answers_schema`` for what and ``answers_frame`` for ``scores``."""
    return profile(answers_frame(scores, task), answers_schema(task), reference=reference)


def _chance(name: str) -> Field:
    return Field(name=name, kind="number", ge=0.0, le=1.0)


def _profiler_of(field: Field, known: FieldProfile | None) -> FieldProfiler:
    if field.kind in ("category", "id"):
        return Categories(field, known)
    if field.kind == "timestamp":
        return Timestamps(field)
    if field.kind == "text":
        return Texts(field, known)
    if field.kind == "image":
        return Pictures(field, known)
    if field.kind == "tensor":
        return Tensors(field, known)
    return Numbers(field, known)


def _column(frame: pl.DataFrame, field: Field) -> pl.Series:
    if field.name not in frame.columns:
        raise BadData(
            where=f"field '{field.name}'",
            found=f"rows with only {', '.join(frame.columns) or 'no columns'}",
            expected="a column of that name",
            remedy="Add the column, with nulls where the value is missing.",
        )
    return frame[field.name]


def _known(reference: Profile | None, field: Field) -> FieldProfile | None:
    if reference is None:
        return None
    for known in reference.fields:
        if known.name == field.name and known.kind == field.kind:
            return known
    raise BadData(
        where=f"field '{field.name}'",
        found="a reference profile without it, or with another kind of it",
        expected=f"a profile of a {field.kind} of that name",
        remedy="Compare only fields that both have in the same kind.",
    )


def _read(chunks: Chunks, profiler: Profiler) -> Profile:
    for frame in chunks():
        profiler.update(frame)
    return profiler.result()


def _counts_are_exact(field: FieldProfile) -> bool:
    return not field.count_error and all(_counts_are_exact(part) for part in field.parts)


def _recounted(first: FieldProfile, counted: FieldProfile) -> FieldProfile:
    """A profile with counts that were taken again, in its own bins; categories in their order."""
    parts = tuple(
        _recounted(part, again) for part, again in zip(first.parts, counted.parts, strict=True)
    )
    changes: dict[str, Any] = {"parts": parts, "count_error": 0}
    if first.values:
        by_count = sorted(zip(counted.counts, counted.values, strict=True), key=_falling)
        changes["counts"], changes["values"] = zip(*by_count, strict=True)
        changes["other"] = counted.other
    elif first.edges:
        changes["counts"] = counted.counts
    return replace(first, **changes)


def _falling(item: tuple[int, str]) -> tuple[int, str]:
    return -item[0], item[1]
