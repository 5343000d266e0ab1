"""Rows that stand in two parts: equal in every request field, or equal once numbers are rounded.

Rounded rows leave out ids, which differ between copies, and keep four significant digits of
numbers. What natural repetition explains is not reported (``overlap.judge``): rows without a field
of rich content repeat in any large table, and rounded ones do. Rounded repeats that chance explains
are copies only if most of them stay when six digits are kept: coincidence would lose them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from torchyard.data.fingerprint import Digests, value_digests
from torchyard.data.leaks.overlap import (
    SHARE_WARNS,
    Classes,
    KeysByPart,
    Overlap,
    first_rows,
    judge,
)
from torchyard.data.leaks.parted import EXAMPLES, Parted, shown
from torchyard.data.split import NAMES
from torchyard.records.dataset import Finding
from torchyard.records.schema import Field, Schema

DIGITS = 4
_TIGHT_DIGITS = 6
_ROUNDED = ("number", "integer")
_RICH = ("number", "timestamp", "text", "image", "tensor", "id")

Keys = Callable[[Parted], Digests]


@dataclass(slots=True)
class _Case:
    """Something to report about a pair of parts, and the rows recalled for it by their keys."""

    rule: str
    overlap: Overlap
    severity: Literal["fail", "warn"]
    keys: Keys
    about: str
    remedy: str
    classes: Classes | None = None
    is_doubtful: bool = False
    examples: dict[int, str] = field(default_factory=dict)


class SameRows:
    """Finds rows that stand in two parts."""

    def __init__(self, schema: Schema) -> None:
        self._fields = schema.request.fields
        self._about = [field for field in self._fields if field.kind != "id"]
        self._can_differ = len(self._about) < len(self._fields) or any(
            field.kind in _ROUNDED for field in self._about
        )
        self._is_rich = any(field.kind in _RICH for field in self._fields)
        self._exact, self._rounded, self._tight = KeysByPart(), KeysByPart(), KeysByPart()
        self._cases: list[_Case] = []

    def first(self, rows: Parted) -> None:
        """Keep the keys of a chunk."""
        self._exact.add(rows.digests, rows.parts)
        if self._can_differ:
            self._rounded.add(self._rounded_keys(rows), rows.parts)

    def settle(self) -> bool:
        """Judge each pair of parts; rows are recalled as examples only for what is reported."""
        exact = self._exact.overlaps()
        self._cases = [case for overlap in exact for case in self._same(overlap)]
        if self._can_differ:
            for overlap, beside in zip(self._rounded.overlaps(), exact, strict=True):
                self._cases += self._nearly_same(overlap, beside)
        return bool(self._cases)

    def second(self, rows: Parted) -> None:
        """Recall rows as examples; look closer at what chance may explain."""
        if any(case.is_doubtful for case in self._cases):
            self._tight.add(self._rounded_keys(rows, _TIGHT_DIGITS), rows.parts)
        for case in self._cases:
            keys = case.keys(rows)
            if case.classes:
                case.classes.add(keys, rows.parts, rows.marks)
            for key, row in first_rows(keys, case.overlap.keys[:EXAMPLES]):
                case.examples.setdefault(key, shown(rows.frame, row, self._about or self._fields))

    def findings(self) -> Iterator[Finding]:
        """At most two for each pair of parts."""
        tight = {overlap.places: overlap for overlap in self._tight.overlaps()}
        for case in self._cases:
            stay = tight[case.overlap.places].rows
            if case.is_doubtful and 2 * stay < case.overlap.rows:
                continue
            yield Finding(
                rule=case.rule,
                field=", ".join(field.name for field in self._fields),
                severity=case.severity,
                rows=case.overlap.rows,
                rows_checked=case.overlap.checked,
                examples=tuple(text for _, text in sorted(case.examples.items())),
                meaning=f"{_shares(case.overlap)} {case.about} {_labels(case)}{case.remedy}",
            )

    def _rounded_keys(self, rows: Parted, digits: int = DIGITS) -> Digests:
        """Of rounded rows; what is not rounded is digested already."""
        frame = rounded(rows.frame, self._about, digits)
        return rows.prints.joined(
            value_digests(frame[field.name], field)
            if field.kind in _ROUNDED
            else rows.prints.values(field)
            for field in self._about
        )

    def _judged(self, overlap: Overlap, *, repeats_tell: bool) -> Literal["fail", "warn"] | None:
        return judge(
            share=overlap.share,
            checked=overlap.checked,
            chance=overlap.chance,
            repeats_tell=repeats_tell,
        )

    def _same(self, overlap: Overlap) -> Iterator[_Case]:
        severity = self._judged(overlap, repeats_tell=self._is_rich)
        if severity:
            yield _Case(
                rule=f"are equal in rows of {_pair(overlap)}",
                overlap=overlap,
                severity=severity,
                keys=lambda rows: rows.digests,
                about="equal in every request field to a row of the other part, so that a model "
                "is judged there on rows it has learned by heart.",
                remedy="Remove the repeats, or use ty.split_by_hash(), which keeps equal rows in "
                "one part.",
                classes=Classes(overlap),
            )

    def _nearly_same(self, overlap: Overlap, exact: Overlap) -> Iterator[_Case]:
        severity = self._judged(overlap, repeats_tell=self._is_rich)
        if severity and overlap.share - exact.share > SHARE_WARNS:
            yield _Case(
                rule=f"are nearly equal in rows of {_pair(overlap)}",
                overlap=overlap,
                severity="warn",
                keys=self._rounded_keys,
                about=f"equal to a row of the other part once numbers are rounded to {DIGITS} "
                "digits and ids are left out. They may be copies or repeated measurements of one "
                "thing.",
                remedy="Keep what belongs together in one part with ty.split_by_group(...), or "
                "remove the repeats.",
                is_doubtful=not self._judged(overlap, repeats_tell=False),
            )


def rounded(frame: pl.DataFrame, fields: Sequence[Field], digits: int = DIGITS) -> pl.DataFrame:
    """The frame with so many significant digits left of the numbers among ``fields``."""
    return frame.with_columns(
        pl.col(field.name).cast(pl.Float64).round_sig_figs(digits)
        for field in fields
        if field.kind in _ROUNDED
    )


def _pair(overlap: Overlap) -> str:
    return " and ".join(NAMES[place] for place in overlap.places)


def _shares(overlap: Overlap) -> str:
    return (
        f"{overlap.rows} of {overlap.checked} {NAMES[overlap.smaller]} rows "
        f"({overlap.share:.1%}; repetition within a part explains {overlap.chance:.1%}) are"
    )


def _labels(case: _Case) -> str:
    """What is to say about equal rows with different labels, and a space."""
    contradictory = case.classes.contradictions() if case.classes else 0
    return f"{contradictory} of these stand with different labels. " if contradictory else ""
