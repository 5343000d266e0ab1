"""Each way to calibrate, fitted: logits and truth in, a ``Calibration`` out.

Every map rises, so none turns the order of a class's logits around.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from torchyard.evaluate.calibrating.calibrated import log_odds, softplus
from torchyard.evaluate.calibrating.isotonic import fit_isotonic
from torchyard.evaluate.counting.sample import Bools, Floats, Truth
from torchyard.records.calibration import Calibration

# A network that needs more than this is not miscalibrated but wrong (or perfect on few rows).
LOWEST, HIGHEST = 0.05, 20.0
FURTHEST = 50.0  # a shift beyond it is certainty
# Rows with, and without, a class that its own parameters need; each fold then holds two.
LEAST_ROWS = 10
# What is compared with every point of every curve at once must fit in memory.
MOST_BLOCKS, MOST_BLOCKS_IN_ALL, MOST_CURVES = 32, 256, 32

Fit = Callable[[Truth, Floats], Calibration]


def methods(*, joint: bool, classes: int) -> dict[str, Fit]:
    """The ways to calibrate a task, the one of fewest parameters first.

    Args:
        joint: whether exactly one of several classes is true of a row; the truth is then its
            index, ``int64 [rows]``, and else ``bool [rows, classes]``.
        classes: how many columns the logits have.
    """
    blocks = min(MOST_BLOCKS, max(1, MOST_BLOCKS_IN_ALL // classes))
    if joint:
        return {
            "none": lambda truth, logits: Calibration(method="none"),
            "temperature": fit_temperature,
            "vector": fit_vector,
            "beta": lambda truth, logits: fit_beta(one_hot(truth, logits), log_odds(logits)),
            "isotonic": lambda truth, logits: fit_isotonics(
                one_hot(truth, logits), log_odds(logits), blocks=blocks
            ),
        }
    return {
        "none": lambda truth, logits: Calibration(method="none"),
        "temperature": fit_temperature if classes == 1 else fit_temperatures,
        "platt": fit_platt,
        "beta": fit_beta,
        "isotonic": lambda truth, logits: fit_isotonics(truth, logits, blocks=blocks),
    }


def fit_temperature(truth: Truth, logits: Floats) -> Calibration:
    """One temperature for all logits, by log loss (Guo et al. 2017, section 4.2).

    Log loss is convex in the inverse temperature, so its slope has one root; it is bracketed and
    found by Brent's method. The temperature stays between 0.05 and 20.
    """
    if truth.ndim == 1:
        slope = _slope_of_many(truth, logits)
    else:
        slope = _slope_of_two(truth[:, 0].astype(np.bool_), logits[:, 0])
    return Calibration(method="temperature", temperature=1.0 / _best_inverse(slope))


def fit_temperatures(truth: Truth, logits: Floats) -> Calibration:
    """A temperature for each class alone; 1 for one that too few rows tell of."""
    slopes = [
        _best_inverse(_slope_of_two(y, z)) if is_told(y) else 1.0
        for y, z in zip(truth.T, logits.T, strict=True)
    ]
    return Calibration(method="temperature", slopes=tuple(slopes), shifts=(0.0,) * logits.shape[1])


def fit_vector(truth: Truth, logits: Floats) -> Calibration:
    """A slope and a shift of each class's logit before the softmax (Guo et al. 2017, 4.2)."""
    from scipy.special import logsumexp

    classes = logits.shape[1]
    hot = one_hot(truth, logits).astype(np.float64)
    size = _size(logits)
    scaled = logits / size

    def loss(parameters: Floats) -> tuple[float, Floats]:
        z = scaled * parameters[:classes] + parameters[classes:]
        total = logsumexp(z, axis=1, keepdims=True)
        error = np.exp(z - total) - hot
        gradient = np.concatenate([(error * scaled).mean(axis=0), error.mean(axis=0)])
        return float(np.mean(total[:, 0] - np.vecdot(hot, z))), gradient

    bounds = [(0.0, HIGHEST * size)] * classes + [(-FURTHEST, FURTHEST)] * classes
    start = np.concatenate([np.full(classes, size), np.zeros(classes)])
    found = _minimum(loss, start, bounds)
    shifts = found[classes:] - found[classes:].mean()  # the softmax sees only differences
    return Calibration(
        method="vector",
        slopes=tuple((found[:classes] / size).tolist()),
        shifts=tuple(shifts.tolist()),
    )


