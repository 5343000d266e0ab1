"""What changed between two dataset versions: fields, rows, distributions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from torchyard.data.profile import profile
from torchyard.records.dataset import DatasetVersion, FieldProfile
from torchyard.records.schema import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """How far a field's distribution moved.

    ``distance`` is the total variation distance over the older version's bins, 0 (same) to 1
    (disjoint), missing values counted as a bin of their own.
    """

    field: str
    distance: float
    missing_before: float
    missing_after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetDiff:
    """The difference from one version to another. Rows are compared as whole rows."""

    before: str
    after: str
    fields_added: tuple[str, ...]
    fields_removed: tuple[str, ...]
    fields_redeclared: tuple[str, ...]
    rows_added: int
    rows_removed: int
    changes: tuple[FieldChange, ...]


def diff(
    before: DatasetVersion,
    before_rows: pl.DataFrame,
    after: DatasetVersion,
    after_rows: pl.DataFrame,
) -> DatasetDiff:
    """Compare two versions; the changes come largest first."""
    old = {field.name: field for field in before.schema.fields}
    new = {field.name: field for field in after.schema.fields}
    shared = [name for name in before_rows.columns if name in after_rows.columns]
    added, removed = _moved_rows(before_rows.select(shared), after_rows.select(shared))
    changes = [
        change
        for change in _changes(before, after, after_rows)
        if change.distance > 0 or change.missing_before != change.missing_after
    ]
    return DatasetDiff(
        before=before.digest,
        after=after.digest,
        fields_added=tuple(name for name in new if name not in old),
        fields_removed=tuple(name for name in old if name not in new),
        fields_redeclared=tuple(name for name in new if name in old and new[name] != old[name]),
        rows_added=added,
        rows_removed=removed,
        changes=tuple(sorted(changes, key=lambda change: -change.distance)),
    )


def _moved_rows(before: pl.DataFrame, after: pl.DataFrame) -> tuple[int, int]:
    """Rows that only one side has, counted with repetition."""
    counted = [
        frame.group_by(pl.all()).agg(pl.len().alias(side))
        for frame, side in ((before, "__before"), (after, "__after"))
    ]
    joined = counted[0].join(
        counted[1], on=before.columns, how="full", nulls_equal=True, coalesce=True
    )
    gain = (pl.col("__after").fill_null(0).cast(pl.Int64)) - (
        pl.col("__before").fill_null(0).cast(pl.Int64)
    )
    added, removed = joined.select(
        gain.clip(lower_bound=0).sum().alias("added"),
        (-gain).clip(lower_bound=0).sum().alias("removed"),
    ).row(0)
    return int(added), int(removed)


def _changes(
    before: DatasetVersion, after: DatasetVersion, after_rows: pl.DataFrame
) -> list[FieldChange]:
    """Fields that both versions declare alike, over the older version's bins."""
    kinds = {field.name: field.kind for field in after.schema.fields}
    fields = tuple(field for field in before.schema.fields if kinds.get(field.name) == field.kind)
    current = profile(after_rows, Schema(fields=fields), reference=before.profile)
    reference = {item.name: item for item in before.profile.fields}
    return [_change(reference[item.name], item) for item in current.fields]


def _change(before: FieldProfile, after: FieldProfile) -> FieldChange:
    return FieldChange(
        field=before.name,
        distance=float(np.abs(_shares(before) - _shares(after)).sum() / 2),
        missing_before=before.missing / max(before.rows, 1),
        missing_after=after.missing / max(after.rows, 1),
    )


def _shares(field: FieldProfile) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    counts = np.array([*field.counts, field.other, field.missing], dtype=np.float64)
    return counts / max(field.rows, 1)
