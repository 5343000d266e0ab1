"""What changed about a field, in plain words with numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal

from torchyard.core.units import Mistake
from torchyard.monitor.units import mistaken_unit
from torchyard.records.dataset import FieldProfile

Cause = Literal["unit", "missing", "unseen", "values"]

NO_CHANGE = "no clear change"
_MEDIAN = 4


def explain(
    reference: FieldProfile,
    current: FieldProfile,
    *,
    causes: Sequence[Cause],
    unseen: Mapping[str, int],
) -> tuple[str, Cause | None]:
    """Say what changed, and which cause to look into first.

    Args:
        reference: a field's profile.
        current: the same field's in the window, in the same bins.
        causes: what was found to have changed: ``values``, ``missing``, ``unseen``.
        unseen: values that the reference does not list, with their rows.

    Returns:
        Clauses joined by semicolons, and the cause; None when there are no causes.
    """
    clauses: list[str] = []
    mistake = None
    if "missing" in causes:
        clauses.append(
            f"missing in {percent(current.missing, current.rows)} of rows, "
            f"was {percent(reference.missing, reference.rows)}"
        )
    if "unseen" in causes:
        clauses.append(_unseen(reference, current, unseen))
    if "values" in causes:
        clauses.append(_values(reference, current))
        mistake = mistaken_unit(
            reference=reference.quantiles, current=current.quantiles, unit=reference.unit
        )
    if mistake:
        clauses.append(_mistake(mistake))
    if not clauses:
        return NO_CHANGE, None
    order: tuple[Cause, ...] = ("missing", "unseen", "values")
    first: Cause = "unit" if mistake else next(cause for cause in order if cause in causes)
    return "; ".join(clauses), first


def percent(part: int, whole: int) -> str:
    """A share in two digits, for reading.

    Example:
        >>> percent(31, 100), percent(4, 1000), percent(1, 10_000), percent(0, 5)
        ('31 %', '0.4 %', 'under 0.1 %', '0 %')
    """
    share = 100 * part / max(whole, 1)
    if 0 < share < 0.1:
        return "under 0.1 %"
    return f"{share:.1f}".removesuffix(".0") + " %" if share < 10 else f"{share:.0f} %"


def _values(reference: FieldProfile, current: FieldProfile) -> str:
    if reference.kind == "boolean":
        shares = [percent(field.counts[1], sum(field.counts)) for field in (current, reference)]
        return f"true in {shares[0]} of present rows, was {shares[1]}"
    if reference.kind in ("category", "text"):
        names = [f"'{value}'" for value in reference.values] + ["other values"]
        return _largest_move(names, reference, current)
    if reference.kind == "timestamp":
        return _largest_move([f"hour {hour:02}" for hour in range(24)] + [""], reference, current)
    return _deciles(reference, current)


def _largest_move(names: Sequence[str], reference: FieldProfile, current: FieldProfile) -> str:
    """The value whose share of the present rows changed most."""
    before, after = ([*field.counts, field.other] for field in (reference, current))
    known, now = sum(before), sum(after)
    place = max(range(len(before)), key=lambda i: abs(after[i] / now - before[i] / known))
    return (
        f"{names[place]} in {percent(after[place], now)} of present rows, "
        f"was {percent(before[place], known)}"
    )


def _deciles(reference: FieldProfile, current: FieldProfile) -> str:
    """The median's move; where it stayed, that of the middle 80 %; where that did, of a bin."""
    unit = f" {reference.unit}" if reference.unit else ""
    old, new = reference.quantiles, current.quantiles
    if abs(new[_MEDIAN] - old[_MEDIAN]) > 0.1 * (old[-1] - old[0]):
        return f"median {_number(new[_MEDIAN])}{unit}, was {_number(old[_MEDIAN])}{unit}"
    middle = [f"{_number(deciles[0])} to {_number(deciles[-1])}" for deciles in (new, old)]
    if middle[0] != middle[1]:
        return f"middle 80 % from {middle[0]}{unit}, was {middle[1]}{unit}"
    cuts = [f"{_number(edge)}{unit}" for edge in reference.edges]
    between = [f"{low} to {high}" for low, high in pairwise(cuts)]
    return _largest_move(
        [f"below {cuts[0]}", *between, f"{cuts[-1]} or more", ""], reference, current
    )


def _number(value: float) -> str:
    """Three digits, whole numbers from a thousand on."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _mistake(found: Mistake) -> str:
    factor = f"about {found.factor:.3g} times the reference"
    if found.offset:
        factor += f" {'plus' if found.offset > 0 else 'minus'} {abs(found.offset):.3g}"
    return f"values look like {found.looks_like} instead of {found.unit} ({factor})"


def _unseen(reference: FieldProfile, current: FieldProfile, unseen: Mapping[str, int]) -> str:
    if unseen:
        value, rows = max(unseen.items(), key=lambda item: (item[1], item[0]))
        others = f" and {len(unseen) - 1:,} more" if len(unseen) > 1 else ""
        shown = value if len(value) <= 40 else f"{value[:40]}..."
        return f"new value '{shown}' in {percent(rows, current.rows)} of rows{others}"
    known, now = reference.counts, current.counts
    rows = sum(new for new, old in zip(now, known, strict=True) if old == 0)
    what = "hours" if reference.kind == "timestamp" else "values"
    return f"{what} that were never seen before in {percent(rows, current.rows)} of rows"
