"""Profiles of fields that hold one value per row: numbers, categories, ids, timestamps.

Each class counts one field over any number of chunks, and can be merged with another of its kind
that was made with the same reference.
"""

from __future__ import annotations

from math import ceil
from typing import Protocol, TypedDict

import numpy as np
import numpy.typing as npt
import polars as pl

from torchyard.data.fingerprint import mixed, value_digests
from torchyard.data.sketches.distinct import DistinctCount
from torchyard.data.sketches.frequent import FrequentTexts, tally_of
from torchyard.data.sketches.moments import Moments, moments_of
from torchyard.data.sketches.quantiles import Counts, Floats, QuantileSketch, runs, value_at
from torchyard.records.dataset import FieldProfile
from torchyard.records.schema import Field

NUMERIC_BINS = 20
LONGEST_LIST = 100
HOURS = 24
DECILES = np.arange(1, 10) / 10
# Beside exact counts in a reference's bins a sketch only gives deciles: less of it will do.
_K_BESIDE_COUNTS = 512
_HOUR_US = 3_600_000_000


class Extremes(TypedDict, total=False):
    """Two fields of a ``FieldProfile``; absent where there are no values."""

    minimum: float
    maximum: float


class Described(Extremes, total=False):
    """What a ``FieldProfile`` says of numbers beside their bins."""

    mean: float | None
    standard_deviation: float | None
    zeros: int
    negative: int


class Distinct(TypedDict, total=False):
    """Two fields of a ``FieldProfile``; absent where different values were not counted."""

    distinct: int
    distinct_error: float


class FieldProfiler(Protocol):
    """What counts one field."""

    def update(self, column: pl.Series) -> None:
        """Add a chunk of the field's values."""

    def merge(self, other: FieldProfiler) -> None:
        """Add what another one of the same field and reference has counted."""

    def result(self) -> FieldProfile:
        """The profile of everything so far."""


class Numbers:
    """Numbers, integers and booleans.

    Without a reference the bins are cut from the quantile sketch: at most 20 of equal mass (a value
    on an edge belongs to the bin above it); with at most 20 distinct values a bin for each, and a
    single value gets a bin of its own between "below" and "above".
    """

    def __init__(self, field: Field, known: FieldProfile | None = None) -> None:
        self._field = field
        self._rows = 0
        self._moments = Moments()
        self._edges = None if known is None else np.array(known.edges)
        self._counts = np.zeros(0 if known is None else len(known.edges) + 1, dtype=np.int64)
        self._sketch = QuantileSketch() if known is None else QuantileSketch(_K_BESIDE_COUNTS)
        self._distinct = DistinctCount() if known is None else None

    def update(self, column: pl.Series) -> None:
        """Add a chunk of the field's values."""
        values = column.cast(pl.Float64).to_numpy()  # nulls become not-a-number
        # One zero: -0.0 becomes 0.0.
        ordered = np.sort(values[np.isfinite(values)] + 0.0)
        self._rows += len(column)
        self._moments = self._moments.plus(moments_of(ordered))
        self._sketch.update(ordered)
        if self._edges is not None:
            below = np.searchsorted(ordered, self._edges, side="left")
            self._counts += np.diff(below, prepend=0, append=ordered.size)
        if self._distinct is not None:
            self._distinct.update(mixed(runs(ordered)[0].view(np.uint64)))

    def merge(self, other: FieldProfiler) -> None:
        """Add what another one of the same field and reference has counted."""
        assert isinstance(other, Numbers)
        self._rows += other._rows
        self._moments = self._moments.plus(other._moments)
        self._sketch.merge(other._sketch)
        self._counts = self._counts + other._counts
        if self._distinct is not None and other._distinct is not None:
            self._distinct.merge(other._distinct)

    def result(self) -> FieldProfile:
        """The profile of everything so far."""
        moments, sketch = self._moments, self._sketch
        values, weights = sketch.weighted()
        edges, counts, count_error = self._edges, self._counts, 0
        if edges is None:
            edges = _edges(values, weights, self._field)
            below = np.append(0, np.cumsum(weights))[np.searchsorted(values, edges)]
            counts = np.diff(below, prepend=0, append=moments.rows)
            count_error = ceil(2 * sketch.rank_error * moments.rows)
        return FieldProfile(
            name=self._field.name,
            kind=self._field.kind,
            rows=self._rows,
            missing=self._rows - moments.rows,
            unit=self._field.unit,
            **described(moments),
            edges=tuple(edges.tolist()),
            quantiles=_deciles(values, weights),
            rank_error=sketch.rank_error,
            counts=tuple(counts.tolist()),
            count_error=count_error,
            **distinct_of(self._distinct, exactly=values.size if sketch.is_exact else None),
        )


