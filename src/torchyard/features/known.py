"""What training had of each field, and which rows are unlike all of it.

A row's fields are looked at one by one: a number beyond the least and the greatest of training, a
text that no training row had, a value that is missing though it never was. So whoever is told can
check it, which holds of no distance in a space of features; what it cannot see is a combination of
known values that never came together. Times are not held against training: they always move on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, final

import numpy as np

from torchyard.features.columns import MISSING_TEXT, MISSING_TIME, Column, Columns
from torchyard.records.abstaining import KnownField
from torchyard.records.schema import Field, FieldKind, Schema

MOST_VALUES = 10_000  # of one field, that are kept

Bools = np.ndarray[Any, np.dtype[np.bool_]]
Way = Literal["range", "value", "missing"]

_NUMBERS: frozenset[FieldKind] = frozenset({"number", "integer", "boolean"})
_MAY_LACK: frozenset[FieldKind] = frozenset({"timestamp", "text", "id"})


class Oddity(NamedTuple):
    """A field in which some rows are unlike all of training, and how: ``rows`` is ``[rows]``."""

    field: str
    way: Way
    rows: Bools


def judged_fields(schema: Schema) -> Schema:
    """The fields that a row can be told apart from training by.

    Not pictures and tensors, nor personal fields whose values stay out of releases.
    """
    return Schema(
        fields=tuple(
            field
            for field in schema.fields
            if (field.kind in _NUMBERS | _MAY_LACK or field.kind == "category")
            and not field.is_withheld
        )
    )


def learn_known(schema: Schema, chunks: Iterable[Columns]) -> tuple[KnownField, ...]:
    """What some rows have of each field.

    Args:
        schema: the fields, of the kinds of ``judged_fields``.
        chunks: raw columns of the training rows, piece by piece.

    Example:
        >>> hops = Schema(fields=(Field(name="hops", kind="integer"),))
        >>> learn_known(hops, [{"hops": np.array([[2.0], [np.nan]])}, {"hops": np.array([[5.0]])}])
        (KnownField(field='hops', missing=True, minimum=2.0, maximum=5.0, values=None),)
    """
    learnt = [_Learnt(field) for field in schema.fields]
    for columns in chunks:
        for one in learnt:
            one.update(columns[one.field.name])
    return tuple(one.result() for one in learnt)


class _Learnt:
    """One field over any number of chunks."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self._missing = False
        self._low, self._high = np.inf, -np.inf
        self._texts: set[str] | None = set() if field.kind == "category" else None

    def update(self, column: Column) -> None:
        kind = self.field.kind
        if kind in _NUMBERS:
            present = column[np.isfinite(column)]
            self._missing |= present.size < column.size
            if present.size:
                self._low = min(self._low, float(present.min()))
                self._high = max(self._high, float(present.max()))
        elif kind == "timestamp":
            self._missing |= bool((column == MISSING_TIME).any())
        else:
            texts = set(column[:, 0].tolist())
            self._missing |= MISSING_TEXT in texts
            if self._texts is not None:
                self._texts |= texts - {MISSING_TEXT}
                if len(self._texts) > MOST_VALUES:
                    self._texts = None

    def result(self) -> KnownField:
        has_numbers = self._low <= self._high
        return KnownField(
            field=self.field.name,
            missing=self._missing,
            minimum=self._low if has_numbers else None,
            maximum=self._high if has_numbers else None,
            values=None if self._texts is None else tuple(sorted(self._texts)),
        )


@final
class Familiar:
    """Finds rows that are unlike all of training, some microseconds for a batch.

    Args:
        known: what training had.
        schema: the fields of a row; those that are not known are not looked at.
    """

    def __init__(self, known: Sequence[KnownField], schema: Schema) -> None:
        kinds = {field.name: field.kind for field in schema.fields}
        numbers = [one for one in known if kinds[one.field] in _NUMBERS]
        self._numbers = tuple(one.field for one in numbers)
        self._low = np.array([np.inf if one.minimum is None else one.minimum for one in numbers])
        self._high = np.array([-np.inf if one.maximum is None else one.maximum for one in numbers])
        self._may_lack = np.array([one.missing for one in numbers], dtype=np.bool_)
        self._texts = tuple(
            (one.field, frozenset(one.values) | ({MISSING_TEXT} if one.missing else set()))
            for one in known
            if kinds[one.field] == "category" and one.values is not None
        )
        checked = {*self._numbers, *(name for name, _ in self._texts)}
        self._present = tuple(
            (one.field, MISSING_TIME if kinds[one.field] == "timestamp" else MISSING_TEXT)
            for one in known
            if not one.missing and one.field not in checked
        )

    def find(self, columns: Columns) -> list[Oddity]:
        """The fields in which some row is unlike all of training, in the order of kinds.

        Args:
            columns: raw columns, by field name.

        Returns:
            Nothing where all rows are like those of training.
        """
        found: list[Oddity] = []
        if self._numbers:
            found += self._odd_numbers(columns)
        for name, known in self._texts:
            texts = columns[name][:, 0].tolist()
            if not known.issuperset(texts):
                found += _odd_texts(name, texts, known)
        for name, missing in self._present:
            lacks = columns[name][:, 0] == missing
            if lacks.any():
                found.append(Oddity(name, "missing", lacks))
        return found

    def _odd_numbers(self, columns: Columns) -> list[Oddity]:
        table = np.concatenate([columns[name] for name in self._numbers], axis=1)
        # not-a-number is within no bounds: it is what is missing
        fits = (table >= self._low) & (table <= self._high)
        if fits.all():
            return []
        lacks = np.isnan(table)
        fits |= lacks & self._may_lack
        return [
            Oddity(name, way, rows)
            for place, name in enumerate(self._numbers)
            if not fits[:, place].all()
            for way, rows in _parted(~fits[:, place], lacks[:, place])
        ]


def _odd_texts(name: str, texts: Sequence[str], known: frozenset[str]) -> list[Oddity]:
    odd = np.array([text not in known for text in texts])
    lacks = np.array([text == MISSING_TEXT for text in texts])
    ways = _parted(odd, lacks)
    return [Oddity(name, "value" if way == "range" else way, rows) for way, rows in ways]


def _parted(odd: Bools, lacks: Bools) -> list[tuple[Way, Bools]]:
    """Odd rows by how they are odd."""
    ways: list[tuple[Way, Bools]] = [("range", odd & ~lacks), ("missing", odd & lacks)]
    return [(way, rows) for way, rows in ways if rows.any()]
