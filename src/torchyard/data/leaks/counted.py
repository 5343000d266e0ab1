"""How often each label was met with each value of a field, by part: what label checks count.

Numbers and timestamps are cut into bins at quantiles of training rows, other values compared for
equality (by their digest, in a bounded number of buckets), texts and pictures also by their length;
a missing value is a value of its own. The first pass samples rows to cut by, the second counts.
Memory does not grow with rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from torchyard.data.leaks.parted import TRAIN, Integers, Numbers, Parted
from torchyard.data.leaks.questions import Question
from torchyard.data.leaks.sample import SmallestDigests
from torchyard.records.schema import Field, FieldKind

BINS = 256
_SAMPLE_ROWS = 20_000
_COUNTERS = 1 << 18

By = Literal["value", "length", "equality"]
VIEWS: dict[FieldKind, tuple[By, ...]] = {
    "number": ("value",),
    "integer": ("value", "equality"),
    "timestamp": ("value",),
    "boolean": ("equality",),
    "category": ("equality",),
    "id": ("equality",),
    "text": ("equality", "length"),
    "image": ("equality", "length"),
    "tensor": ("equality",),
}


@dataclass(slots=True)
class View:
    """One way to read a field, the bins it falls in, and how often each label was met there.

    ``counts`` is ``[3 parts, bins + 1, names]``, of the names of all questions; the last bin is
    that of missing values.
    """

    field: Field
    by: By
    edges: Numbers
    counts: Integers

    @property
    def column(self) -> str:
        """What the view's numbers are called beside those of other views."""
        return f"{self.field.name}\x1f{self.by}"

    def numbers(self, frame: pl.DataFrame) -> pl.Series:
        """What the bins cut, Float64 ``[rows]``; null where missing."""
        series = frame[self.field.name]
        if self.by == "length":
            binary = series.dtype == pl.Binary
            series = series.bin.size() if binary else series.cast(pl.String).str.len_chars()
        return series.to_physical().cast(pl.Float64).fill_nan(None).alias(self.column)

    def bins(self, rows: Parted) -> Integers:
        """The bin of each row, ``[rows]``."""
        missing = self.counts.shape[1] - 1
        if self.by == "equality":
            digests, there = rows.prints.values(self.field)
            return np.where(there, (digests % np.uint64(missing)).astype(np.int64), missing)
        numbers = self.numbers(rows.frame)
        places = np.searchsorted(self.edges, numbers.fill_null(0.0).to_numpy(), side="right")
        return np.where(numbers.is_not_null().to_numpy(), places, missing)


class FieldCounts:
    """Counts over two passes.

    Args:
        fields: what to count.
        questions: of the label.
    """

    def __init__(self, fields: Sequence[Field], questions: Sequence[Question]) -> None:
        self._questions = questions
        self._names = sum(len(question.names) for question in questions)
        self.views = [
            View(field, by, np.zeros(0), np.zeros((3, 1, self._names), dtype=np.int64))
            for field in fields
            for by in VIEWS[field.kind]
        ]
        self._sample = SmallestDigests(_SAMPLE_ROWS)

    def first(self, rows: Parted) -> None:
        """Take a sample of training rows, to cut numbers by."""
        here = pl.Series(rows.parts == TRAIN)
        numbers = [view.numbers(rows.frame) for view in self.views if view.by != "equality"]
        if numbers:
            digests = pl.Series(rows.digests, dtype=pl.UInt64).filter(here)
            self._sample.add(pl.DataFrame(numbers).filter(here), digests)

    def settle(self) -> None:
        """Cut each field into bins."""
        sample = self._sample.rows()
        for view in self.views:
            bins = max(_COUNTERS // (3 * self._names), 1024)
            if view.by != "equality":
                view.edges = _edges(sample[view.column]) if sample.height else np.zeros(0)
                bins = len(view.edges) + 1
            view.counts = np.zeros((3, bins + 1, self._names), dtype=np.int64)

    def second(self, rows: Parted) -> None:
        """Count labelled rows."""
        known = (rows.marks >= 0) & (rows.parts >= 0)
        parts, codes = rows.parts[known], [codes[known] for codes in rows.codes]
        for view in self.views:
            bins = view.bins(rows)[known]
            for question, own in zip(self._questions, codes, strict=True):
                np.add.at(view.counts, (parts, bins, question.first + own), 1)


def _edges(sample: pl.Series) -> Numbers:
    """Where to cut: at each value of few, else at the quantiles of many."""
    numbers = sample.drop_nulls().to_numpy()
    values = np.unique(numbers)
    if len(values) <= BINS:
        return values
    cuts: Numbers = np.unique(np.quantile(numbers, np.linspace(0, 1, BINS + 1)[1:-1]))
    return cuts
