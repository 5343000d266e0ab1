"""Whether an answer may leave: numbers that are numbers, chances that add up, an interval that
holds its value, a value that the task allows.

A sealed graph answers soundly to all rows that it was judged on. This is for the row that nobody
thought of: its request fails, with an incident's number and nothing that looks like an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from torchyard.records.schema import Task

Answers = np.ndarray[Any, np.dtype[Any]]
Check = Callable[[Answers], str]

UNITY = 1e-3  # float32 sums of many classes miss 1 by less, another model's logits by more


def soundness_of(task: Task) -> Check:
    """A function that says what is wrong with some answers, ``[rows, outputs]``: empty if nothing.

    Comparisons are put so that not-a-number fails them.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> check = soundness_of(late)
        >>> check(np.array([[0.4, 0.6]])), check(np.array([[0.4, 0.4]]))
        ('', '1 of 1 rows whose probabilities do not add up to 1')
        >>> check(np.array([[0.4, np.nan], [0.5, 0.5]]))
        '1 of 2 rows with numbers that are not finite'
    """
    if task.is_regression:
        return lambda answers: _numbers(answers, task)
    if task.is_multilabel:
        return _chances_alone
    ones = np.ones(len(task.classes), dtype=np.float32)
    return lambda answers: _chances(answers, ones)


def outside_domain(task: Task, answers: Answers) -> Answers:
    """Which rows are answered with a value outside of the declared domain, ``[rows]``.

    Ends of intervals are not asked: an interval may reach beyond what can come true.
    """
    value = answers[:, 0].astype(np.float64)
    low = -np.inf if task.ge is None else task.ge
    high = np.inf if task.le is None else task.le
    outside: Answers = ~((value >= low) & (value <= high))
    return outside


def _chances(answers: Answers, ones: Answers) -> str:
    # None below 0 and a sum of 1 leave none above 1. All sums at once first, since it costs least:
    # a vector is no shorter than any of its parts.
    with np.errstate(invalid="ignore", over="ignore"):
        off = answers @ ones - 1.0
        adds_up = off.dot(off) <= UNITY * UNITY
    if adds_up and np.minimum.reduce(answers, axis=None) >= 0:
        return ""
    said = "whose probabilities do not add up to 1"
    return _not_finite(answers) or _not_chances(answers) or _counted(~(np.abs(off) <= UNITY), said)


def _chances_alone(answers: Answers) -> str:
    if answers.min() >= 0 and answers.max() <= 1:
        return ""
    return _not_finite(answers) or _not_chances(answers)


def _numbers(answers: Answers, task: Task) -> str:
    value, low, high = answers[:, 0], answers[:, 1], answers[:, 2]
    fits = np.isfinite(answers).all() and bool(((low <= value) & (value <= high)).all())
    if fits and (not has_domain(task) or not outside_domain(task, answers).any()):
        return ""
    return (
        _not_finite(answers)
        or _counted(~((low <= value) & (value <= high)), "whose interval does not hold its value")
        or _counted(outside_domain(task, answers), f"with a value that is not {said_domain(task)}")
    )


def has_domain(task: Task) -> bool:
    """Whether the task declares what a number can be."""
    return task.ge is not None or task.le is not None


def said_domain(task: Task) -> str:
    """The declared domain in words, ``at least 0 and at most 600 minutes``."""
    sides = [("at least", task.ge), ("at most", task.le)]
    said = " and ".join(f"{word} {bound:g}" for word, bound in sides if bound is not None)
    return f"{said} {task.unit}" if task.unit else said


def _not_finite(answers: Answers) -> str:
    wrong = ~np.isfinite(answers).all(axis=1)
    return _counted(wrong, "with numbers that are not finite")


def _not_chances(answers: Answers) -> str:
    wrong = ((answers < 0) | (answers > 1)).any(axis=1)
    return _counted(wrong, "with probabilities outside of 0 to 1")


def _counted(wrong: Any, what: str) -> str:
    count = int(wrong.sum())
    return f"{count} of {len(wrong)} rows {what}" if count else ""