class Categories:
    """Categories, and ids: of these only values that occur more than once are listed.

    Without a reference the 100 most frequent values are listed, ties by name; with one, its values.
    """

    def __init__(self, field: Field, known: FieldProfile | None = None) -> None:
        self._field = field
        self._rows = 0
        self._missing = 0
        self._known = None if known is None else dict.fromkeys(known.values, 0)
        self._frequent = FrequentTexts()
        self._distinct = DistinctCount() if known is None else None

    def update(self, column: pl.Series) -> None:
        """Add a chunk of the field's values."""
        present = column.cast(pl.String).drop_nulls()
        present = present.filter(present != "")
        self._rows += len(column)
        self._missing += len(column) - len(present)
        if self._known is not None:
            listed = present.filter(present.is_in(list(self._known)))
            for value, rows in tally_of(listed).iter_rows():
                self._known[value] += rows
        elif len(present):
            tally = tally_of(present)
            self._frequent.update(tally)
            digests, _ = value_digests(tally["value"], self._field)
            assert self._distinct is not None
            self._distinct.update(digests)

    def merge(self, other: FieldProfiler) -> None:
        """Add what another one of the same field and reference has counted."""
        assert isinstance(other, Categories)
        self._rows += other._rows
        self._missing += other._missing
        self._frequent.merge(other._frequent)
        if self._known is not None and other._known is not None:
            self._known = {value: n + other._known[value] for value, n in self._known.items()}
        if self._distinct is not None and other._distinct is not None:
            self._distinct.merge(other._distinct)

    def result(self) -> FieldProfile:
        """The profile of everything so far."""
        is_id = self._field.kind == "id"
        listed = self._known
        if listed is None:
            listed = self._frequent.top(LONGEST_LIST, at_least=2 if is_id else 1)
        present = self._rows - self._missing
        return FieldProfile(
            name=self._field.name,
            kind=self._field.kind,
            rows=self._rows,
            missing=self._missing,
            values=tuple(listed),
            counts=tuple(listed.values()),
            other=present - sum(listed.values()),
            count_error=self._frequent.error if listed and self._known is None else 0,
            **distinct_of(self._distinct),
        )


class Timestamps:
    """Timestamps by hour of the day as they stand."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self._rows = 0
        self._moments = Moments()
        self._hours = np.zeros(HOURS, dtype=np.int64)

    def update(self, column: pl.Series) -> None:
        """Add a chunk of the field's values."""
        micros = column.cast(pl.Datetime("us")).drop_nulls().cast(pl.Int64).to_numpy()
        self._rows += len(column)
        self._moments = self._moments.plus(moments_of(micros / 1e6))
        self._hours += np.bincount(micros // _HOUR_US % HOURS, minlength=HOURS)

    def merge(self, other: FieldProfiler) -> None:
        """Add what another one of the same field has counted."""
        assert isinstance(other, Timestamps)
        self._rows += other._rows
        self._moments = self._moments.plus(other._moments)
        self._hours = self._hours + other._hours

    def result(self) -> FieldProfile:
        """The profile of everything so far."""
        return FieldProfile(
            name=self._field.name,
            kind=self._field.kind,
            rows=self._rows,
            missing=self._rows - self._moments.rows,
            **extremes(self._moments),
            counts=tuple(self._hours.tolist()),
        )


def extremes(moments: Moments) -> Extremes:
    """Minimum and maximum, where there are any."""
    if not moments.rows:
        return {}
    return {"minimum": moments.minimum, "maximum": moments.maximum}


def described(moments: Moments) -> Described:
    """All that moments say; no extremes and no mean where there are no values."""
    return {
        **extremes(moments),
        "mean": moments.mean if moments.rows else None,
        "standard_deviation": moments.standard_deviation,
        "zeros": moments.zeros,
        "negative": moments.negative,
    }


def distinct_of(count: DistinctCount | None, *, exactly: int | None = None) -> Distinct:
    """How many different values, with its error; nothing where they were not counted."""
    if count is None:
        return {}
    if exactly is not None:
        return {"distinct": exactly, "distinct_error": 0.0}
    return {"distinct": count.estimate(), "distinct_error": count.error}


def _edges(values: Floats, weights: Counts, field: Field) -> Floats:
    """Where to cut the line, ascending, given different values and how often each occurs."""
    if field.kind == "boolean":
        return np.array([0.5])
    if values.size == 0:
        return values
    if values.size == 1:
        alone = np.array([values[0], np.nextafter(values[0], np.inf)])
        return np.extract(np.isfinite(alone), alone)
    if values.size <= NUMERIC_BINS:
        return np.unique(values[:-1] / 2 + values[1:] / 2)
    places = np.arange(1, NUMERIC_BINS) * int(weights.sum()) // NUMERIC_BINS
    cuts = value_at(values, weights, places)
    return np.unique(cuts[cuts > values[0]])


def _deciles(values: Floats, weights: Counts) -> tuple[float, ...]:
    """Nine deciles, linear between ranks (Hyndman and Fan 1996, type 7)."""
    if values.size == 0:
        return ()
    last = int(weights.sum()) - 1
    place = DECILES * last
    lower = np.floor(place).astype(np.int64)
    share = place - lower
    low = value_at(values, weights, lower)
    high = value_at(values, weights, np.minimum(lower + 1, last))
    # Two products, not a difference: the difference of two huge numbers is infinite. Their sum is
    # rounded, so it is held between the two: deciles of a constant are that constant.
    held: npt.NDArray[np.float64] = np.clip(low * (1 - share) + high * share, low, high)
    return tuple(np.maximum.accumulate(held).tolist())
