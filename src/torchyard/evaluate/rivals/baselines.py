"""What any model must beat: the same answer for every row, and a straight line.

A fitted baseline is plain numbers, so it predicts without the library that fitted it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from torchyard.core.errors import BadData
from torchyard.evaluate.calibrating.fitting import (
    drawn_rows,
    held_back,
    is_constant,
    logits_of,
    spread_of,
    with_spread,
)
from torchyard.evaluate.counting.sample import Floats, Indices, Truth, count_classes
from torchyard.evaluate.rivals.design import (
    Features,
    Tensor,
    bag,
    columns,
    in_parts,
    join,
    no_rows,
    numbers_per_row,
    rows_of,
)
from torchyard.records.schema import Task, TaskKind

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

_MOST_STEPS = 200
# Numbers in the rows that are fitted on, times logits: about ten seconds on one core.
MOST_NUMBERS = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Majority:
    """Answers every row alike: with the classes' shares of the training split, in the task's order.

    A number is answered with the training labels' median, and with the quantiles that hold the
    task's coverage of them.
    """

    answer: tuple[float, ...]

    def predict(self, features: Features) -> Floats:
        """Answers, ``float64 [rows, outputs]``."""
        return np.tile(np.array(self.answer), (rows_of(features), 1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Linear:
    """Regression on the feature tensors: numbers as columns, integers as counted values.

    One logit, that of the second class, for a binary task; one per class for those of several; the
    number itself for regression. A wide tensor is averaged down first, see ``design.columns``.

    Attributes:
        kind: of the task.
        intercept: the logits of a row whose numbers are 0 and whose integers are all unseen:
            ``[]`` or ``[classes]``.
        numbers: per ``float32`` tensor the weights of its columns, ``[columns]`` or
            ``[columns, classes]``.
        integers: per ``int64`` tensor those of the values seen in training, ``[values]`` or
            ``[values, classes]``.
        spread: how far below and above a number its interval reaches.
    """

    kind: TaskKind
    intercept: Floats
    numbers: dict[str, Floats]
    integers: dict[str, Floats]
    spread: tuple[float, float] = (0.0, 0.0)

    def predict(self, features: Features) -> Floats:
        """Answers, ``float64 [rows, outputs]``.

        Args:
            features: the tensors it was fitted on, by name; integers not seen in training count
                nothing.

        Raises:
            BadData: a tensor is missing or holds a number that is not finite.
        """
        from scipy.special import expit, softmax

        used = {name: _tensor(features, name) for name in (*self.numbers, *self.integers)}
        logits = np.concatenate([self._logits(part) for part in in_parts(used, rows_of(features))])
        if self.kind == "multiclass_classification":
            return np.asarray(softmax(logits, axis=1), dtype=np.float64)
        if self.kind == "regression":
            return with_spread(logits, self.spread)
        chances = np.asarray(expit(logits), dtype=np.float64)
        return chances if chances.ndim == 2 else np.stack([1.0 - chances, chances], axis=1)

    def _logits(self, features: Features) -> Floats:
        rows = rows_of(features)
        logits = (
            np.tile(self.intercept, (rows, 1))
            if self.intercept.ndim
            else np.full(rows, float(self.intercept))
        )
        for name, weights in self.numbers.items():
            logits += columns(name, features[name]) @ weights
        for name, weights in self.integers.items():
            logits += bag(_integers(features[name]), size=len(weights)) @ weights
        return logits


def fit_majority(truth: Truth, task: Task) -> Majority:
    """The classes' shares of the training split; of numbers the median.

    Args:
        truth: training labels, as in ``Sample``.
        task: what is predicted.

    Raises:
        BadData: there are no rows.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> fit_majority(np.array([True, False, False, False]), late).answer
        (0.75, 0.25)
    """
    if truth.size == 0:
        raise no_rows()
    if task.is_regression:
        tail = (1.0 - task.coverage) / 2.0
        low, middle, high = np.quantile(truth, (tail, 0.5, 1.0 - tail)).tolist()
        return Majority(answer=(middle, low, high))
    if task.is_multilabel:
        return Majority(answer=tuple(truth.mean(axis=0).tolist()))
    if task.is_binary:
        rate = float(truth.mean())
        return Majority(answer=(1.0 - rate, rate))
    return Majority(answer=tuple(rows / truth.size for rows in count_classes(task, truth)))


def fit_linear(features: Features, truth: Truth, task: Task, *, seed: int) -> Linear | Majority:
    """Logistic regression with scikit-learn's default penalty, by L-BFGS; of numbers ridge.

    Multinomial for a task of many classes, one by one where a row has any number of them. Columns
    of numbers are standardised for the fit (the weights are given in their own units), so the
    penalty treats them alike. Fitting stops after 200 steps, and takes a random part of the rows
    where they hold more than 20 million numbers per logit: a baseline need not be perfect.

    Args:
        features: the feature graph's tensors, ``float32 [rows, ...]``, ``int64 [rows]`` or
            ``int64 [rows, length]``.
        truth: training labels, as in ``Sample``.
        task: what is predicted.
        seed: of the solver and of the part.

    Returns:
        The line, or the majority where the labels hold one class. A class without training rows
        gets no probability.

    Raises:
        BadData: there are no rows, or a number is not finite.
    """
    if truth.size == 0 or not features:
        raise no_rows()
    if is_constant(truth):
        return fit_majority(truth, task)
    chosen = _chosen(features, truth, task, seed=seed)
    if chosen is not None:
        features, truth = {name: t[chosen] for name, t in features.items()}, truth[chosen]
    numbers = {n: columns(n, tensor) for n, tensor in features.items() if tensor.dtype.kind == "f"}
    integers = {n: _integers(tensor) for n, tensor in features.items() if tensor.dtype.kind == "i"}
    scales = {name: _scale(block) for name, block in numbers.items()}
    sizes = {name: int(values.max(initial=-1)) + 1 for name, values in integers.items()}
    matrix = join(
        [(numbers[name] - mean) / deviation for name, (mean, deviation) in scales.items()],
        [bag(integers[name], size=size) for name, size in sizes.items()],
    )
    spread = (0.0, 0.0)
    if task.is_regression:
        kept, held = held_back(truth)
        intercept, weights = _regression(matrix[kept], truth[kept], seed)
        spread = spread_of(truth[held] - matrix[held] @ weights - intercept, task)
    else:
        intercept, weights = _SOLVERS[task.kind](matrix, truth, task, seed)
    widths = [block.shape[1] for block in numbers.values()] + list(sizes.values())
    parts = iter(np.split(weights, np.cumsum(widths)[:-1]))
    in_units = {}
    for name, (mean, deviation) in scales.items():
        in_units[name] = (next(parts).T / deviation).T
        intercept = intercept - mean @ in_units[name]
    return Linear(
        kind=task.kind,
        spread=spread,
        intercept=np.asarray(intercept),
        numbers=in_units,
        integers={name: next(parts) for name in sizes},
    )


def _chosen(features: Features, truth: Truth, task: Task, *, seed: int) -> Indices | None:
    """The rows to fit on, rising, with one of every class; None for all of them."""
    most = MOST_NUMBERS // (numbers_per_row(features) * logits_of(task))
    return drawn_rows(truth, task, most=max(1, most), seed=seed)


def _binary(matrix: csr_matrix, truth: Truth, task: Task, seed: int) -> tuple[Floats, Floats]:
    """Intercept and weights, shaped as in ``Linear``, of the matrix's columns."""
    model = _logistic(matrix, truth, seed)
    return np.asarray(model.intercept_[0]), np.asarray(model.coef_[0], dtype=np.float64)


