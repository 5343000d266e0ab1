"""What all fitted baselines need: which rows they are fitted on, and intervals around numbers."""

from __future__ import annotations

import numpy as np

from torchyard.evaluate.counting.sample import Floats, Indices, Truth
from torchyard.records.schema import Task

_HELD_BACK = 5


def is_constant(truth: Truth) -> bool:
    """Whether all rows have the same label, so that there is nothing to learn."""
    return bool((truth == truth[:1]).all())


def logits_of(task: Task) -> int:
    """How many numbers a model makes of a row, before they are an answer."""
    return 1 if task.is_binary or task.is_regression else len(task.classes)


def drawn_rows(truth: Truth, task: Task, *, most: int, seed: int) -> Indices | None:
    """About ``most`` rows, rising, with one of every class; None for all of them."""
    rows = len(truth)
    if rows <= most:
        return None
    drawn = np.random.default_rng(seed).choice(rows, most, replace=False)
    if task.is_regression:
        return np.sort(drawn)
    # of several labels a row: one with each class, and one without
    columns = truth.T if truth.ndim == 2 else [truth]
    first = [np.unique(column, return_index=True)[1] for column in columns]
    return np.union1d(drawn, np.concatenate(first))


def held_back(truth: Truth) -> tuple[Indices, Indices]:
    """Rows that numbers are fitted on, and every fifth one, which says how far off they are.

    Few rows, or fitted ones that are all alike, serve for both.
    """
    every = np.arange(len(truth))
    held = every % _HELD_BACK == _HELD_BACK - 1
    if not held.any() or is_constant(truth[~held]):
        return every, every
    return every[~held], every[held]


def spread_of(errors: Floats, task: Task) -> tuple[float, float]:
    """How far below and above a number its interval reaches, so that it holds the coverage.

    The errors' own quantiles, on rows that are like those to come.

    Args:
        errors: truth less answer, ``[rows]``.
        task: with its coverage.
    """
    tail = (1.0 - task.coverage) / 2.0
    low, high = np.quantile(errors, (tail, 1.0 - tail)).tolist()
    return max(0.0, -low), max(0.0, high)


def with_spread(values: Floats, spread: tuple[float, float]) -> Floats:
    """Numbers with their intervals, ``float64 [rows, 3]``: value, low, high."""
    return np.stack([values, values - spread[0], values + spread[1]], axis=1)
