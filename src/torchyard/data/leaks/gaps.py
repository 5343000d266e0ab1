"""Fields whose being missing tells the label, or that come only with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log

import numpy as np

from torchyard.data.leaks.parted import Integers, Parted, present
from torchyard.data.leaks.questions import Question
from torchyard.records.dataset import Finding
from torchyard.records.schema import Field, Schema

_FEWEST = 50
_SURE = 25.0
"""Nats: a chance of 1e-11 that rows fall on one class by accident."""

MISSING, THERE = 0, 1


class TellingGaps:
    """Finds fields that are missing in a pattern that gives the label away.

    Args:
        schema: the fields.
        questions: of the label.
        limit: how well being missing may tell the classes apart, as an area under the ROC curve.
    """

    def __init__(self, schema: Schema, questions: Sequence[Question], limit: float) -> None:
        self._fields = [field for field in schema.request.fields if field.optional]
        self._questions, self._limit = questions, limit
        # by question and field: [missing or there, names and one column for rows without a label]
        self._counts = [
            np.zeros((len(self._fields), 2, len(question.names) + 1), dtype=np.int64)
            for question in questions
        ]

    def first(self, rows: Parted) -> None:
        """Count a chunk."""
        for place, field in enumerate(self._fields):
            there = present(rows.frame[field.name]).to_numpy().astype(np.int64)
            for counts, codes in zip(self._counts, rows.codes, strict=True):
                np.add.at(counts[place], (there, codes), 1)

    def settle(self) -> bool:
        """One pass is enough."""
        return False

    def second(self, rows: Parted) -> None:
        """Nothing more to see."""

    def findings(self) -> Iterator[Finding]:
        """At most one for each field."""
        for place, field in enumerate(self._fields):
            found = self._telling(field, place)
            if found or (found := self._never_without_label(field, self._counts[0][place])):
                yield found

    def _telling(self, field: Field, place: int) -> Finding | None:
        """What its being missing says; of several questions the first that it answers."""
        for look in (self._exactly, self._only):
            for question, counts in zip(self._questions, self._counts, strict=True):
                if found := look(field, counts[place, :, :-1], question.names):
                    return found
        return None

    def _exactly(self, field: Field, counts: Integers, names: Sequence[str]) -> Finding | None:
        """Missing in one class and there in the others, or the other way round."""
        total = counts.sum(axis=0)
        for code, name in enumerate(names):
            others = total.sum() - total[code]
            if counts.sum(axis=1).min() < _FEWEST or min(total[code], others) == 0:
                continue
            missing_here = counts[MISSING, code] / total[code]
            missing_there = (counts[MISSING].sum() - counts[MISSING, code]) / others
            tells = 0.5 + (missing_here - missing_there) / 2
            if max(tells, 1 - tells) > self._limit:
                word = "missing" if tells > 0.5 else "filled"
                return _finding(
                    field,
                    rule=f"is {word} exactly when the label is '{name}'",
                    severity="fail",
                    counts=counts,
                    rows=int(counts[MISSING if word == "missing" else THERE].sum()),
                    meaning=f"Whether it is there tells the label (AUROC "
                    f"{max(tells, 1 - tells):.3f}), so it is written when the outcome is known. "
                    "Declare it later=True.",
                )
        return None

    def _only(self, field: Field, counts: Integers, names: Sequence[str]) -> Finding | None:
        """All missing, or all filled, rows are of one class, beyond chance."""
        total = counts.sum(axis=0)
        for row, word in ((THERE, "filled"), (MISSING, "missing")):
            classes = np.flatnonzero(counts[row])
            rows = int(counts[row].sum())
            if len(classes) != 1 or rows < _FEWEST or rows == total.sum():
                continue
            code = int(classes[0])
            if rows * -log(total[code] / total.sum()) < _SURE:
                continue
            return _finding(
                field,
                rule=f"is {word} only when the label is '{names[code]}'",
                severity="warn",
                counts=counts,
                rows=rows,
                meaning=f"All {rows} labelled rows where it is {word} are of one class. If it is "
                "written because of the outcome, it gives the label away and will not be known "
                "when a prediction is asked for: declare it later=True.",
            )
        return None

    def _never_without_label(self, field: Field, counts: Integers) -> Finding | None:
        """Filled where the label is known, missing where it is not: as every request will be."""
        unlabelled, labelled = counts[:, -1], counts[:, :-1].sum(axis=1)
        if unlabelled.sum() < _FEWEST or labelled.sum() < _FEWEST:
            return None
        if unlabelled[MISSING] < 0.99 * unlabelled.sum() or labelled[THERE] < labelled[MISSING]:
            return None
        return _finding(
            field,
            rule="is filled only where the label is known",
            severity="warn",
            counts=counts,
            rows=int(labelled[THERE]),
            meaning=f"It is missing in {unlabelled[MISSING]} of {unlabelled.sum()} rows without a "
            "label, and requests are such rows: it probably comes with the outcome. Declare it "
            "later=True unless it is known when a prediction is asked for.",
        )


def _finding(
    field: Field, *, rule: str, severity: str, counts: Integers, rows: int, meaning: str
) -> Finding:
    return Finding(
        rule=rule,
        field=field.name,
        severity=severity,  # type: ignore[arg-type]
        rows=rows,
        rows_checked=int(counts.sum()),
        examples=(),
        meaning=meaning,
    )
