"""What is known of a column whose kind is not: counted chunk by chunk, in bounded memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import polars as pl

from torchyard.data.proposing.privacy import count_forms
from torchyard.data.proposing.shapes import Shapes
from torchyard.data.reading.pictures import PICTURE_SUFFIXES
from torchyard.data.reading.textual import instance, read_as_times
from torchyard.data.sketches.distinct import DistinctCount

MOST_VALUES = 200
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
_ZONED = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*(?:Z|[+-]\d{2}:?\d{2})$"
_MARKS = ["na", "n/a", "null", "none", "nil", "-", "--", "?", ".", "missing", "unknown"]


@dataclass(slots=True)
class Evidence:
    """One column's values so far.

    ``counts`` holds every value of a text or whole number and how often it came, until there are
    more than 200 different ones. ``present`` counts values that are not missing: null, NaN, an
    empty text or an empty picture. ``are_*`` hold while every value is so. Of texts, ``zoned``
    (times with an offset), ``numbers`` and ``marks`` (NA, null, ?) count those that look like one,
    and ``forms`` those that look personal, see ``count_forms``; ``no_number`` is the first that is
    no number.
    """

    dtype: pl.DataType
    rows: int = 0
    present: int = 0
    minimum: float | None = None
    maximum: float | None = None
    are_whole: bool = True
    longest: int = 0
    characters: int = 0
    words: int = 0
    are_times: bool = True
    are_paths: bool = True
    are_pictures: bool = True
    zoned: int = 0
    numbers: int = 0
    marks: int = 0
    no_number: str | None = None
    shape: tuple[int, ...] | None = None
    are_one_shape: bool = True
    counts: dict[object, int] | None = field(default_factory=dict)
    forms: Counter[str] = field(default_factory=Counter)
    shapes: Shapes = field(default_factory=Shapes)
    distinct: DistinctCount = field(default_factory=DistinctCount)

    @property
    def missing(self) -> int:
        """Values that are missing."""
        return self.rows - self.present

    def see(self, values: pl.Series) -> None:
        """Add values."""
        self.rows += len(values)
        present = without_missing(values).drop_nulls()
        self.present += len(present)
        if present.is_empty():
            return
        if present.dtype.is_numeric():
            self._see_numbers(present)
        elif present.dtype == pl.String:
            self._see_texts(present)
        elif present.dtype == pl.Binary:
            starts = [present.bin.starts_with(magic) for magic in _MAGIC]
            self.are_pictures &= bool(pl.select(pl.any_horizontal(starts)).to_series().all())
        elif present.dtype == pl.Boolean:
            self._count(present)
        elif present.dtype.is_nested():
            self._see_lists(present)

    def _see_numbers(self, present: pl.Series) -> None:
        finite = present.filter(present.is_finite()) if present.dtype.is_float() else present
        if len(finite):
            low, high = float(finite.min()), float(finite.max())  # type: ignore[arg-type]
            self.minimum = low if self.minimum is None else min(self.minimum, low)
            self.maximum = high if self.maximum is None else max(self.maximum, high)
        if not present.dtype.is_integer():
            self.are_whole &= len(finite) == len(present) and bool((finite == finite.round()).all())
        self.distinct.update(present.hash().to_numpy())
        self._count(present)

    def _see_texts(self, present: pl.Series) -> None:
        lengths = present.str.len_chars()
        self.longest = max(self.longest, int(lengths.max()))  # type: ignore[arg-type]
        self.characters += int(lengths.sum())
        self.words += int(present.str.count_matches(r"\S+").sum())
        self.distinct.update(present.hash().to_numpy())
        self._count(present)
        self.shapes.see(present)
        self.are_times = self.are_times and read_as_times(present).null_count() == 0
        self.are_paths = self.are_paths and all(
            path.endswith(PICTURE_SUFFIXES) for path in present.str.to_lowercase().unique()
        )
        self.forms.update(count_forms(present))
        self.zoned += int(present.str.contains(_ZONED).sum())
        self.marks += int(present.str.to_lowercase().is_in(_MARKS).sum())
        are_none = present.cast(pl.Float64, strict=False).is_null()
        self.numbers += len(present) - int(are_none.sum())
        if self.no_number is None and are_none.any():
            self.no_number = str(present.filter(are_none)[0])

    def _see_lists(self, present: pl.Series) -> None:
        shape = _shape(present)
        self.are_one_shape &= shape is not None and self.shape in (None, shape)
        self.shape = self.shape or shape

    def _count(self, present: pl.Series) -> None:
        if self.counts is None:
            return
        for value, count in present.alias("value").value_counts().iter_rows():
            self.counts[value] = self.counts.get(value, 0) + int(count)
            if len(self.counts) > MOST_VALUES:
                self.counts = None
                return

    def merged(self, other: Evidence) -> Evidence:
        """Of both sets of values together."""
        both = Evidence(self.dtype)
        both.rows, both.present = self.rows + other.rows, self.present + other.present
        lows = [x for x in (self.minimum, other.minimum) if x is not None]
        highs = [x for x in (self.maximum, other.maximum) if x is not None]
        both.minimum, both.maximum = min(lows, default=None), max(highs, default=None)
        for name in ("are_whole", "are_times", "are_paths", "are_pictures", "are_one_shape"):
            setattr(both, name, getattr(self, name) and getattr(other, name))
        for name in ("characters", "words", "zoned", "numbers", "marks"):
            setattr(both, name, getattr(self, name) + getattr(other, name))
        both.forms = self.forms + other.forms
        both.no_number = other.no_number if self.no_number is None else self.no_number
        both.longest = max(self.longest, other.longest)
        both.shape = self.shape or other.shape
        both.are_one_shape &= other.shape in (None, both.shape)
        both.counts = _sum(self.counts, other.counts)
        for part in (self, other):
            both.shapes.merge(part.shapes)
            both.distinct.merge(part.distinct)
        return both


def without_missing(values: pl.Series) -> pl.Series:
    """NaN, empty texts and empty pictures as null, as they are in a dataset."""
    if values.dtype.is_float():
        return values.fill_nan(None)
    if values.dtype == pl.String:
        return values.set(values.str.len_bytes() == 0, None)
    if values.dtype == pl.Binary:
        return pl.select(pl.when(values.bin.size() > 0).then(values)).to_series()
    return values


def _sum(a: dict[object, int] | None, b: dict[object, int] | None) -> dict[object, int] | None:
    if a is None or b is None:
        return None
    both = {value: a.get(value, 0) + b.get(value, 0) for value in [*a, *b]}
    return both if len(both) <= MOST_VALUES else None


def _shape(present: pl.Series) -> tuple[int, ...] | None:
    """The one shape of all nested lists of numbers; None where they differ."""
    dtype, sizes, values = present.dtype, list[int](), present
    while isinstance(dtype, (pl.List, pl.Array)):
        if isinstance(dtype, pl.Array):
            sizes.append(dtype.size)
            values = values.arr.explode()
        else:
            lengths = values.list.len()
            if lengths.null_count() or lengths.n_unique() != 1:
                return None
            sizes.append(int(lengths[0]))
            values = values.list.explode()
        dtype = instance(dtype.inner)
    fits = dtype.is_numeric() and all(sizes) and not values.null_count()
    return tuple(sizes) if sizes and fits else None
