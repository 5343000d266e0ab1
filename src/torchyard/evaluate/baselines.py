"""What any model must beat: the same answer for every row, and a straight line.

A fitted baseline is plain numbers, so it predicts without the library that fitted it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from torchyard.core.errors import BadData
from torchyard.evaluate.design import Features, Tensor, bag, columns, join, numbers_per_row
from torchyard.evaluate.sample import Floats, Indices, Truth, count_classes
from torchyard.records.schema import Task

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_MOST_STEPS = 200
# Numbers in the rows that are fitted on, times logits: about ten seconds on one core.
MOST_NUMBERS = 20_000_000
_NUMBERS_AT_ONCE = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Majority:
    """Answers every row with the classes' shares of the training split, in the task's order."""

    rates: tuple[float, ...]

    def predict(self, features: Features) -> Floats:
        """Probabilities, ``float64 [rows, classes]``."""
        return np.tile(np.array(self.rates), (_rows(features), 1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Linear:
    """Logistic regression on the feature tensors: numbers as columns, integers as counted values.

    One logit, that of the second class, for a binary task; one per class for others. A wide tensor
    is averaged down first, see ``design.columns``.

    Attributes:
        intercept: the logits of a row whose numbers are 0 and whose integers are all unseen:
            ``[]`` or ``[classes]``.
        numbers: per ``float32`` tensor the weights of its columns, ``[columns]`` or
            ``[columns, classes]``.
        integers: per ``int64`` tensor those of the values seen in training, ``[values]`` or
            ``[values, classes]``.
    """

    intercept: Floats
    numbers: dict[str, Floats]
    integers: dict[str, Floats]

    def predict(self, features: Features) -> Floats:
        """Probabilities, ``float64 [rows, classes]``.

        Args:
            features: the tensors it was fitted on, by name; integers not seen in training count
                nothing.

        Raises:
            BadData: a tensor is missing or holds a number that is not finite.
        """
        from scipy.special import expit, softmax

        used = {name: _tensor(features, name) for name in (*self.numbers, *self.integers)}
        logits = np.concatenate([self._logits(part) for part in _in_parts(used, _rows(features))])
        if logits.ndim == 2:
            return np.asarray(softmax(logits, axis=1), dtype=np.float64)
        second = np.asarray(expit(logits), dtype=np.float64)
        return np.stack([1.0 - second, second], axis=1)

    def _logits(self, features: Features) -> Floats:
        rows = _rows(features)
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
    """The classes' shares of the training split.

    Args:
        truth: training labels, ``bool [rows]`` or ``int64 [rows]``.
        task: what is predicted.

    Raises:
        BadData: there are no rows.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> fit_majority(np.array([True, False, False, False]), late).rates
        (0.75, 0.25)
    """
    if truth.size == 0:
        raise _no_rows()
    if task.is_binary:
        rate = float(truth.mean())
        return Majority(rates=(1.0 - rate, rate))
    return Majority(rates=tuple(rows / truth.size for rows in count_classes(task, truth)))


def fit_linear(features: Features, truth: Truth, task: Task, *, seed: int) -> Linear | Majority:
    """Logistic regression with scikit-learn's default penalty, by L-BFGS.

    Multinomial for a task of many classes. Columns of numbers are standardised for the fit (the
    weights are given in their own units), so the penalty treats them alike. Fitting stops after 200
    steps, and takes a random part of the rows where they hold more than 20 million numbers per
    logit: a baseline need not be perfect.

    Args:
        features: the feature graph's tensors, ``float32 [rows, ...]``, ``int64 [rows]`` or
            ``int64 [rows, length]``.
        truth: training labels, ``bool [rows]`` or ``int64 [rows]``.
        task: what is predicted.
        seed: of the solver and of the part.

    Returns:
        The line, or the majority where the labels hold one class. A class without training rows
        gets no probability.

    Raises:
        BadData: there are no rows, or a number is not finite.
    """
    if truth.size == 0 or not features:
        raise _no_rows()
    if np.unique(truth).size < 2:
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
    intercept, weights = _solve(matrix, truth, task, seed=seed)
    widths = [block.shape[1] for block in numbers.values()] + list(sizes.values())
    parts = iter(np.split(weights, np.cumsum(widths)[:-1]))
    in_units = {}
    for name, (mean, deviation) in scales.items():
        in_units[name] = (next(parts).T / deviation).T
        intercept = intercept - mean @ in_units[name]
    return Linear(
        intercept=np.asarray(intercept),
        numbers=in_units,
        integers={name: next(parts) for name in sizes},
    )


def _chosen(features: Features, truth: Truth, task: Task, *, seed: int) -> Indices | None:
    """The rows to fit on, rising, with one of every class; None for all of them."""
    logits = 1 if task.is_binary else len(task.classes)
    most = max(1, MOST_NUMBERS // (numbers_per_row(features) * logits))
    if truth.size <= most:
        return None
    drawn = np.random.default_rng(seed).choice(truth.size, most, replace=False)
    return np.union1d(drawn, np.unique(truth, return_index=True)[1])


def _solve(matrix: csr_matrix, truth: Truth, task: Task, *, seed: int) -> tuple[Floats, Floats]:
    """Intercept and weights, shaped as in ``Linear``, of the matrix's columns."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=_MOST_STEPS, tol=1e-4, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(matrix, truth)
    found = np.asarray(model.coef_, dtype=np.float64)
    if task.is_binary:
        return np.asarray(model.intercept_[0], dtype=np.float64), found[0]
    intercept = np.full(len(task.classes), -np.inf)
    weights = np.zeros((matrix.shape[1], len(task.classes)))
    if len(model.classes_) == 2:  # scikit-learn then fits one logit, that of the second of them
        intercept[model.classes_] = 0.0, model.intercept_[0]
        weights[:, model.classes_[1]] = found[0]
    else:
        intercept[model.classes_], weights[:, model.classes_] = model.intercept_, found.T
    return intercept, weights


def _scale(block: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column, 1 for a constant one."""
    deviation = block.std(axis=0)
    return block.mean(axis=0), np.where(deviation > 0, deviation, 1.0)


def _in_parts(features: Features, rows: int) -> Iterator[Features]:
    """The same rows, few enough at a time to be widened to float64."""
    width = sum(tensor[:1].size for tensor in features.values())
    step = max(1, _NUMBERS_AT_ONCE // max(1, width))
    for first in range(0, rows, step):
        yield {name: tensor[first : first + step] for name, tensor in features.items()}


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


def _rows(features: Features) -> int:
    if not features:
        raise _no_rows()
    return int(next(iter(features.values())).shape[0])


def _no_rows() -> BadData:
    return BadData(
        where="baseline",
        found="no rows or no feature tensors",
        expected="at least one of both",
        remedy="Check the training split's size.",
    )
