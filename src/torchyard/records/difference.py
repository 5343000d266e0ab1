"""What changed from one dataset version to another."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeclared:
    """A field that both versions declare, each in another way.

    ``changes`` reads like ``le: 130, was 120``.
    """

    field: str
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedValues:
    """A field whose value changed in some of the rows that both versions have by key.

    ``examples`` are the first five in the later version's order, as ``id='a7': 3.0, was 4.0``.
    """

    field: str
    rows: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRows:
    """Rows found again by a key, whatever their order.

    Attributes:
        key: the fields that name a row.
        added: rows whose key only the later version has; ``removed`` only the earlier one.
        changed: rows of both by key, with another value in a field that both versions have.
        added_examples: the first five keys; ``removed_examples`` likewise.
        fields: fields by how many rows they changed in, most first.
    """

    key: tuple[str, ...]
    added: int
    removed: int
    changed: int
    added_examples: tuple[str, ...]
    removed_examples: tuple[str, ...]
    fields: tuple[ChangedValues, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """How far the distribution of a field, or of a part of one, moved.

    Attributes:
        field: its name; a part is called ``review characters``.
        distance: the total variation distance over the earlier version's bins, 0 (same) to 1
            (disjoint), missing values counted as a bin of their own.
        missing_before: share of rows without a value; ``missing_after`` likewise.
        mean_shift: by how many standard deviations of the earlier version the mean rose; None
            where there is no mean or no spread.
        decile_shift: the mean absolute difference of the nine deciles in ``unit``: the Wasserstein
            distance of the middle of the distributions, which outliers do not move.
        unit: of the field.
        new_values: categories that only the later version has, the most frequent first, of its 100
            most frequent ones; ``vanished_values`` only the earlier version.
    """

    field: str
    distance: float
    missing_before: float
    missing_after: float
    mean_shift: float | None = None
    decile_shift: float | None = None
    unit: str | None = None
    new_values: tuple[str, ...] = ()
    vanished_values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetDiff:
    """The difference from one version to another, each named by its digest.

    Attributes:
        before: the earlier version; ``after`` the later one.
        label_before: the label's column; ``label_after`` likewise. The label is compared with the
            fields where both are the same column.
        fields_redeclared: fields of both that are declared differently.
        rows_added: whole rows, over the columns of both, that the later version has more often than
            the earlier one, by how much; ``rows_removed`` the other way round. Rows are recognised
            by 64-bit digests.
        keyed: the same by key; None without a key.
        changes: fields whose distribution moved, the largest distance first.
    """

    before: str
    after: str
    label_before: str | None
    label_after: str | None
    fields_added: tuple[str, ...]
    fields_removed: tuple[str, ...]
    fields_redeclared: tuple[Redeclared, ...]
    rows_before: int
    rows_after: int
    rows_added: int
    rows_removed: int
    keyed: KeyedRows | None
    changes: tuple[FieldChange, ...]
