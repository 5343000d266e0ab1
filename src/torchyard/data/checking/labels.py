"""Whether the label of a dataset can be learnt from: present, of every class, and not contradicted.

Rows are counted as they come; what is wrong is said at the end, over all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from torchyard.data.checking.tally import Tally
from torchyard.data.checking.unique import Seen
from torchyard.data.labels import label_marks, memberships, truth_of
from torchyard.records.dataset import Finding
from torchyard.records.schema import Schema, Task

Array = np.ndarray[Any, np.dtype[Any]]

# Google's machine learning guide calls a minority below 1 % of the rows an extreme imbalance
_RAREST_SHARE = 0.01
_MOST_MISSING = 0.5


class LabelTally:
    """Counts the labels of rows that fit, chunk by chunk.

    Args:
        task: the label's column and classes.
        schema: two rows are equal when a request for them would be, ids aside.
    """

    def __init__(self, task: Task, schema: Schema) -> None:
        self._task = task
        self._fields = [item.name for item in schema.request.fields if item.kind != "id"]
        self._classes = np.zeros(len(task.classes), dtype=np.int64)
        self._numbers: set[float] = set()  # two of them are enough
        self._rows = self._labelled = 0
        self._strange = _strange(task)
        self._torn = Tally(
            "differs between equal rows", (task.label,), "warn",
            "What tells these rows apart is not among the fields, or some labels are wrong.",
        )  # fmt: skip
        self._seen = Seen()

    def update(self, frame: pl.DataFrame, rows: Array) -> None:
        """Count the labels of some rows, the schema's fields and the label as columns.

        ``rows`` holds their numbers in the source, for the examples.
        """
        labels = frame[self._task.label]
        there = labels.is_not_null().to_numpy()
        known = self._known(labels)
        self._rows += frame.height
        self._labelled += int(there.sum())
        self._strange.count(np.flatnonzero(there & ~known), frame, rows)
        labelled, numbers = frame.filter(pl.Series(known)), rows[known]
        if labelled.is_empty():
            return
        self._count(labelled)
        # equal rows with other numbers are what an interval is for
        if self._fields and not self._task.is_regression:
            self._compare(labelled, numbers)

    def findings(self) -> list[Finding]:
        """What is wrong with the labels of all rows so far."""
        found = [tally.finding(self._rows) for tally in (self._strange, self._torn) if tally.rows]
        if self._labelled == 0:
            return [*found, self._about("is missing in every row", "fail",
                                        "There is nothing to learn.")]  # fmt: skip
        if self._rows - self._labelled > _MOST_MISSING * self._rows:
            share = (self._rows - self._labelled) / self._rows
            found.append(self._about(f"is missing in {share:.1%} of rows", "warn",
                                     "Rows without a label are not trained on."))  # fmt: skip
        return found + (
            self._about_numbers() if self._task.is_regression else self._about_classes()
        )

    def _known(self, labels: pl.Series) -> Array:
        """Whether each label is one that the task knows, ``bool [rows]``; false without one."""
        there = labels.is_not_null()
        if self._task.is_binary:
            return there.to_numpy()
        if self._task.is_regression:
            return (there & labels.is_finite().fill_null(False)).to_numpy()
        if self._task.is_multilabel:
            return there.to_numpy() & ~memberships(labels, self._task)[1]
        return (there & labels.is_in(self._task.classes)).to_numpy()

    def _count(self, labelled: pl.DataFrame) -> None:
        truth = truth_of(labelled, self._task)
        if self._task.is_multilabel:
            self._classes += truth.sum(axis=0)
        elif not self._task.is_regression:
            self._classes += np.bincount(truth, minlength=len(self._classes))
        elif len(self._numbers) < 2:
            self._numbers |= {float(truth.min()), float(truth.max())}

    def _compare(self, labelled: pl.DataFrame, rows: Array) -> None:
        own = label_marks(labelled, self._task).astype(np.int16)
        _, first = self._seen.add(labelled, self._fields, own)
        self._torn.count(np.flatnonzero(own != first), labelled, rows)

    def _about_numbers(self) -> list[Finding]:
        if len(self._numbers) != 1:
            return []
        return [self._about(f"is always {next(iter(self._numbers)):g}", "fail",
                            "There is nothing to learn.")]  # fmt: skip

    def _about_classes(self) -> list[Finding]:
        task, counts = self._task, self._classes
        absent = [name for name, n in zip(task.classes, counts, strict=True) if n == 0]
        if (counts > 0).sum() == 1 and not task.is_multilabel:
            only = task.classes[int(np.argmax(counts > 0))]
            return [self._about(f"is always {only}", "fail",
                                "One class alone cannot be told from another.")]  # fmt: skip
        if absent:
            return [self._about(f"is never {' nor '.join(absent)}", "fail",
                                "A class without rows cannot be learnt.")]  # fmt: skip
        found = []
        of = int(counts.sum()) if not task.is_multilabel else self._labelled
        everywhere = [name for name, n in zip(task.classes, counts, strict=True) if n == of]
        if everywhere:
            found.append(self._about(f"has {' and '.join(everywhere)} in every row", "warn",
                                     "What every row has cannot be learnt."))  # fmt: skip
        if counts.min() < _RAREST_SHARE * of:
            rarest = int(np.argmin(counts))
            has = "has" if task.is_multilabel else "is"
            found.append(self._about(
                f"{has} {task.classes[rarest]} in {counts[rarest] / of:.2%} of rows", "warn",
                "Extreme imbalance: judge by average precision, and split stratified.",
            ))  # fmt: skip
        return found

    def _about(self, rule: str, severity: str, meaning: str) -> Finding:
        return Finding(
            rule=rule, field=self._task.label, severity=severity,  # type: ignore[arg-type]
            rows=0, rows_checked=self._rows, examples=(), meaning=meaning,
        )  # fmt: skip


def _strange(task: Task) -> Tally:
    """The tally of labels that the task does not know."""
    if task.is_regression:
        rule, meaning = "is not a finite number", "An infinite number cannot be learnt."
    else:
        some = " only" if task.is_multilabel else " one"
        rule = f"is not{some} of the task's classes"
        meaning = f"The task declares {', '.join(task.classes)}."
    return Tally(rule, (task.label,), "fail", meaning)
