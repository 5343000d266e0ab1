"""What any model must beat: the same answer for every row, and a straight line.

A fitted baseline is plain numbers, so it predicts without the library that fitted it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from torchyard.core.errors import BadData
from torchyard.evaluate.tally import Bools, Floats

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Features = Mapping[str, npt.NDArray[np.float32] | npt.NDArray[np.int64]]
Matrix = npt.NDArray[np.float64]

_MOST_STEPS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Majority:
    """Answers every row with the positive rate of the training split."""

    rate: float

    def predict(self, features: Features) -> Floats:
        """Probabilities of the positive class, ``float64 [rows]``."""
        return np.full(_rows(features), self.rate)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Linear:
    """Logistic regression on the feature tensors: numbers as they are, integers one-hot.

    Attributes:
        intercept: the logit of a row whose numbers are 0 and whose integers are all unseen.
        numbers: per ``float32`` tensor a weight per column, ``[width]``.
        integers: per ``int64`` tensor a weight per value seen in training, ``[values]``.
    """

    intercept: float
    numbers: dict[str, Floats]
    integers: dict[str, Floats]

    def predict(self, features: Features) -> Floats:
        """Probabilities of the positive class, ``float64 [rows]``.

        Args:
            features: the tensors it was fitted on, by name; integers not seen in training count
                nothing.

        Raises:
            BadData: a tensor is missing or holds a number that is not finite.
        """
        from scipy.special import expit

        logits = np.full(_rows(features), self.intercept)
        for name, weights in self.numbers.items():
            logits += _columns(name, _tensor(features, name)) @ weights
        for name, weights in self.integers.items():
            values = _tensor(features, name)
            seen = (values >= 0) & (values < weights.size)
            logits += np.where(seen, weights[np.where(seen, values, 0)], 0.0)
        return np.asarray(expit(logits), dtype=np.float64)


def fit_majority(truth: Bools) -> Majority:
    """The positive rate of the training split.

    Args:
        truth: training labels, ``bool [rows]``.

    Raises:
        BadData: there are no rows.

    Example:
        >>> fit_majority(np.array([True, False, False, False])).rate
        0.25
    """
    if truth.size == 0:
        raise _no_rows()
    return Majority(rate=float(truth.mean()))


def fit_linear(features: Features, truth: Bools, *, seed: int) -> Linear | Majority:
    """Logistic regression with scikit-learn's default penalty, by L-BFGS.

    Columns of numbers are standardised for the fit (the weights are given in their own units), so
    the penalty treats them alike. Fitting stops after 200 steps: a baseline need not be perfect.

    Args:
        features: the feature graph's tensors: ``float32 [rows, width]`` and ``int64 [rows]``.
        truth: training labels, ``bool [rows]``.
        seed: of the solver.

    Returns:
        The line, or the majority where the labels hold one class.

    Raises:
        BadData: there are no rows, or a number is not finite.
    """
    if truth.size == 0 or not features:
        raise _no_rows()
    if truth.all() or not truth.any():
        return fit_majority(truth)
    numbers = {
        name: _columns(name, tensor)
        for name, tensor in features.items()
        if tensor.dtype.kind == "f"
    }
    integers = {
        name: np.asarray(tensor, dtype=np.int64)
        for name, tensor in features.items()
        if tensor.dtype.kind == "i"
    }
    scales = {name: _scale(columns) for name, columns in numbers.items()}
    sizes = {name: int(values.max(initial=-1)) + 1 for name, values in integers.items()}
    blocks = [(numbers[name] - mean) / deviation for name, (mean, deviation) in scales.items()]
    matrix = _design(blocks, [(integers[name], size) for name, size in sizes.items()])
    intercept, weights = _solve(matrix, truth, seed=seed)
    widths = [columns.shape[1] for columns in numbers.values()] + list(sizes.values())
    parts = iter(np.split(weights, np.cumsum(widths)[:-1]))
    in_units = {}
    for name, (mean, deviation) in scales.items():
        in_units[name] = next(parts) / deviation
        intercept -= float(mean @ in_units[name])
    return Linear(
        intercept=intercept, numbers=in_units, integers={name: next(parts) for name in sizes}
    )


def _design(blocks: list[Matrix], integers: list[tuple[npt.NDArray[np.int64], int]]) -> csr_matrix:
    """Number columns, then one 0/1 column per value of each integer tensor."""
    from scipy import sparse

    rows = blocks[0].shape[0] if blocks else integers[0][0].shape[0]
    parts = [sparse.csr_matrix(block) for block in blocks]
    for values, size in integers:
        places = np.flatnonzero(values >= 0)
        ones = np.ones(places.size)
        parts.append(sparse.csr_matrix((ones, (places, values[places])), shape=(rows, size)))
    return sparse.hstack(parts, format="csr")


def _solve(matrix: csr_matrix, truth: Bools, *, seed: int) -> tuple[float, Floats]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=_MOST_STEPS, tol=1e-4, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(matrix, truth)
    return float(model.intercept_[0]), np.asarray(model.coef_[0], dtype=np.float64)


def _scale(columns: Matrix) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column, 1 for a constant one."""
    deviation = columns.std(axis=0)
    return columns.mean(axis=0), np.where(deviation > 0, deviation, 1.0)


def _columns(name: str, tensor: npt.NDArray[np.float32] | npt.NDArray[np.int64]) -> Matrix:
    columns = np.asarray(tensor, dtype=np.float64).reshape(tensor.shape[0], -1)
    if not np.isfinite(columns).all():
        raise BadData(
            where=f"feature tensor '{name}'",
            found=f"{int((~np.isfinite(columns)).sum())} numbers that are not finite",
            expected="finite numbers",
            remedy="Fill missing values in the feature graph, for example with ty.standardize.",
        )
    return columns


def _tensor(features: Features, name: str) -> npt.NDArray[np.float32] | npt.NDArray[np.int64]:
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