def _multilabel(matrix: csr_matrix, truth: Truth, task: Task, seed: int) -> tuple[Floats, Floats]:
    """One line per class; one whose labels are all alike gets their rate."""
    intercept = np.empty(len(task.classes))
    weights = np.zeros((matrix.shape[1], len(task.classes)))
    for place, labels in enumerate(truth.T):
        if is_constant(labels):
            intercept[place] = np.inf if labels[0] else -np.inf
        else:
            intercept[place], weights[:, place] = _binary(matrix, labels, task, seed)
    return intercept, weights


def _regression(matrix: csr_matrix, truth: Truth, seed: int) -> tuple[Floats, Floats]:
    from sklearn.linear_model import Ridge

    model = Ridge(random_state=seed, solver="sparse_cg").fit(matrix, truth)
    return np.asarray(model.intercept_), np.asarray(model.coef_, dtype=np.float64)


def _logistic(matrix: csr_matrix, truth: Truth, seed: int) -> LogisticRegression:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=_MOST_STEPS, tol=1e-4, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(matrix, truth)


def _multiclass(matrix: csr_matrix, truth: Truth, task: Task, seed: int) -> tuple[Floats, Floats]:
    model = _logistic(matrix, truth, seed)
    found = np.asarray(model.coef_, dtype=np.float64)
    intercept = np.full(len(task.classes), -np.inf)
    weights = np.zeros((matrix.shape[1], len(task.classes)))
    if len(model.classes_) == 2:  # scikit-learn then fits one logit, that of the second of them
        intercept[model.classes_] = 0.0, model.intercept_[0]
        weights[:, model.classes_[1]] = found[0]
    else:
        intercept[model.classes_], weights[:, model.classes_] = model.intercept_, found.T
    return intercept, weights


_SOLVERS: dict[TaskKind, Callable[..., tuple[Floats, Floats]]] = {
    "binary_classification": _binary,
    "multiclass_classification": _multiclass,
    "multilabel_classification": _multilabel,
}


def _scale(block: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column, 1 for a constant one."""
    deviation = block.std(axis=0)
    return block.mean(axis=0), np.where(deviation > 0, deviation, 1.0)


def _integers(tensor: Tensor) -> npt.NDArray[np.int64]:
    return np.asarray(tensor, dtype=np.int64)


def _tensor(features: Features, name: str) -> Tensor:
    if name not in features:
        raise BadData(
            where="linear baseline",
            found=f"tensors {', '.join(sorted(features))}",
            expected=f"tensor '{name}', on which it was fitted",
            remedy="Encode the rows with the feature graph of the training run.",
        )
    return features[name]
