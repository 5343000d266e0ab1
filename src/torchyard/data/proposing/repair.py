"""What becomes of a proposed rule that other rows break: it is widened where that makes sense, or
dropped; always with a note that says which rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torchyard.data.checking.conditions import MISSING
from torchyard.data.proposing.evidence import Evidence
from torchyard.data.proposing.infer import in_order, round_up
from torchyard.records.schema import Field

_RARE_SHARE = 0.01
_LISTED_VALUES = 50


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that rows of the second half break: how many, and one of the values."""

    rule: str
    rows: int
    example: object


def repair(
    field: Field, broken: list[Broken], repeated: int, both: Evidence, second: Evidence
) -> tuple[Field, list[str]]:
    """The field with rules that hold for all rows.

    Args:
        field: as inferred from the first half.
        broken: of the second half, perhaps several times the same rule.
        repeated: rows of both halves whose value occurred before; 0 where it was not counted.
        both: all values.
        second: those of the second half.
    """
    notes: list[str] = []
    for rule, rows, example in _summed(broken):
        share = f"{rows:,} of {second.rows:,} rows of the half that confirms"
        if rule == MISSING:
            field = replace(field, optional=True)
            notes.append(f"missing only in {share}: declared optional")
        elif rule.startswith(("is below", "is above")):
            low = rule.startswith("is below")
            bound = f"ge={field.ge:g}" if low else f"le={field.le:g}"
            least = 0.0 if both.minimum is not None and both.minimum >= 0 else None
            field = replace(field, ge=least) if low else replace(field, le=None)
            notes.append(f"no firm bound {bound}: {share} lie beyond, such as {example}")
        elif rule == "is not an allowed value":
            field, note = _other_values(field, rows, example, both, share)
            notes.append(note)
        elif rule.startswith("does not match"):
            notes.append(f"no firm pattern {field.pattern}: {share} differ, such as {example!r}")
            field = replace(field, pattern=None)
        elif rule.startswith("is longer"):
            field = replace(field, max_length=round_up(both.longest))
            notes.append(f"up to {both.longest} characters long in {share}: max_length widened")
        elif rule in ("is infinite", "is outside the years 1 to 9999"):
            notes.append(f"{rule.removeprefix('is ')} in {share}: such rows will be set aside")
    if field.unique and repeated:
        field = replace(field, unique=False)
        notes.append(f"not unique: {repeated:,} rows repeat an earlier value")
    return field, notes


def _other_values(
    field: Field, rows: int, example: object, both: Evidence, share: str
) -> tuple[Field, str]:
    known = both.counts
    if known is not None and len(known) <= _LISTED_VALUES and rows <= _RARE_SHARE * both.rows:
        field = replace(field, values=tuple(in_order(known)))
        return field, f"values may be incomplete: {share} hold others, such as {example!r}; added"
    return replace(field, values=()), (
        f"no closed list of values: {share} hold others, such as {example!r}"
    )


def _summed(broken: list[Broken]) -> list[tuple[str, int, object]]:
    rows: dict[str, tuple[int, object]] = {}
    for item in broken:
        count, example = rows.get(item.rule, (0, item.example))
        rows[item.rule] = (count + item.rows, example)
    return [(rule, count, example) for rule, (count, example) in rows.items()]
