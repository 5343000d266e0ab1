"""Label rates that move in time although the split ignores time.

Then a random part flatters: its rows stand between training rows in time, and the rows that will
come stand after all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from torchyard.data.leaks.counted import FieldCounts, View
from torchyard.data.leaks.parted import TEST, TRAIN, Integers, Numbers, Parted
from torchyard.data.leaks.questions import Question
from torchyard.records.dataset import Finding, SplitRule
from torchyard.records.schema import Schema

TREND = "carries a trend of the label"
_STRETCHES = 10
_STRONG = 0.1
_FEWEST = 50


class LabelTrend:
    """Finds a timestamp along which labels' shares move, unless the split is by time."""

    def __init__(self, schema: Schema, questions: Sequence[Question], rule: SplitRule) -> None:
        times = [field for field in schema.request.fields if field.kind == "timestamp"]
        self._questions = questions
        self._counts = FieldCounts([] if rule.by == "time" else times, questions)

    def first(self, rows: Parted) -> None:
        """Learn where to cut time."""
        self._counts.first(rows)

    def settle(self) -> bool:
        """Cut it."""
        self._counts.settle()
        return bool(self._counts.views)

    def second(self, rows: Parted) -> None:
        """Count classes by time."""
        self._counts.second(rows)

    def findings(self) -> Iterator[Finding]:
        """At most one, for the timestamp with the strongest trend."""
        trends = [
            (cramers_v(table), view, question, table)
            for view in self._counts.views
            for question in self._questions
            for table in (stretches(view.counts[:, :, question.columns]),)
        ]
        strongest = max(trends, key=lambda trend: trend[0], default=None)
        if strongest and strongest[0] >= _STRONG:
            strength, view, question, table = strongest
            if not _in_order(view.counts[:, :, question.columns]):
                yield _finding(strength, view, question.names, table)


def _finding(strength: float, view: View, names: Sequence[str], table: Numbers) -> Finding:
    shares = table / table.sum(axis=1, keepdims=True)
    code = int(np.argmax(np.ptp(shares, axis=0))) if len(names) > 2 else 1
    low, high = shares[:, code].min(), shares[:, code].max()
    return Finding(
        rule=TREND,
        field=view.field.name,
        severity="warn",
        rows=int(table.sum()),
        rows_checked=int(table.sum()),
        examples=tuple(f"{share:.1%}" for share in shares[:, code]),
        meaning=f"Over ten stretches of this time the share of '{names[code]}' "
        f"moves between {low:.1%} and {high:.1%} (Cramer's V {strength:.2f}; the examples are "
        "the shares in order), and the split mixes all times, so the test part looks easier "
        f"than the future will be. Use ty.split_by_time('{view.field.name}', ...).",
    )


def stretches(counts: Integers) -> Numbers:
    """Labelled rows by stretch of time, about equally many in each, and name: ``[n, names]``.

    Args:
        counts: ``[3 parts, bins + 1, names]``, as a ``View`` has them.
    """
    table = counts.sum(axis=0)[:-1]
    place = np.cumsum(table.sum(axis=1)) - table.sum(axis=1) / 2
    group = np.minimum(place * _STRETCHES / max(int(table.sum()), 1), _STRETCHES - 1).astype(int)
    made = np.zeros((_STRETCHES, table.shape[1]))
    np.add.at(made, group, table)
    filled: Numbers = made[made.sum(axis=1) >= _FEWEST]
    return filled


def cramers_v(table: Numbers) -> float:
    """How far two labels of rows hang together, 0 (not at all) to 1, without the bias of chance.

    Source: Bergsma, "A bias-correction for Cramer's V and Tschuprow's T", J. Korean Statistical
    Society 42 (2013).
    """
    rows, columns = table.shape
    total = table.sum()
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / max(total, 1)
    if min(rows, columns) < 2 or total < 2:
        return 0.0
    gaps = np.divide(
        (table - expected) ** 2, expected, where=expected > 0, out=np.zeros_like(table)
    )
    by_chance = (rows - 1) * (columns - 1) / (total - 1)
    squared = max(gaps.sum() / total - by_chance, 0.0)
    left = (rows - (rows - 1) ** 2 / (total - 1), columns - (columns - 1) ** 2 / (total - 1))
    return float(np.sqrt(squared / max(min(left) - 1, 1e-9)))


def _in_order(counts: Integers) -> bool:
    """Whether most training rows come before most test rows, as in a split by time."""
    train, test = (counts[place, :-1].sum(axis=1) for place in (TRAIN, TEST))
    return bool(_bin_at(train, 0.95) <= _bin_at(test, 0.05))


def _bin_at(rows: Integers, share: float) -> int:
    return int(np.searchsorted(np.cumsum(rows), share * rows.sum()))
