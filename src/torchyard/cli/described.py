"""What a person sees of a profile, and of the difference between two dataset versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torchyard.cli.screen import say, table
from torchyard.core.wording import listed
from torchyard.records.dataset import FieldProfile, Profile
from torchyard.records.difference import DatasetDiff, FieldChange, KeyedRows

_FREQUENT = 3
_WIDEST = 60
_SHOWN_CHANGES = 20
_LEAST_SHIFT = 0.005  # standard deviations; less would be shown as none


def show_profile(profile: Profile) -> None:
    """One line per field, and one per part of a field below it; ``~`` marks estimates."""
    lines = list(_lines(profile))
    table(
        ("field", "kind", "missing", "distinct", "values"),
        [
            (
                name, field.kind, _share(field.missing / max(field.rows, 1)),
                "" if field.distinct is None
                else f"{'~' if field.distinct_error else ''}{field.distinct:,}",
                _values(field),
            )
            for name, field in lines
        ],
        right=("missing", "distinct"),
    )  # fmt: skip
    if any(field.distinct_error for _, field in lines):
        say("~ marks an estimate; sd is the standard deviation.")


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
        _show_changes(found.changes)
    else:
        say("No distribution moved.")


def _lines(profile: Profile) -> Iterator[tuple[str, FieldProfile]]:
    for field in profile.fields:
        yield field.name, field
        for part in field.parts:
            yield f"  {part.name}", part


def _values(field: FieldProfile) -> str:
    """From where to where a field's numbers or times go, or its most frequent values."""
    if field.kind == "boolean" and field.mean is not None:
        return f"true in {_share(field.mean)}"
    if field.minimum is None or field.maximum is None:
        present = max(field.rows, 1)
        frequent = list(zip(field.values, field.counts, strict=False))[:_FREQUENT]
        return ", ".join(f"{_cut(value)} ({_share(rows / present)})" for value, rows in frequent)
    low, high = _bound(field, field.minimum), _bound(field, field.maximum)
    unit = f" {field.unit}" if field.unit else ""
    if low == high:
        return f"always {low}{unit}"
    about = [
        f"{word} {_number(value)}"
        for word, value in (
            ("median", field.quantiles[4] if field.quantiles else None),
            ("mean", field.mean),
            ("sd", field.standard_deviation),
        )
        if value is not None
    ]
    return f"{low} to {high}{unit}" + (f"; {', '.join(about)}" if about else "")


def _show_keyed(keyed: KeyedRows) -> None:
    say(f"By {', '.join(keyed.key)}: {keyed.added:,} added, {keyed.removed:,} removed, "
        f"{keyed.changed:,} changed")  # fmt: skip
    for words, examples in (("added", keyed.added_examples), ("removed", keyed.removed_examples)):
        if examples:
            say("; ".join(examples), first=f"  {words}: ")
    for item in keyed.fields:
        rows = f"{item.rows:,} {'row' if item.rows == 1 else 'rows'}"
        say(f"in {rows}, such as {'; '.join(item.examples[:2])}", first=f"  {item.field} changed ")


def _show_changes(changes: Sequence[FieldChange]) -> None:
    table(
        ("distribution", "moved", "how"),
        [
            (change.field, _share(change.distance), "; ".join(_how(change)))
            for change in changes[:_SHOWN_CHANGES]
        ],
        right=("moved",),
    )
    more = len(changes) - _SHOWN_CHANGES
    if more > 0:
        say(f"{more:,} more moved less; all of them are in --json.")
    say("moved: the share of rows whose value lies elsewhere than before; sd: standard deviations.")


def _how(change: FieldChange) -> Iterator[str]:
    if change.mean_shift is not None and abs(change.mean_shift) >= _LEAST_SHIFT:
        yield f"mean {change.mean_shift:+.2f} sd"
    if change.decile_shift:
        unit = f" {change.unit}" if change.unit else ""
        yield f"values by about {_number(change.decile_shift, digits=2)}{unit}"
    missing, was = _share(change.missing_after), _share(change.missing_before)
    if missing != was:
        yield f"missing in {missing}, was {was}"
    for words, values in (("new", change.new_values), ("gone", change.vanished_values)):
        if values:
            yield f"{words} {listed(values, most=_FREQUENT, show=_cut)}"


def _bound(field: FieldProfile, value: float) -> str:
    if field.kind == "timestamp":
        import numpy as np  # a date of any year, which datetime refuses

        return str(np.datetime64(int(value), "s")).replace("T", " ")
    return _number(value)


def _number(value: float, digits: int = 4) -> str:
    whole = 10**digits <= abs(value) < 1e15
    return f"{value:,.0f}" if whole else f"{value:.{digits}g}"


def _share(share: float) -> str:
    """A share in percent; a small one is not called none, nor a large one all.

    Example:
        >>> [_share(share) for share in (0.0, 0.0004, 0.5, 0.9999, 1.0)]
        ['0%', '<0.1%', '50.0%', '>99.9%', '100%']
    """
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    return "<0.1%" if share < 0.0005 else ">99.9%" if share >= 0.9995 else f"{share:.1%}"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}..."
