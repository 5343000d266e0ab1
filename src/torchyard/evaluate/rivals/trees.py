"""What a network on tables must beat: gradient-boosted trees (Friedman 2001), binned (Ke et al.
2017), as scikit-learn's ``HistGradientBoosting`` grows them.

Bounded: rows, columns and trees are few enough for about ten seconds on one core.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from torchyard.evaluate.calibrating.fitting import (
    drawn_rows,
    held_back,
    is_constant,
    logits_of,
    spread_of,
    with_spread,
)
from torchyard.evaluate.counting.sample import Floats, Indices, Truth
from torchyard.evaluate.rivals.baselines import Majority, fit_majority
from torchyard.evaluate.rivals.design import Features, columns, in_parts, no_rows, rows_of
from torchyard.records.schema import Task, TaskKind

MOST_CELLS = 6_000_000  # rows times columns times logits
_MOST_ROWS = 200_000
_MOST_COLUMNS, _MOST_SIDE = 64, 8  # of one tensor
_MOST_VALUES = 250  # categories that are told apart; bins are at most 255
_MOST_TOKENS = 100
_MOST_ROUNDS, _MOST_TREES, _LEAST_ROUNDS = 100, 1_000, 10
_ENOUGH_TO_STOP_EARLY = 2_000
_LEARNING_RATE = 0.1


class _Booster(Protocol):
    def predict(self, matrix: Floats) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Columns:
    """How tensors become a table: numbers averaged down, categories, counted tokens.

    Attributes:
        numbers: names of ``float32`` tensors.
        categories: per ``int64 [rows]`` tensor its most frequent values; others are missing.
        tokens: per ``int64 [rows, length]`` tensor the values that stand in most rows.
    """

    numbers: tuple[str, ...]
    categories: dict[str, Indices]
    tokens: dict[str, Indices]

    def table(self, features: Features) -> Floats:
        """``float64 [rows, columns]``, categories first."""
        blocks = [
            *(_places(features[name], known) for name, known in self.categories.items()),
            *(
                columns(name, features[name], most=_MOST_COLUMNS, most_side=_MOST_SIDE)
                for name in self.numbers
            ),
            *(_counted(features[name], known) for name, known in self.tokens.items()),
        ]
        return np.concatenate(blocks, axis=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trees:
    """Fitted trees; they predict with the library that grew them.

    Attributes:
        task: what is predicted.
        columns: how tensors become the table that the trees read.
        boosters: one, or one per class where a row has any number of them; a number in the place of
            one whose labels were all alike.
        spread: how far below and above a number its interval reaches.
    """

    task: Task
    columns: _Columns
    boosters: tuple[_Booster | float, ...]
    spread: tuple[float, float] = (0.0, 0.0)

    def predict(self, features: Features) -> Floats:
        """Answers, ``float64 [rows, outputs]``."""
        answer = _ANSWERS[self.task.kind]
        parts = in_parts(features, rows_of(features))
        with _one_thread():
            return np.concatenate([answer(self, self.columns.table(part)) for part in parts])


def fit_trees(features: Features, truth: Truth, task: Task, *, seed: int) -> Trees | Majority:
    """Gradient-boosted trees on the feature tensors, at most 100 rounds of them.

    Categories are parted as categories (the 250 most frequent), tokens are counted (the 100 that
    stand in most rows), wide tensors and pictures averaged down to 64 columns. At most 200,000 rows
    are drawn, fewer where they hold more than 6 million numbers per logit. Fewer rounds are grown
    where each needs many trees, and with 2,000 rows or more growing stops when a held-out tenth
    gets no better. The same arguments grow the same trees.

    Args:
        features: as of ``fit_linear``.
        truth: training labels, as in ``Sample``.
        task: what is predicted.
        seed: of the rows that are drawn, and of the tenth.

    Returns:
        The trees, or the majority where the labels are all alike.

    Raises:
        BadData: there are no rows, or a number is not finite.
    """
    if len(truth) == 0 or not features:
        raise no_rows()
    if is_constant(truth):
        return fit_majority(truth, task)
    features, truth = _drawn(features, truth, task, most=_MOST_ROWS, seed=seed)
    table = _columns_of(features)
    width = max(1, table.table({name: one[:1] for name, one in features.items()}).shape[1])
    most = max(1, MOST_CELLS // (width * logits_of(task)))
    features, truth = _drawn(features, truth, task, most=most, seed=seed)
    matrix, grow = table.table(features), _grower(table, task, seed)
    if task.is_regression:
        return _of_numbers(matrix, truth, task, table, grow)
    labels = truth.T if task.is_multilabel else [truth]
    boosters = tuple(float(one[0]) if is_constant(one) else grow(matrix, one) for one in labels)
    return Trees(task=task, columns=table, boosters=boosters)


def _drawn(
    features: Features, truth: Truth, task: Task, *, most: int, seed: int
) -> tuple[Features, Truth]:
    chosen = drawn_rows(truth, task, most=most, seed=seed)
    if chosen is None:
        return features, truth
    return {name: tensor[chosen] for name, tensor in features.items()}, truth[chosen]


def _of_numbers(
    matrix: Floats, truth: Truth, task: Task, table: _Columns, grow: Callable[..., _Booster]
) -> Trees:
    """Trees of most rows; the others say how far off they are where they were not fitted."""
    kept, held = held_back(truth)
    booster = grow(matrix[kept], truth[kept])
    spread = spread_of(truth[held] - np.asarray(booster.predict(matrix[held])), task)
    return Trees(task=task, columns=table, boosters=(booster,), spread=spread)


def _grower(table: _Columns, task: Task, seed: int) -> Callable[[Floats, Truth], _Booster]:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if task.is_regression else HistGradientBoostingClassifier
    rounds = max(_LEAST_ROUNDS, min(_MOST_ROUNDS, _MOST_TREES // logits_of(task)))

    def grow(matrix: Floats, truth: Truth) -> _Booster:
        categorical = np.arange(matrix.shape[1]) < len(table.categories)
        model = kind(
            learning_rate=_LEARNING_RATE,
            max_iter=rounds,
            categorical_features=categorical,
            early_stopping=_may_stop_early(truth, task),
            random_state=seed,
        )
        with _one_thread(), warnings.catch_warnings():
            # a class of its own for most rows: few rows of many classes
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            grown: _Booster = model.fit(matrix, truth)
        return grown

    return grow


@contextmanager
def _one_thread() -> Iterator[None]:
    """Trees this small grow faster on one: two wait for each other at every leaf (measured on two
    cores: 4.5 s against 8.3 s for 1,000 trees on 12,000 rows, 84 s where others want a core, too).
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="openmp"):
        yield


