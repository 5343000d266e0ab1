"""How far the distributions of two dataset versions lie apart, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from torchyard.data.comparing.rows import Rows
from torchyard.data.profile import Profiler
from torchyard.records.dataset import FieldProfile, Profile
from torchyard.records.difference import FieldChange
from torchyard.records.schema import Field, Schema


def field_changes(before: Rows, after: Rows, *, names: Sequence[str]) -> tuple[FieldChange, ...]:
    """Fields, and parts of them, whose distribution moved, the largest distance first.

    Both versions are counted anew in the earlier one's bins, so the distances are exact. Fields of
    another kind in the later version are left out; ids are compared by their missing values alone.

    Args:
        before: the earlier version.
        after: the later one.
        names: columns of both.
    """
    pairs = zip(before.fields(names), after.fields(names), strict=True)
    fields = [one for one, two in pairs if one.kind == two.kind]
    reference = _complete(before, fields)
    old, new = (_counted(rows, fields, reference) for rows in (before, after))
    fresh = _new_values(before, after, [field for field in fields if field.kind == "category"])
    changes = []
    for one, two in zip(old.fields, new.fields, strict=True):
        changes += [_change(one, two, fresh.get(one.name, ())), *_part_changes(one, two)]
    moved = [
        change
        for change in changes
        if change.distance > 0 or change.missing_before != change.missing_after
    ]
    return tuple(sorted(moved, key=lambda change: -change.distance))


def _new_values(
    before: Rows, after: Rows, categories: Sequence[Field]
) -> dict[str, tuple[str, ...]]:
    """Per category those of the later version's frequent values that the earlier one never has."""
    listed = _complete(after, categories)
    counted = _counted(before, categories, listed)
    return {field.name: tuple(_without_rows(field.values, field)) for field in counted.fields}


def _complete(rows: Rows, fields: Sequence[Field]) -> Profile:
    """A version's profile, with the fields that it does not hold: the label."""
    known = rows.version.profile
    names = {field.name for field in known.fields}
    made = _counted(rows, [field for field in fields if field.name not in names], None)
    return Profile(rows=known.rows, fields=(*known.fields, *made.fields))


def _counted(rows: Rows, fields: Sequence[Field], reference: Profile | None) -> Profile:
    profiler = Profiler(Schema(fields=tuple(fields)), reference=reference)
    if fields:
        for frame in rows.read([field.name for field in fields]):
            profiler.update(frame)
    return profiler.result()


def _part_changes(before: FieldProfile, after: FieldProfile) -> Iterator[FieldChange]:
    for one, two in zip(before.parts, after.parts, strict=True):
        yield _change(one, two, (), name=f"{before.name} {one.name}")


def _change(
    before: FieldProfile, after: FieldProfile, new_values: tuple[str, ...], name: str | None = None
) -> FieldChange:
    is_category = before.kind == "category"
    return FieldChange(
        field=name or before.name,
        distance=_distance(before, after),
        missing_before=before.missing / max(before.rows, 1),
        missing_after=after.missing / max(after.rows, 1),
        mean_shift=_mean_shift(before, after),
        decile_shift=_decile_shift(before, after),
        unit=before.unit,
        new_values=new_values,
        vanished_values=tuple(_without_rows(before.values, after)) if is_category else (),
    )


def _distance(before: FieldProfile, after: FieldProfile) -> float:
    """Total variation: half the sum of the absolute differences of shares."""
    shares = [
        np.array([*_counts(field), field.missing], dtype=np.float64) / max(field.rows, 1)
        for field in (before, after)
    ]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def _counts(field: FieldProfile) -> tuple[int, ...]:
    """Counts by bin; of an id there are no bins, only present and missing rows."""
    if field.kind == "id" or not field.counts:
        return (field.rows - field.missing,)
    return (*field.counts, field.other)


def _without_rows(values: Sequence[str], counted: FieldProfile) -> Iterator[str]:
    counts = dict(zip(counted.values, counted.counts, strict=True))
    return (value for value in values if counts.get(value) == 0)


def _mean_shift(before: FieldProfile, after: FieldProfile) -> float | None:
    if before.mean is None or after.mean is None or not before.standard_deviation:
        return None
    shift = (after.mean / before.standard_deviation) - (before.mean / before.standard_deviation)
    return float(shift) if np.isfinite(shift) else None


def _decile_shift(before: FieldProfile, after: FieldProfile) -> float | None:
    if not before.quantiles or not after.quantiles:
        return None
    with np.errstate(over="ignore"):
        shift = float(np.abs(np.array(after.quantiles) - np.array(before.quantiles)).mean())
    return shift if np.isfinite(shift) else None
