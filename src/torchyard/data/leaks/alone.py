"""Fields that predict the label alone, too well to be honest.

For each request field a one-field model is fitted on the training part and judged on the validation
part. The score of a value (see ``counted`` for how values are told apart) is its smoothed class
rate (Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes", SIGKDD
Explorations 2001), and the area under the ROC curve says how well it ranks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from torchyard.data.leaks.counted import FieldCounts, View
from torchyard.data.leaks.parted import (
    EXAMPLES,
    TRAIN,
    VALIDATION,
    Integers,
    Numbers,
    Parted,
    shown_label,
    shown_value,
)
from torchyard.data.leaks.questions import Question
from torchyard.records.dataset import Finding
from torchyard.records.schema import Schema, Task

ALONE = "predicts the label alone"
_PRIOR_ROWS = 10.0
_FEWEST_OF_A_CLASS = 10


class PredictsAlone:
    """Finds fields with which one could do without a model.

    Args:
        schema: the fields.
        task: what is predicted.
        questions: of the label.
        limit: the largest area under the ROC curve that one field may reach, 0.5 to 1.
    """

    def __init__(
        self, schema: Schema, task: Task, questions: Sequence[Question], limit: float
    ) -> None:
        self._task, self._questions, self._limit = task, questions, limit
        self._counts = FieldCounts(schema.request.fields, questions)
        self._examples: dict[str, list[str]] = {name: [] for name in schema.request.names}
        self._fields = schema.request.fields

    def first(self, rows: Parted) -> None:
        """Learn where to cut numbers."""
        self._counts.first(rows)

    def settle(self) -> bool:
        """Cut them."""
        self._counts.settle()
        return True

    def second(self, rows: Parted) -> None:
        """Count classes by value; keep the first validation rows as examples."""
        self._counts.second(rows)
        judged = np.flatnonzero((rows.parts == VALIDATION) & (rows.marks >= 0))[:EXAMPLES]
        for field in self._fields:
            known = self._examples[field.name]
            for row in judged[: EXAMPLES - len(known)]:
                value = shown_value(rows.frame[field.name][int(row)], field)
                known.append(f"{value}: {shown_label(rows.frame, int(row), self._task)}")

    def findings(self) -> Iterator[Finding]:
        """At most one for each field."""
        best: dict[str, tuple[float, View, Question]] = {}
        for view in self._counts.views:
            name = view.field.name
            for question in self._questions:
                asked = view.counts[:, :, question.columns]
                area = macro_auroc(asked[TRAIN], asked[VALIDATION])
                least = max(self._limit, best[name][0] if name in best else 0)
                if area is not None and area > least:
                    best[name] = area, view, question
        return (self._finding(*found) for found in best.values())

    def _finding(self, area: float, view: View, question: Question) -> Finding:
        rows = int(view.counts[VALIDATION][:, question.columns].sum())
        whose = f" for '{question.names[1]}'" if self._task.is_multilabel else ""
        of = "The length of this field" if view.by == "length" else "This field"
        return Finding(
            rule=ALONE,
            field=view.field.name,
            severity="fail",
            rows=rows,
            rows_checked=rows,
            examples=tuple(self._examples[view.field.name]),
            meaning=f"{of} alone reaches AUROC {area:.3f}{whose} on the validation part, above "
            f"{self._limit:g}. Such a field is usually written when the outcome is known, and "
            "will not be there when a prediction is asked for. Declare it later=True; if it is "
            "known in time, raise predicts_alone_at_most in ty.Checks.",
        )


def macro_auroc(fitted: Integers, judged: Integers) -> float | None:
    """How well class rates per bin rank other rows.

    Args:
        fitted: rows by bin and class that the rates come from, ``[bins, classes]``.
        judged: rows by bin and class to rank, ``[bins, classes]``.

    Returns:
        The mean area under the ROC curve over the classes that have ten judged rows and ten others,
        0 to 1; for two classes both give the same. None when there is no such class.
    """
    rows = fitted.sum(axis=1, keepdims=True)
    prior = fitted.sum(axis=0) / max(int(rows.sum()), 1)
    rates = (fitted + _PRIOR_ROWS * prior) / (rows + _PRIOR_ROWS)
    areas = []
    for code in range(fitted.shape[1]):
        positive = judged[:, code]
        negative = judged.sum(axis=1) - positive
        if min(positive.sum(), negative.sum()) >= _FEWEST_OF_A_CLASS:
            areas.append(_auroc(rates[:, code], positive, negative))
    return float(np.mean(areas)) if areas else None


def _auroc(scores: Numbers, positive: Integers, negative: Integers) -> float:
    """The chance that a positive row scores above a negative one; equal scores count half."""
    different, places = np.unique(scores, return_inverse=True)
    positives = np.bincount(places, weights=positive, minlength=len(different))
    negatives = np.bincount(places, weights=negative, minlength=len(different))
    below = np.cumsum(negatives) - negatives
    won = (positives * (below + negatives / 2)).sum()
    return float(won / (positives.sum() * negatives.sum()))
