"""Which rows two dataset versions share: as whole rows, and by a key.

Rows and keys are recognised by 64-bit digests (``fingerprint``): two different rows of ten million
pass for the same with a probability of about one in a million.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from torchyard.core.errors import BadUsage
from torchyard.data.fingerprint import Digests, row_digests, value_digests
from torchyard.data.leaks.parted import EXAMPLES, shown_value
from torchyard.records.dataset import DatasetVersion
from torchyard.records.difference import ChangedValues, KeyedRows
from torchyard.records.schema import Field, FieldKind

Places = npt.NDArray[np.int64]

# Digests of as many changed values are kept at once, 16 bytes each.
_MOST_VALUES = 1 << 24


@dataclass(frozen=True)
class Rows:
    """A version and how to read some columns of it, in the same order each time."""

    version: DatasetVersion
    read: Callable[[Sequence[str]], Iterable[pl.DataFrame]]

    def fields(self, names: Sequence[str]) -> list[Field]:
        """Columns as this version declares them; the label is a number or counts as a category."""
        schema = self.version.schema
        return [
            schema.field(name) if name in schema.names else Field(name=name, kind=self._kind(name))
            for name in names
        ]

    def _kind(self, label: str) -> FieldKind:
        first = next(iter(self.read([label])), None)
        return "number" if first is not None and first[label].dtype.is_float() else "category"


@dataclass(frozen=True)
class DigestedRows:
    """Digests of a version's rows in order, ``[rows]``, and of their keys; empty without a key."""

    rows: Digests
    keys: Digests


def digest_rows(rows: Rows, names: Sequence[str], key: Sequence[str]) -> DigestedRows:
    """Read some columns of a version once."""
    fields, keys = rows.fields(names), rows.fields(key)
    found: list[tuple[Digests, Digests]] = []
    if fields:
        for frame in rows.read(names):
            own = row_digests(frame, keys) if keys else np.empty(0, dtype=np.uint64)
            found.append((row_digests(frame, fields), own))
    none = np.empty(0, dtype=np.uint64)
    return DigestedRows(
        rows=np.concatenate([none, *(digests for digests, _ in found)]),
        keys=np.concatenate([none, *(own for _, own in found)]),
    )


def count_moved(before: Digests, after: Digests) -> tuple[int, int]:
    """Rows added and removed, counted with repetition, in any order.

    Example:
        >>> before, after = (np.array(rows, dtype=np.uint64) for rows in ([1, 1, 2], [2, 3, 1, 3]))
        >>> count_moved(before, after)
        (2, 1)
    """
    digests = np.concatenate([before, after])
    gain = np.repeat(np.array([-1, 1], dtype=np.int64), [before.size, after.size])
    order = np.argsort(digests)
    digests, gain = digests[order], gain[order]
    starts = np.flatnonzero(np.concatenate([[True], digests[1:] != digests[:-1]])[: digests.size])
    net = np.add.reduceat(gain, starts) if starts.size else gain
    return int(net[net > 0].sum()), int(-net[net < 0].sum())


def keyed_rows(
    before: tuple[Rows, DigestedRows],
    after: tuple[Rows, DigestedRows],
    *,
    names: Sequence[str],
    key: Sequence[str],
) -> KeyedRows:
    """Compare rows that have the same key.

    Args:
        before: the earlier version and its digests.
        after: the later one and its.
        names: columns of both.
        key: those that name a row.

    Raises:
        BadUsage: rows of one version share their key.
    """
    (rows_before, old), (rows_after, new) = before, after
    _check_unique("earlier", rows_before, old.keys, key)
    _check_unique("later", rows_after, new.keys, key)
    place_before = _places_of(new.keys, old.keys)
    is_known = place_before >= 0
    differs = old.rows[place_before[is_known]] != new.rows[is_known]
    gone = np.ones(old.keys.size, dtype=np.bool_)
    gone[place_before[is_known]] = False
    fresh = np.flatnonzero(~is_known)
    return KeyedRows(
        key=tuple(key),
        added=int(fresh.size),
        removed=int(gone.sum()),
        changed=int(differs.sum()),
        added_examples=_shown_keys(rows_after, fresh[:EXAMPLES], key),
        removed_examples=_shown_keys(rows_before, np.flatnonzero(gone)[:EXAMPLES], key),
        fields=_changed_values(
            rows_before,
            rows_after,
            np.sort(new.keys[is_known][differs]),
            names=[name for name in names if name not in key],
            key=key,
        ),
    )


def _places_of(wanted: Digests, among: Digests) -> Places:
    """Where each wanted digest stands among others; -1 where it does not."""
    if not among.size:
        return np.full(wanted.size, -1, dtype=np.int64)
    order = np.argsort(among)
    at = np.minimum(np.searchsorted(among, wanted, sorter=order), among.size - 1)
    found: Places = np.where(among[order[at]] == wanted, order[at], -1)
    return found


