"""Rows that the split puts in no part: counted, so that nothing is left out in silence."""

from __future__ import annotations

from collections.abc import Iterator

from torchyard.data.leaks.parted import EXAMPLES, NOWHERE, Parted
from torchyard.records.dataset import Finding, SplitRule


class InNoPart:
    """Counts rows without a time, or whose column names no part."""

    def __init__(self, rule: SplitRule) -> None:
        self._rule = rule
        self._rows = self._left_out = 0
        self._values: set[str] = set()

    def first(self, rows: Parted) -> None:
        """Count a chunk; keep the first values in order."""
        out = rows.parts == NOWHERE
        self._rows += len(out)
        self._left_out += int(out.sum())
        if out.any():
            values = rows.frame[self._rule.fields[0]].filter(out).unique()
            texts = {"missing" if value is None else repr(value) for value in values}
            self._values = set(sorted(self._values | texts)[:EXAMPLES])

    def settle(self) -> bool:
        """One pass is enough."""
        return False

    def second(self, rows: Parted) -> None:
        """Nothing more to see."""

    def findings(self) -> Iterator[Finding]:
        """At most one."""
        if self._left_out:
            yield Finding(
                rule="is in no part",
                field=self._rule.fields[0],
                severity="warn",
                rows=self._left_out,
                rows_checked=self._rows,
                examples=tuple(sorted(self._values)),
                meaning="These rows neither train nor judge: the field is missing there, or says "
                "neither train, validation nor test. Correct it, or leave them out on purpose.",
            )
