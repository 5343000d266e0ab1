"""What a person sees of a profile, and of the difference between two dataset versions."""

from __future__ import annotations

from collections.abc import Iterator

from torchyard.cli.screen import say, table
from torchyard.records.dataset import FieldProfile, Profile
from torchyard.records.difference import DatasetDiff, FieldChange, KeyedRows

_FREQUENT = 3
_WIDEST = 60


def show_profile(profile: Profile) -> None:
    """One line per field, and one per part of a field below it; ``~`` marks estimates."""
    table(
        (
            "field", "kind", "missing", "distinct", "least", "median", "most", "mean", "spread",
            "most frequent",
        ),
        [_profile_cells(name, field) for name, field in _lines(profile)],
        right=("missing", "distinct", "least", "median", "most", "mean", "spread"),
    )  # fmt: skip


def show_difference(found: DatasetDiff) -> None:
    """Declarations first, then rows, rows by key, and distributions by size of change."""
    for words, names in (("added", found.fields_added), ("removed", found.fields_removed)):
        if names:
            say(f"Fields {words}: {', '.join(names)}")
    for field in found.fields_redeclared:
        say(f"Field {field.field} is declared differently: {'; '.join(field.changes)}")
    if found.label_before != found.label_after:
        say(f"Label: {found.label_after or 'none'}, was {found.label_before or 'none'}")
    say(f"Rows: {found.rows_after:,}, was {found.rows_before:,}; "
        f"{found.rows_added:,} added, {found.rows_removed:,} removed as whole rows")  # fmt: skip
    if found.keyed is not None:
        _show_keyed(found.keyed)
    if found.changes:
        table(
            ("distribution", "distance", "missing", "was", "mean moved", "deciles moved", "values"),
            [_change_cells(change) for change in found.changes],
            right=("distance", "missing", "was", "mean moved", "deciles moved"),
        )
    else:
        say("No distribution moved.")


def _lines(profile: Profile) -> Iterator[tuple[str, FieldProfile]]:
    for field in profile.fields:
        yield field.name, field
        for part in field.parts:
            yield f"  {part.name}", part


def _profile_cells(name: str, field: FieldProfile) -> tuple[str, ...]:
    about = "~" if field.distinct_error else ""
    frequent = list(zip(field.values, field.counts, strict=False))[:_FREQUENT]
    return (
        name,
        field.kind,
        f"{field.missing / max(field.rows, 1):.1%}",
        "" if field.distinct is None else f"{about}{field.distinct:,}",
        _bound(field, field.minimum),
        _number(field.quantiles[4] if field.quantiles else None),
        _bound(field, field.maximum),
        _number(field.mean),
        _number(field.standard_deviation),
        ", ".join(f"{_cut(value)} {rows / max(field.rows, 1):.0%}" for value, rows in frequent),
    )


def _show_keyed(keyed: KeyedRows) -> None:
    say(f"By {', '.join(keyed.key)}: {keyed.added:,} added, {keyed.removed:,} removed, "
        f"{keyed.changed:,} changed")  # fmt: skip
    for words, examples in (("added", keyed.added_examples), ("removed", keyed.removed_examples)):
        if examples:
            say(f"  {words}: {'; '.join(examples)}")
    if keyed.fields:
        table(
            ("changed field", "rows", "for example"),
            [(item.field, f"{item.rows:,}", "; ".join(item.examples[:2])) for item in keyed.fields],
            right=("rows",),
        )


def _change_cells(change: FieldChange) -> tuple[str, ...]:
    unit = f" {change.unit}" if change.unit else ""
    named = [
        f"{words} {', '.join(map(_cut, values[:_FREQUENT]))}"
        + (f" and {len(values) - _FREQUENT:,} more" if len(values) > _FREQUENT else "")
        for words, values in (("new", change.new_values), ("gone", change.vanished_values))
        if values
    ]
    return (
        change.field,
        f"{change.distance:.3f}",
        f"{change.missing_after:.1%}",
        f"{change.missing_before:.1%}",
        "" if change.mean_shift is None else f"{change.mean_shift:+.2f} sd",
        "" if change.decile_shift is None else f"{_number(change.decile_shift)}{unit}",
        "; ".join(named),
    )


def _bound(field: FieldProfile, value: float | None) -> str:
    if field.kind == "timestamp" and value is not None:
        import numpy as np  # a date of any year, which datetime refuses

        return str(np.datetime64(int(value), "s")).replace("T", " ")
    return _number(value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}..."
