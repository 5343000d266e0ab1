"""What changed between two dataset versions: declarations, rows, distributions.

Versions are read in chunks, some columns at a time; what is kept is 8 or 16 bytes per row. Which
rows changed is told by ``comparing.rows``, how distributions moved by ``comparing.values``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from torchyard.core.errors import BadUsage, nearest
from torchyard.core.record import to_json
from torchyard.data.comparing.rows import Rows, count_moved, digest_rows, keyed_rows
from torchyard.data.comparing.values import field_changes
from torchyard.records.dataset import DatasetVersion
from torchyard.records.difference import DatasetDiff, Redeclared
from torchyard.records.schema import Field

__all__ = ["Rows", "diff"]


def diff(before: Rows, after: Rows, *, key: Sequence[str] = ()) -> DatasetDiff:
    """Compare two versions.

    Args:
        before: the earlier version.
        after: the later one.
        key: fields that name a row together; when left out, a field that both versions declare
            unique and not optional, if there is one.

    Raises:
        BadUsage: the key is not among the fields of both versions, or some rows share theirs.
    """
    names = _shared_columns(before.version, after.version)
    key = tuple(key) or _own_key(before.version, after.version)
    _check_key(key, before.version, after.version)
    old, new = before.version.schema, after.version.schema
    first, second = (digest_rows(rows, names, key) for rows in (before, after))
    added, removed = count_moved(first.rows, second.rows)
    keyed = keyed_rows((before, first), (after, second), names=names, key=key) if key else None
    return DatasetDiff(
        before=before.version.digest,
        after=after.version.digest,
        label_before=before.version.label,
        label_after=after.version.label,
        fields_added=tuple(name for name in new.names if name not in old.names),
        fields_removed=tuple(name for name in old.names if name not in new.names),
        fields_redeclared=tuple(
            Redeclared(field=field.name, changes=_declared(field, new.field(field.name)))
            for field in old.fields
            if field.name in new.names and field != new.field(field.name)
        ),
        rows_before=before.version.rows,
        rows_after=after.version.rows,
        rows_added=added,
        rows_removed=removed,
        keyed=keyed,
        changes=field_changes(before, after, names=names),
    )


def _shared_columns(before: DatasetVersion, after: DatasetVersion) -> list[str]:
    """Columns of both in the earlier version's order; the label last."""
    shared = [name for name in before.schema.names if name in after.schema.names]
    if before.label is not None and before.label == after.label:
        shared.append(before.label)
    return shared


def _own_key(before: DatasetVersion, after: DatasetVersion) -> tuple[str, ...]:
    unique = [
        {field.name for field in version.schema.fields if field.unique and not field.optional}
        for version in (before, after)
    ]
    return tuple(name for name in before.schema.names if name in unique[0] & unique[1])[:1]


def _check_key(key: Sequence[str], before: DatasetVersion, after: DatasetVersion) -> None:
    known = [name for name in before.schema.names if name in after.schema.names]
    for name in key:
        if name not in known:
            raise BadUsage(
                where="key",
                found=f"'{name}'",
                expected="a field that both versions have",
                remedy=nearest(name, known),
            )


def _declared(before: Field, after: Field) -> tuple[str, ...]:
    return tuple(
        f"{item.name}: {_worded(getattr(after, item.name))}, was "
        f"{_worded(getattr(before, item.name))}"
        for item in dataclasses.fields(Field)
        if getattr(before, item.name) != getattr(after, item.name)
    )


def _worded(value: object) -> str:
    """A declared value as a person would write it.

    Example:
        >>> _worded(True), _worded(None), _worded(("a", "b"))
        ('yes', 'none', 'a, b')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(to_json(value))
