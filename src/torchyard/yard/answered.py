"""Answers as columns of a table: what the JSON route says of each row, in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.records.schema import Task

if TYPE_CHECKING:
    import polars as pl

    from torchyard.serve.abstaining import Abstained

Array = np.ndarray[Any, np.dtype[Any]]

ABSTAINED = ("abstained", "reason")


def answer_names(task: Task, *, abstains: bool) -> tuple[str, ...]:
    """The columns of a task's answers.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("on time", "late"))
        >>> answer_names(late, abstains=False)
        ('label', 'confidence', 'probability on time', 'probability late')
    """
    if task.is_regression:
        names: tuple[str, ...] = ("value", "low", "high")
    else:
        probabilities = tuple(f"probability {name}" for name in task.classes)
        names = ("labels", *probabilities) if task.is_multilabel else (
            "label", "confidence", *probabilities)  # fmt: skip
    return (*names, *ABSTAINED) if abstains else names


def answer_columns(
    task: Task, answers: Array, abstained: Sequence[Abstained | None] | None
) -> dict[str, pl.Series]:
    """Columns of answers, by ``answer_names``; null where a row has none.

    Of a row that is not answered because its answer is unsure the confidence stays.

    Args:
        task: what is predicted.
        answers: ``float32 [rows, outputs]``, not numbers where there is no answer.
        abstained: why a row is not answered, or None; None of a release that never abstains.
    """
    import polars as pl

    exact = answers.astype(np.float64)  # as thresholds are
    nothing = np.asarray(np.isnan(exact).any(axis=1))
    silent = nothing.copy()
    for place, one in enumerate(abstained or ()):
        if one is not None:
            silent[place] = True
            nothing[place] |= one.code != "unsure"
    said = _regression(answers) if task.is_regression else _classes(task, exact, answers)
    hidden = {name: nothing if name == "confidence" else silent for name in said}
    made = {name: series.set(pl.Series(hidden[name]), None) for name, series in said.items()}
    if abstained is not None:
        why = [(None, None) if one is None else (one.code, one.sentence) for one in abstained]
        for place, name in enumerate(ABSTAINED):
            made[name] = pl.Series([one[place] for one in why], dtype=pl.String)
    return made


def _regression(answers: Array) -> dict[str, pl.Series]:
    import polars as pl

    return {
        name: pl.Series(answers[:, place]) for place, name in enumerate(("value", "low", "high"))
    }


def _classes(task: Task, exact: Array, answers: Array) -> dict[str, pl.Series]:
    import polars as pl

    probabilities = {
        f"probability {name}": pl.Series(answers[:, place])
        for place, name in enumerate(task.classes)
    }
    names = np.array(task.classes, dtype=object)
    if task.is_multilabel:
        chosen = [names[row].tolist() for row in exact >= task.threshold]
        return {"labels": pl.Series(chosen, dtype=pl.List(pl.String)), **probabilities}
    if task.is_binary:
        places = (exact[:, 1] >= task.threshold).astype(np.int64)
    else:
        places = np.where(np.isnan(exact), -np.inf, exact).argmax(axis=1)
    confidence = answers[np.arange(len(answers)), places]
    label = pl.Series(names[places].tolist(), dtype=pl.String)
    return {"label": label, "confidence": pl.Series(confidence), **probabilities}
