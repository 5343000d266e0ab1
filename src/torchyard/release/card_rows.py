"""What the training rows held, field by field: how far a model's knowledge reaches."""

from __future__ import annotations

from collections.abc import Iterator

from torchyard.pages import Table
from torchyard.records.dataset import FieldProfile, Profile

_FREQUENT = 3
_WIDEST = 40


def training_rows(reference: Profile) -> Table:
    """A line per field, and per part of a text, picture or tensor, of the reference profile."""
    rows = tuple(
        (name, f"{field.missing / max(field.rows, 1):.1%}", _held(field))
        for name, field in _lines(reference)
    )
    return Table("What the training rows held.", ("field", "missing", "values"), rows)


def _lines(profile: Profile) -> Iterator[tuple[str, FieldProfile]]:
    for field in profile.fields:
        yield field.name, field
        for part in field.parts:
            yield f"{field.name} {part.name}", part


def _held(field: FieldProfile) -> str:
    if field.kind == "boolean" and len(field.counts) == 2:
        return f"true in {field.counts[1] / max(sum(field.counts), 1):.0%}"
    if field.kind == "timestamp" and field.minimum is not None and field.maximum is not None:
        return f"{_day(field.minimum)} to {_day(field.maximum)}"
    if field.quantiles:
        unit = f" {field.unit}" if field.unit else ""
        low, middle, high = (field.quantiles[place] for place in (0, 4, 8))
        return f"middle 80 % from {low:.4g} to {high:.4g}{unit}, median {middle:.4g}"
    if field.minimum is not None and field.maximum is not None and field.mean is not None:
        return f"from {field.minimum:.4g} to {field.maximum:.4g}, mean {field.mean:.4g}"
    frequent = list(zip(field.values, field.counts, strict=False))[:_FREQUENT]
    present = max(field.rows - field.missing, 1)
    return ", ".join(f"{_cut(value)} {rows / present:.0%}" for value, rows in frequent)


def _day(seconds: float) -> str:
    import numpy as np  # a date of any year, which datetime refuses

    return str(np.datetime64(int(seconds), "s").astype("datetime64[D]"))


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}..."
