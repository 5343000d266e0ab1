"""Whether the label of a dataset can be learnt from: present, of every class, and not contradicted.

Rows are counted as they come; what is wrong is said at the end, over all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from torchyard.data.checking.tally import Tally
from torchyard.data.checking.unique import Seen
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
        self._rows = self._labelled = 0
        self._strange = Tally(
            "is not one of the task's classes", (task.label,), "fail",
            f"The task declares {', '.join(task.classes)}.",
        )  # fmt: skip
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
        codes = self._codes(labels)
        self._rows += frame.height
        self._labelled += frame.height - labels.null_count()
        self._classes += np.bincount(codes[codes >= 0], minlength=len(self._classes))
        strange = (codes < 0) & labels.is_not_null().to_numpy()
        self._strange.count(np.flatnonzero(strange), frame, rows)
        if self._fields:
            self._compare(frame, codes, rows)

    def findings(self) -> list[Finding]:
        """What is wrong with the labels of all rows so far."""
        found = [tally.finding(self._rows) for tally in (self._strange, self._torn) if tally.rows]
        return [*found, *self._about_classes()]

    def _codes(self, labels: pl.Series) -> Array:
        """The place of each label among the task's classes; -1 where it has none."""
        if self._task.is_binary:
            return labels.cast(pl.Int16).fill_null(-1).to_numpy()
        known = pl.Series(self._task.classes)
        places = pl.Series(range(len(known)), dtype=pl.Int16)
        return labels.replace_strict(known, places, default=-1).fill_null(-1).to_numpy()

    def _compare(self, frame: pl.DataFrame, codes: Array, rows: Array) -> None:
        with_class = codes >= 0
        labelled = frame.filter(pl.Series(with_class))
        if labelled.is_empty():
            return
        own = codes[with_class].astype(np.int16)
        _, first = self._seen.add(labelled, self._fields, own)
        self._torn.count(np.flatnonzero(own != first), labelled, rows[with_class])

    def _about_classes(self) -> list[Finding]:
        task, seen = self._task, int((self._classes > 0).sum())
        names = [name for name, n in zip(task.classes, self._classes, strict=True) if n == 0]
        if self._labelled == 0:
            return [self._about("is missing in every row", "fail", "There is nothing to learn.")]
        found = []
        if self._rows - self._labelled > _MOST_MISSING * self._rows:
            share = (self._rows - self._labelled) / self._rows
            found.append(self._about(f"is missing in {share:.1%} of rows", "warn",
                                     "Rows without a label are not trained on."))  # fmt: skip
        if seen == 1:
            only = task.classes[int(np.argmax(self._classes > 0))]
            found.append(self._about(f"is always {only}", "fail",
                                     "One class alone cannot be told from another."))  # fmt: skip
        elif names:
            found.append(self._about(f"is never {' nor '.join(names)}", "fail",
                                     "A class without rows cannot be learnt."))  # fmt: skip
        elif self._classes.min() < _RAREST_SHARE * self._classes.sum():
            rarest = int(np.argmin(self._classes))
            share = self._classes[rarest] / self._classes.sum()
            found.append(self._about(
                f"is {task.classes[rarest]} in {share:.2%} of rows", "warn",
                "Extreme imbalance: judge by average precision, and split stratified.",
            ))  # fmt: skip
        return found

    def _about(self, rule: str, severity: str, meaning: str) -> Finding:
        return Finding(
            rule=rule, field=self._task.label, severity=severity,  # type: ignore[arg-type]
            rows=0, rows_checked=self._rows, examples=(), meaning=meaning,
        )  # fmt: skip