def _check_unique(version: str, rows: Rows, digests: Digests, key: Sequence[str]) -> None:
    order = np.argsort(digests, kind="stable")
    ordered = digests[order]
    same = ordered[1:] == ordered[:-1]
    if same.any():
        shared = np.zeros(ordered.size, dtype=np.bool_)
        shared[1:] |= same
        shared[:-1] |= same
        place = np.sort(order[shared])[:1]
        raise BadUsage(
            where=f"key {', '.join(key)}",
            found=f"{int(shared.sum()):,} rows of the {version} version that share theirs with "
            f"another, for example {_shown_keys(rows, place, key)[0]}",
            expected="a key that names one row",
            remedy="Add a field to the key that tells these rows apart.",
        )


def _changed_values(
    before: Rows, after: Rows, changed: Digests, *, names: Sequence[str], key: Sequence[str]
) -> tuple[ChangedValues, ...]:
    """In which fields some rows differ, given their keys' digests, ascending."""
    if not changed.size:
        return ()
    at_once = max(1, _MOST_VALUES // changed.size)
    found: list[_Found] = []
    for start in range(0, len(names), at_once):
        some = names[start : start + at_once]
        found += _compared(after, changed, some, key, _values_of(before, changed, some, key))
    found = sorted((item for item in found if item.rows), key=lambda item: -item.rows)
    wanted = {example.key for item in found for example in item.examples}
    known = _rows_of(before, wanted, [item.name for item in found], key)
    fields = before.fields([item.name for item in found])
    return tuple(
        ChangedValues(
            field=item.name,
            rows=item.rows,
            examples=tuple(
                f"{example.shown_key}: {example.value}, was "
                f"{shown_value(known[example.key][item.name], field)}"
                for example in item.examples
            ),
        )
        for item, field in zip(found, fields, strict=True)
    )


@dataclass(frozen=True)
class _Example:
    """A changed row: its key's digest, its key and its later value for a person's eye."""

    key: int
    shown_key: str
    value: str


@dataclass(frozen=True)
class _Found:
    """How many of the changed rows differ in a field, and the first of them."""

    name: str
    rows: int
    examples: list[_Example]


def _values_of(
    rows: Rows, changed: Digests, names: Sequence[str], key: Sequence[str]
) -> dict[str, Digests]:
    """Per field the digests of the changed rows' values, in the order of their keys' digests."""
    values = {name: np.zeros(changed.size, dtype=np.uint64) for name in names}
    for frame, places in _hits(rows, changed, names, key):
        for field in rows.fields(names):
            values[field.name][places] = _digests(frame, field)
    return values


def _compared(
    rows: Rows,
    changed: Digests,
    names: Sequence[str],
    key: Sequence[str],
    old: dict[str, Digests],
) -> list[_Found]:
    """What differs from the values that the changed rows had."""
    differing = dict.fromkeys(names, 0)
    examples: dict[str, list[_Example]] = {name: [] for name in names}
    for frame, places in _hits(rows, changed, names, key):
        for field in rows.fields(names):
            name = field.name
            differ = np.flatnonzero(_digests(frame, field) != old[name][places])
            differing[name] += differ.size
            for row in differ[: EXAMPLES - len(examples[name])].tolist():
                shown_key = _shown(frame, row, rows.fields(key))
                value = shown_value(frame[name][row], field)
                examples[name].append(_Example(int(changed[places[row]]), shown_key, value))
    return [_Found(name, differing[name], examples[name]) for name in names]


def _hits(
    rows: Rows, wanted: Digests, names: Sequence[str], key: Sequence[str]
) -> Iterator[tuple[pl.DataFrame, Places]]:
    """Rows whose key is wanted, chunk by chunk, and where it stands among the wanted, ascending."""
    keys = rows.fields(key)
    for frame in rows.read(list(dict.fromkeys([*key, *names]))) if wanted.size else ():
        own = row_digests(frame, keys)
        places = np.minimum(np.searchsorted(wanted, own), wanted.size - 1)
        is_hit = wanted[places] == own
        if is_hit.any():
            yield frame.filter(pl.Series(is_hit)), places[is_hit]


def _digests(frame: pl.DataFrame, field: Field) -> Digests:
    values, present = value_digests(frame[field.name], field)
    return np.where(present, values, np.uint64(0))


def _rows_of(
    rows: Rows, wanted: set[int], names: Sequence[str], key: Sequence[str]
) -> dict[int, dict[str, Any]]:
    """The rows with some keys' digests, by digest."""
    ordered = np.array(sorted(wanted), dtype=np.uint64)
    return {
        int(ordered[place]): row
        for frame, places in _hits(rows, ordered, names, key)
        for place, row in zip(places.tolist(), frame.iter_rows(named=True), strict=True)
    }


def _shown_keys(rows: Rows, places: Places, key: Sequence[str]) -> tuple[str, ...]:
    """The keys of the rows at some ascending places."""
    shown: list[str] = []
    start = 0
    for frame in rows.read(key) if places.size else ():
        here = places[(places >= start) & (places < start + frame.height)] - start
        shown += [_shown(frame, row, rows.fields(key)) for row in here.tolist()]
        start += frame.height
        if start > places[-1]:
            break
    return tuple(shown)


def _shown(frame: pl.DataFrame, row: int, keys: Sequence[Field]) -> str:
    return ", ".join(f"{field.name}={shown_value(frame[field.name][row], field)}" for field in keys)