def _may_stop_early(truth: Truth, task: Task) -> bool:
    """A held-out tenth needs rows, and of every class that there is."""
    if len(truth) < _ENOUGH_TO_STOP_EARLY:
        return False
    return task.is_regression or bool(np.unique(truth, return_counts=True)[1].min() >= 10)


def _second(booster: _Booster | float, table: Floats) -> Floats:
    """The chance of true."""
    if isinstance(booster, float):
        return np.full(len(table), booster)
    chances: Any = booster
    return np.asarray(chances.predict_proba(table)[:, 1], dtype=np.float64)


def _binary(trees: Trees, table: Floats) -> Floats:
    second = _second(trees.boosters[0], table)
    return np.stack([1.0 - second, second], axis=1)


def _multiclass(trees: Trees, table: Floats) -> Floats:
    booster: Any = trees.boosters[0]
    found = np.zeros((len(table), len(trees.task.classes)))
    found[:, booster.classes_] = booster.predict_proba(table)
    return found


def _multilabel(trees: Trees, table: Floats) -> Floats:
    return np.stack([_second(booster, table) for booster in trees.boosters], axis=1)


def _number(trees: Trees, table: Floats) -> Floats:
    booster: Any = trees.boosters[0]
    return with_spread(np.asarray(booster.predict(table), dtype=np.float64), trees.spread)


_ANSWERS: dict[TaskKind, Callable[[Trees, Floats], Floats]] = {
    "binary_classification": _binary,
    "multiclass_classification": _multiclass,
    "multilabel_classification": _multilabel,
    "regression": _number,
}


def _columns_of(features: Features) -> _Columns:
    kinds = {name: (one.dtype.kind, one.ndim) for name, one in features.items()}
    return _Columns(
        numbers=tuple(name for name, (kind, _) in kinds.items() if kind == "f"),
        categories={
            name: _frequent(np.asarray(features[name]), _MOST_VALUES)
            for name, (kind, axes) in kinds.items()
            if kind == "i" and axes == 1
        },
        tokens={
            name: _frequent(np.asarray(features[name]), _MOST_TOKENS)
            for name, (kind, axes) in kinds.items()
            if kind == "i" and axes > 1
        },
    )


def _frequent(values: Indices, most: int) -> Indices:
    """The values that occur most often, rising; of equally frequent ones the smaller."""
    known, counts = np.unique(values, return_counts=True)
    return np.sort(known[np.argsort(-counts, kind="stable")[:most]])


def _places(values: Any, known: Indices) -> Floats:
    """Which of the known values each row has, ``[rows, 1]``; not-a-number for none."""
    place = np.searchsorted(known, values).clip(max=len(known) - 1)
    return np.where(known[place] == values, place, np.nan)[:, None]


def _counted(values: Any, known: Indices) -> Floats:
    """How often each known value stands in each row, ``[rows, values]``."""
    flat = np.asarray(values).reshape(len(values), -1)
    place = np.searchsorted(known, flat).clip(max=len(known) - 1)
    rows, at = np.nonzero(known[place] == flat)
    cells = rows * len(known) + place[rows, at]
    counts = np.bincount(cells, minlength=len(flat) * len(known))
    return counts.reshape(len(flat), len(known)).astype(np.float64)
