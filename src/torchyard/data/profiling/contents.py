"""Profiles of fields whose values have an inside: texts, pictures, tensors.

What is measured about such a value is a number, a flag or a category, so each measure is a part:
a profile of its own, counted and compared like any field of its kind.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from torchyard.data.fingerprint import value_digests
from torchyard.data.profiling.pictures import PictureSample
from torchyard.data.profiling.values import (
    Categories,
    FieldProfiler,
    Numbers,
    described,
    distinct_of,
)
from torchyard.data.sketches.distinct import DistinctCount
from torchyard.data.sketches.moments import Moments, moments_of
from torchyard.records.dataset import FieldProfile
from torchyard.records.schema import Field

_WORD = r"[\w']+"


class Texts:
    """Texts: length in characters and words, non-ASCII letters, one word of each.

    The word in the middle is one draw per text, so its counts are those of independent rows and can
    be tested; where a word stands does not favour any.
    """

    def __init__(self, field: Field, known: FieldProfile | None = None) -> None:
        self._field = field
        self._rows = 0
        self._present = 0
        self._distinct = DistinctCount() if known is None else None
        parts = {
            "characters": Field(name="characters", kind="integer", unit="characters"),
            "words": Field(name="words", kind="integer", unit="words"),
            "non-ASCII": Field(name="non-ASCII", kind="boolean"),
            "word": Field(name="word", kind="text"),
        }
        self._parts: dict[str, FieldProfiler] = {
            name: (Categories if name == "word" else Numbers)(part, _part(known, name))
            for name, part in parts.items()
        }

    def update(self, column: pl.Series) -> None:
        """Add a chunk of the field's values."""
        present = column.cast(pl.String).drop_nulls()
        present = present.filter(present != "")
        self._rows += len(column)
        self._present += len(present)
        words = present.str.to_lowercase().str.extract_all(_WORD)
        length = present.str.len_chars()
        measures = {
            "characters": length,
            "words": words.list.len(),
            "non-ASCII": present.str.len_bytes() != length,
            "word": words.list.get(words.list.len() // 2, null_on_oob=True),
        }
        for name, measured in measures.items():
            self._parts[name].update(measured)
        if self._distinct is not None:
            digests, _ = value_digests(present, self._field)
            self._distinct.update(digests)

    def merge(self, other: FieldProfiler) -> None:
        """Add what another one of the same field and reference has counted."""
        assert isinstance(other, Texts)
        self._rows += other._rows
        self._present += other._present
        for name, part in self._parts.items():
            part.merge(other._parts[name])
        if self._distinct is not None and other._distinct is not None:
            self._distinct.merge(other._distinct)

    def result(self) -> FieldProfile:
        """The profile of everything so far."""
        return FieldProfile(
            name=self._field.name,
            kind=self._field.kind,
            rows=self._rows,
            missing=self._rows - self._present,
            parts=tuple(part.result() for part in self._parts.values()),
            **distinct_of(self._distinct),
        )


class Pictures:
    """Pictures: bytes of all; size, mode and brightness of a sample, since decoding is dear."""

    def __init__(self, field: Field, known: FieldProfile | None = None) -> None:
        self._field = field
        self._known = known
        self._rows = 0
        self._bytes = Numbers(
            Field(name="bytes", kind="integer", unit="bytes"), _part(known, "bytes")
        )
        self._sample = PictureSample()
        self._distinct = DistinctCount() if known is None else None

    def update(self, column: pl.Series) -> None:
        """Add a chunk of the field's values."""
        present = column.drop_nulls()
        present = present.filter(present.bin.size() > 0)
        self._rows += len(column)
        self._bytes.update(present.bin.size())
        digests, _ = value_digests(present, self._field)
        self._sample.update(present, digests)
        if self._distinct is not None:
            self._distinct.update(digests)

    def merge(self, other: FieldProfiler) -> None:
        """Add what another one of the same field and reference has counted."""
        assert isinstance(other, Pictures)
        self._rows += other._rows
        self._bytes.merge(other._bytes)
        self._sample.merge(other._sample)
        if self._distinct is not None and other._distinct is not None:
            self._distinct.merge(other._distinct)

    def result(self) -> FieldProfile:
        """The profile of everything so far."""
        size = self._bytes.result()
        return FieldProfile(
            name=self._field.name,
            kind=self._field.kind,
            rows=self._rows,
            missing=self._rows - size.rows,
            parts=(size, *self._measured()),
            **distinct_of(self._distinct),
        )

    def _measured(self) -> tuple[FieldProfile, ...]:
        sample = self._sample.measures()
        parts = {
            "width": Field(name="width", kind="integer", unit="pixels"),
            "height": Field(name="height", kind="integer", unit="pixels"),
            "mode": Field(name="mode", kind="category"),
            "brightness": Field(name="brightness", kind="number", ge=0.0, le=1.0),
        }
        made = []
        for name, part in parts.items():
            profiler = (Categories if name == "mode" else Numbers)(part, _part(self._known, name))
            profiler.update(sample[name])
            made.append(profiler.result())
        return tuple(made)


class Tensors:
    """Tensors: the numbers are about all finite elements; the part ``mean`` about each row."""

    def __init__(self, field: Field, known: FieldProfile | None = None) -> None:
        self._field = field
        self._rows = 0
        self._present = 0
        self._moments = Moments()
        self._mean = Numbers(Field(name="mean", kind="number"), _part(known, "mean"))

    def update(self, column: pl.Series) -> None:
        """Add a chunk of the field's values."""
        present = column.drop_nulls()
        self._rows += len(column)
        self._present += len(present)
        if not len(present):
            return
        elements = present.to_numpy().reshape(len(present), -1).astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            means = elements.mean(axis=1) if elements.shape[1] else np.full(len(present), np.nan)
        self._mean.update(pl.Series("mean", means))
        self._moments = self._moments.plus(moments_of(elements[np.isfinite(elements)]))

    def merge(self, other: FieldProfiler) -> None:
        """Add what another one of the same field and reference has counted."""
        assert isinstance(other, Tensors)
        self._rows += other._rows
        self._present += other._present
        self._moments = self._moments.plus(other._moments)
        self._mean.merge(other._mean)

    def result(self) -> FieldProfile:
        """The profile of everything so far."""
        return FieldProfile(
            name=self._field.name,
            kind=self._field.kind,
            rows=self._rows,
            missing=self._rows - self._present,
            unit=self._field.unit,
            **described(self._moments),
            parts=(self._mean.result(),),
        )


def _part(known: FieldProfile | None, name: str) -> FieldProfile | None:
    parts = () if known is None else known.parts
    return next((part for part in parts if part.name == name), None)
