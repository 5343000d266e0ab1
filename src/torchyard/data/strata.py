"""Strata: rows parted by their label into classes that exclude each other, whatever the task.

- One of several classes: the classes.
- Any number of classes: a row's stratum is the rarest of its classes, so that the rows of the
  rarest are dealt out first and evenly (after Sechidis et al., "On the stratification of
  multi-label data", ECML PKDD 2011); rows with none of them are a stratum of their own.
- A number: ten ranges with about equally many rows each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from torchyard.data.labels import class_codes, truth_of
from torchyard.records.schema import Task

Integers = np.ndarray[Any, np.dtype[np.int64]]
Numbers = np.ndarray[Any, np.dtype[np.float64]]
Chunks = Callable[[], Iterator[pl.DataFrame]]
"""Rows in frames; every call starts anew and gives the same rows in the same order."""

UNLABELLED = -1
_RANGES = 10


@dataclass(frozen=True, slots=True)
class Strata:
    """How rows are parted.

    Attributes:
        task: what is predicted.
        names: of the strata.
        order: of several classes, their places from the rarest on.
        edges: of a number, where one range ends and the next begins.
    """

    task: Task
    names: tuple[str, ...]
    order: Integers
    edges: Numbers

    def codes(self, frame: pl.DataFrame) -> Integers:
        """The stratum of each row, ``[rows]``; -1 without a label.

        Raises:
            BadData: a label is none that the task knows.
        """
        if not self.task.is_multilabel and not self.task.is_regression:
            one: Integers = class_codes(frame, self.task).fill_null(UNLABELLED).to_numpy()
            return one
        known = frame[self.task.label].is_not_null()
        truth = truth_of(frame.filter(known), self.task)
        codes = np.full(frame.height, UNLABELLED, dtype=np.int64)
        codes[known.to_numpy()] = (
            np.searchsorted(self.edges, truth, side="right")
            if self.task.is_regression
            else self._rarest(truth)
        )
        return codes

    def _rarest(self, has: np.ndarray[Any, np.dtype[np.bool_]]) -> Integers:
        in_order = has[:, self.order]
        rarest: Integers = self.order[in_order.argmax(axis=1)]
        return np.where(has.any(axis=1), rarest, len(self.order))


def fit_strata(task: Task, chunks: Chunks) -> Strata:
    """Find the strata of some rows.

    Args:
        task: what is predicted.
        chunks: the rows, the label among their columns. They are read for several classes, to count
            them, and for a number, to find its ranges, which takes 8 bytes a row.

    Raises:
        BadData: a label is none that the task knows.
    """
    none = np.zeros(0, dtype=np.int64), np.zeros(0)
    if task.is_regression:
        labels = [truth_of(frame.filter(frame[task.label].is_not_null()), task)
                  for frame in chunks()]  # fmt: skip
        edges = _ranges(np.concatenate(labels) if labels else none[1])
        return Strata(task, _between(edges), none[0], edges)
    if task.is_multilabel:
        rows = np.zeros(len(task.classes), dtype=np.int64)
        for frame in chunks():
            rows += truth_of(frame.filter(frame[task.label].is_not_null()), task).sum(axis=0)
        order = np.argsort(rows, kind="stable").astype(np.int64)
        return Strata(task, (*task.classes, "none of them"), order, none[1])
    return Strata(task, task.classes, *none)


def _ranges(numbers: Numbers) -> Numbers:
    """Nine edges or fewer, each of them a number that occurs: the first of its range."""
    if not numbers.size:
        return numbers
    cuts = np.quantile(numbers, np.arange(1, _RANGES) / _RANGES, method="inverted_cdf")
    different = np.unique(cuts)
    edges: Numbers = different[different > numbers.min()]
    return edges


def _between(edges: Numbers) -> tuple[str, ...]:
    """What the ranges are called."""
    if not edges.size:
        return ("any",)
    inner = (f"{low:g} to {high:g}" for low, high in pairwise(edges.tolist()))
    return (f"below {edges[0]:g}", *inner, f"from {edges[-1]:g}")
