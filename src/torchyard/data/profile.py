"""Profiles: the distribution of every field, in bins that two sets of rows can be compared by.

The same code describes training data when it is imported and traffic when it is watched. It only
describes; whether a difference matters is decided in ``monitor``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from torchyard.core.errors import BadData
from torchyard.records.dataset import FieldProfile, Profile
from torchyard.records.schema import Field, Schema

Floats = npt.NDArray[np.float64]

NUMERIC_BINS = 20
LONGEST_CATEGORY_LIST = 100
HOURS = 24
_HOUR_US = 3_600_000_000
DECILES = np.arange(1, 10) / 10

_SCORES = Schema(fields=(Field(name="probability", kind="number", ge=0.0, le=1.0),))


def profile(frame: pl.DataFrame, schema: Schema, *, reference: Profile | None = None) -> Profile:
    """Describe every field of some rows.

    Missing are nulls, numbers that are not finite and empty texts, as in the raw columns.

    Without a reference, numbers are cut into at most 20 bins of equal mass (a value on an edge
    belongs to the bin above it); with at most 20 distinct values there is a bin for each, and a
    single value gets a bin of its own between "below" and "above". Categories list their 100 most
    frequent values, ties by name. With a reference, its bins and values are used, so counts compare
    bin by bin and values it does not list fall in ``other``. Timestamps are counted by hour of the
    day as they stand; their minimum and maximum are seconds since 1970-01-01.

    Args:
        frame: rows that have the schema's fields as columns of the matching types.
        schema: the fields to describe.
        reference: an earlier profile of (at least) the same fields.

    Raises:
        BadData: the frame or the reference lacks a field, or the reference has it as another kind.

    Example:
        >>> rows = pl.DataFrame({"hops": [1, 1, 2, None]})
        >>> hops = profile(rows, Schema(fields=(Field(name="hops", kind="integer"),))).fields[0]
        >>> hops.edges, hops.counts, hops.missing
        ((1.5,), (2, 1), 1)
    """
    return Profile(
        rows=frame.height,
        fields=tuple(
            _field_profile(_column(frame, field), field, _known(reference, field))
            for field in schema.fields
        ),
    )


def profile_scores(
    scores: npt.NDArray[np.floating], *, reference: Profile | None = None
) -> Profile:
    """Describe answers: a profile of one number named ``probability``.

    Args:
        scores: ``[rows]``, calibrated probability of the second class, 0 to 1.
        reference: the profile of earlier answers, whose bins are used.
    """
    column = pl.Series("probability", scores.astype(np.float64))
    return profile(column.to_frame(), _SCORES, reference=reference)


def merge(a: Profile, b: Profile) -> Profile:
    """The profile of both sets of rows together, from their profiles alone.

    Rows, counts, missing, minimum and maximum are exact, the mean is weighted (exact up to
    rounding). Deciles are interpolated: minimum, maximum, bin edges and deciles are known points of
    each part's cumulative distribution, taken as straight between them; the mixture's is inverted.

    Raises:
        BadData: the two were not made with the same bins.
    """
    if [field.name for field in a.fields] != [field.name for field in b.fields]:
        raise _other_bins("profiles", "other fields")
    return Profile(
        rows=a.rows + b.rows,
        fields=tuple(_merged(one, two) for one, two in zip(a.fields, b.fields, strict=True)),
    )


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


def _field_profile(column: pl.Series, field: Field, known: FieldProfile | None) -> FieldProfile:
    if field.kind == "category":
        return _of_category(column, field, known)
    if field.kind == "timestamp":
        return _of_timestamp(column, field)
    return _of_number(column, field, known)


def _of_number(column: pl.Series, field: Field, known: FieldProfile | None) -> FieldProfile:
    values = column.cast(pl.Float64).to_numpy()  # nulls become not-a-number
    ordered = np.sort(values[np.isfinite(values)])
    edges = _edges(ordered, field) if known is None else np.array(known.edges)
    below = np.searchsorted(ordered, edges, side="left")
    counts = np.diff(below, prepend=0, append=ordered.size)
    some = ordered.size > 0
    return FieldProfile(
        name=field.name,
        kind=field.kind,
        rows=len(column),
        missing=len(column) - ordered.size,
        unit=field.unit,
        minimum=float(ordered[0]) if some else None,
        maximum=float(ordered[-1]) if some else None,
        # Divided before summed: the sum of huge numbers is infinite.
        mean=float((ordered / ordered.size).sum()) if some else None,
        edges=tuple(edges.tolist()),
        quantiles=_deciles(ordered),
        counts=tuple(counts.tolist()),
    )


def _edges(ordered: Floats, field: Field) -> Floats:
    """Where to cut ascending values, ascending."""
    if field.kind == "boolean":
        return np.array([0.5])
    if ordered.size == 0:
        return ordered
    starts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    if starts.size == 0:
        alone = np.array([ordered[0], np.nextafter(ordered[0], np.inf)])
        return np.extract(np.isfinite(alone), alone)
    if starts.size < NUMERIC_BINS:
        return np.unique(ordered[starts - 1] / 2 + ordered[starts] / 2)
    cuts = ordered[np.arange(1, NUMERIC_BINS) * ordered.size // NUMERIC_BINS]
    return np.unique(cuts[cuts > ordered[0]])


def _deciles(ordered: Floats) -> tuple[float, ...]:
    """Nine deciles of ascending values, linear between ranks (Hyndman and Fan 1996, type 7)."""
    if ordered.size == 0:
        return ()
    place = DECILES * (ordered.size - 1)
    lower = np.floor(place).astype(np.int64)
    share = place - lower
    upper = np.minimum(lower + 1, ordered.size - 1)
    # Two products, not a difference: the difference of two huge numbers is infinite. Their sum is
    # rounded, so it is held between the two: deciles of a constant are that constant.
    between = ordered[lower] * (1 - share) + ordered[upper] * share
    held = np.clip(between, ordered[lower], ordered[upper])
    return tuple(np.maximum.accumulate(held).tolist())


def _of_category(column: pl.Series, field: Field, known: FieldProfile | None) -> FieldProfile:
    present = column.cast(pl.String).drop_nulls().alias("value")
    present = present.filter(present != "")
    if known is None:
        tally = present.value_counts(name="rows")
        tally = tally.sort("rows", "value", descending=[True, False]).head(LONGEST_CATEGORY_LIST)
    else:
        tally = present.filter(present.is_in(known.values)).value_counts(name="rows")
    found = {str(value): int(rows) for value, rows in tally.iter_rows()}
    values = tuple(found) if known is None else known.values
    counts = tuple(found.get(value, 0) for value in values)
    return FieldProfile(
        name=field.name,
        kind=field.kind,
        rows=len(column),
        missing=len(column) - len(present),
        values=values,
        counts=counts,
        other=len(present) - sum(counts),
    )


def _of_timestamp(column: pl.Series, field: Field) -> FieldProfile:
    micros = column.cast(pl.Datetime("us")).drop_nulls().cast(pl.Int64).to_numpy()
    seconds = micros / 1e6
    counts = np.bincount(micros // _HOUR_US % HOURS, minlength=HOURS)
    return FieldProfile(
        name=field.name,
        kind=field.kind,
        rows=len(column),
        missing=len(column) - micros.size,
        minimum=float(seconds.min()) if seconds.size else None,
        maximum=float(seconds.max()) if seconds.size else None,
        counts=tuple(counts.tolist()),
    )


def _merged(a: FieldProfile, b: FieldProfile) -> FieldProfile:
    if (a.name, a.kind, a.edges, a.values) != (b.name, b.kind, b.edges, b.values):
        raise _other_bins(f"field '{a.name}'", "other edges or values")
    minima = [x.minimum for x in (a, b) if x.minimum is not None]
    maxima = [x.maximum for x in (a, b) if x.maximum is not None]
    return replace(
        a,
        rows=a.rows + b.rows,
        missing=a.missing + b.missing,
        minimum=min(minima, default=None),
        maximum=max(maxima, default=None),
        mean=_mixed_mean(a, b),
        quantiles=_mixed_deciles(a, b),
        counts=tuple(x + y for x, y in zip(a.counts, b.counts, strict=True)),
        other=a.other + b.other,
    )


def _mixed_mean(a: FieldProfile, b: FieldProfile) -> float | None:
    if a.mean is None or b.mean is None:
        return b.mean if a.mean is None else a.mean
    share = sum(a.counts) / (sum(a.counts) + sum(b.counts))
    return a.mean * share + b.mean * (1 - share)


def _mixed_deciles(a: FieldProfile, b: FieldProfile) -> tuple[float, ...]:
    if not a.quantiles or not b.quantiles:
        return a.quantiles or b.quantiles
    share = sum(a.counts) / (sum(a.counts) + sum(b.counts))
    curves = (_cumulative(a), _cumulative(b))
    grid = np.unique(np.concatenate([places for places, _, _ in curves]))
    below, upto = (
        share * one + (1 - share) * two
        for one, two in zip(_along(grid, *curves[0]), _along(grid, *curves[1]), strict=True)
    )
    rising = np.maximum.accumulate(np.stack([below, upto], axis=1).ravel())
    deciles = np.interp(DECILES, rising, np.repeat(grid, 2)).clip(grid[0], grid[-1])
    return tuple(np.maximum.accumulate(deciles).tolist())


def _cumulative(field: FieldProfile) -> tuple[Floats, Floats, Floats]:
    """Known points of a field's distribution: places, share of values below, and up to, each."""
    below_edges = np.cumsum(field.counts)[:-1] / sum(field.counts)
    places = np.concatenate([[field.minimum, field.maximum], field.edges, field.quantiles])
    shares = np.concatenate([[0.0, 1.0], below_edges, DECILES])
    inside = (places >= places[0]) & (places <= places[1])
    places, shares = places[inside], shares[inside]
    order = np.lexsort((shares, places))
    places, shares = places[order], np.maximum.accumulate(shares[order])
    starts = np.flatnonzero(np.diff(places, prepend=-np.inf))
    ends = np.append(starts[1:], places.size) - 1
    return places[starts], shares[starts], shares[ends]


def _along(grid: Floats, places: Floats, below: Floats, upto: Floats) -> tuple[Floats, Floats]:
    """A distribution read at any ascending places: shares below, and up to, each of them."""
    before = np.searchsorted(places, grid, side="left")
    exact = (before < places.size) & (places[np.minimum(before, places.size - 1)] == grid)
    knots = np.repeat(places, 2)
    between = np.interp(grid, knots, np.stack([below, upto], axis=1).ravel(), left=0.0, right=1.0)
    hit = np.minimum(before, places.size - 1)
    return np.where(exact, below[hit], between), np.where(exact, upto[hit], between)


def _other_bins(where: str, found: str) -> BadData:
    return BadData(
        where=where,
        found=found,
        expected="two profiles made with the same reference",
        remedy="Profile both sets of rows with reference= set to the same profile.",
    )