def fit_platt(truth: Truth, logits: Floats) -> Calibration:
    """A slope and a shift of each class's logit before the sigmoid (Platt 1999, section 2)."""
    found = [
        _logistic(y, [z], start=(1.0, 0.0)) if is_told(y) else (1.0, 0.0)
        for y, z in zip(truth.T, logits.T, strict=True)
    ]
    slopes, shifts = zip(*found, strict=True)
    return Calibration(method="platt", slopes=slopes, shifts=shifts)


def fit_beta(truth: Truth, odds: Floats) -> Calibration:
    """Two slopes, below and above even odds, and a shift per class (Kull et al. 2017, eq. 1)."""
    found = [
        _logistic(y, [-softplus(-z), softplus(z)], start=(1.0, 1.0, 0.0))
        if is_told(y)
        else (1.0, 1.0, 0.0)
        for y, z in zip(truth.T, odds.T, strict=True)
    ]
    below, above, shifts = zip(*found, strict=True)
    return Calibration(method="beta", slopes=below, slopes_above=above, shifts=shifts)


def fit_isotonics(truth: Truth, odds: Floats, *, blocks: int) -> Calibration:
    """A rising curve per class, of at most ``blocks`` flat pieces (Zadrozny and Elkan 2002)."""
    curves = [
        fit_isotonic(z, y.astype(np.float64), blocks=blocks)
        for y, z in zip(truth.T, odds.T, strict=True)
    ]
    return Calibration(method="isotonic", curves=tuple(curves))


def is_told(y: Bools) -> bool:
    """Whether enough rows have a class, and enough lack it, for parameters of its own."""
    return bool(min(int(y.sum()), int(y.size - y.sum())) >= LEAST_ROWS)


def one_hot(truth: Truth, logits: Floats) -> Bools:
    """Whether a row is of a class, ``bool [rows, classes]``, from the index of its class."""
    return np.asarray(truth[:, None] == np.arange(logits.shape[1]))


def _size(values: Floats) -> float:
    """What brings numbers to about 1, so that one step length suits every parameter."""
    return float(max(np.sqrt(np.mean(np.square(values))), 1e-6))


def _logistic(y: Bools, columns: list[Floats], *, start: tuple[float, ...]) -> tuple[float, ...]:
    """Slopes, not below 0, and a shift that minimise log loss against Platt's smoothed targets.

    Those (Platt 1999, section 2.2) stand short of 0 and 1 as a row more of each kind would have
    it, so that rows in perfect order do not make a slope without end.
    """
    from scipy.special import expit

    sizes = np.array([*(_size(column) for column in columns), 1.0])
    features = np.stack([*columns, np.ones(y.size)], axis=1) / sizes
    yes = int(y.sum())
    targets = np.where(y, (yes + 1) / (yes + 2), 1 / (y.size - yes + 2))

    def loss(parameters: Floats) -> tuple[float, Floats]:
        z = features @ parameters
        gradient = features.T @ (expit(z) - targets) / y.size
        return float(np.mean(np.logaddexp(0.0, z) - targets * z)), gradient

    bounds = [(0.0, HIGHEST * size) for size in sizes[:-1]] + [(-FURTHEST, FURTHEST)]
    found = _minimum(loss, np.array(start) * sizes, bounds) / sizes
    return tuple(found.tolist())


def _minimum(loss: Any, start: Floats, bounds: list[tuple[float, float]]) -> Floats:
    """Where a convex loss with a gradient is least within bounds."""
    from scipy.optimize import minimize

    options = {"ftol": 1e-14, "gtol": 1e-9, "maxiter": 500}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return np.asarray(found.x, dtype=np.float64)


def _slope_of_two(y: Bools, z: Floats) -> Callable[[float], float]:
    """Of the mean log loss at an inverse temperature: one logit per row, ``z [rows]``."""
    from scipy.special import expit

    return lambda inverse: float(np.mean((expit(inverse * z) - y) * z))


def _slope_of_many(y: Truth, z: Floats) -> Callable[[float], float]:
    """Of the softmax: a logit per class, ``z [rows, classes]``."""
    from scipy.special import softmax

    own = np.take_along_axis(z, y.astype(np.int64)[:, None], axis=1)[:, 0]
    return lambda inverse: float(np.mean(np.vecdot(softmax(inverse * z, axis=1), z) - own))


def _best_inverse(slope: Callable[[float], float]) -> float:
    """The inverse temperature where the slope of the loss is 0, or the bound nearest to it."""
    from scipy.optimize import brentq

    low, high = 1.0 / HIGHEST, 1.0 / LOWEST
    if slope(low) == slope(high) == 0.0:
        return 1.0  # logits that say nothing say it at any temperature
    if slope(low) >= 0.0:
        return low
    if slope(high) <= 0.0:
        return high
    return float(brentq(slope, low, high, xtol=1e-12))
