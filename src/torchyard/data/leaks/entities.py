"""Entities that stand in two parts: the same customer to learn from and to judge by."""

from __future__ import annotations

from collections.abc import Iterator

from torchyard.data.leaks.overlap import FEWEST, SHARE_WARNS, KeysByPart, Overlap, first_rows
from torchyard.data.leaks.parted import EXAMPLES, Parted, shown
from torchyard.data.split import NAMES
from torchyard.records.dataset import Finding, SplitRule
from torchyard.records.schema import Field, Schema


class SharedEntities:
    """Finds the values of ``id`` fields that stand in two parts, unless the split is by them."""

    def __init__(self, schema: Schema, rule: SplitRule) -> None:
        by_entity = rule.fields if rule.by in ("hash", "group") else ()
        self._entities = {
            field: KeysByPart()
            for field in schema.fields
            if field.kind == "id" and not field.unique and by_entity != (field.name,)
        }
        self._found: list[tuple[Field, Overlap]] = []
        self._examples: dict[tuple[str, int], str] = {}

    def first(self, rows: Parted) -> None:
        """Keep the entities of a chunk."""
        for field, keys in self._entities.items():
            keys.add(rows.prints.rows([field]), rows.parts)

    def settle(self) -> bool:
        """Take, for each field, the pair of parts that shares most."""
        for field in list(self._entities):
            keys = self._entities.pop(field)  # what was compared need not be held on to
            overlap = max(keys.overlaps(), key=lambda overlap: overlap.share)
            if overlap.share > SHARE_WARNS and overlap.rows >= FEWEST:
                self._found.append((field, overlap))
        return bool(self._found)

    def second(self, rows: Parted) -> None:
        """Recall entities as examples."""
        for field, overlap in self._found:
            keys = rows.prints.rows([field])
            for key, row in first_rows(keys, overlap.keys[:EXAMPLES]):
                text = shown(rows.frame, row, [field])
                self._examples.setdefault((field.name, key), text)

    def findings(self) -> Iterator[Finding]:
        """At most one for each field."""
        for field, overlap in self._found:
            first, second = (NAMES[place] for place in overlap.places)
            yield Finding(
                rule=f"stands in {first} and {second}",
                field=field.name,
                severity="warn",
                rows=overlap.rows,
                rows_checked=overlap.checked,
                examples=tuple(
                    text for name, text in sorted(self._examples.items()) if name[0] == field.name
                ),
                meaning=f"{overlap.share:.1%} of the {NAMES[overlap.smaller]} rows belong to a "
                f"'{field.name}' that stands in the other part too ({len(overlap.keys)} shared). "
                "The model may remember it instead of learning what holds for others, and its "
                "quality on new ones is not measured. If it will answer about new ones, use "
                f"ty.split_by_group('{field.name}').",
            )
