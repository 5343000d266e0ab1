"""Temperature scaling: one number that makes a network's confidence honest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from torchyard.core.errors import BadData, BadModel
from torchyard.evaluate.sample import Floats, Truth
from torchyard.records.evidence import Calibration

# A network that needs more than this is not miscalibrated but wrong (or perfect on few rows).
LOWEST, HIGHEST = 0.05, 20.0


@dataclass(frozen=True, slots=True)
class _Losses:
    """Mean log loss in nats at a temperature, and its slope at an inverse temperature."""

    at: Callable[[float], float]
    slope: Callable[[float], float]


def fit_temperature(*, truth: Truth, logits: Floats) -> Calibration:
    """The temperature that minimises log loss on these rows (Guo et al. 2017, section 4.2).

    Log loss is convex in the inverse temperature, so its slope has one root; it is bracketed and
    found by Brent's method in float64. The temperature stays between 0.05 and 20.

    Args:
        truth: validation labels, ``bool [rows]`` of a binary task, ``int64 [rows]`` of one with
            many classes; at least two classes occur.
        logits: the model's: of the second class, ``[rows]``, or of every class,
            ``[rows, classes]``.

    Returns:
        The calibration; its temperature is 1 when no other lowers the loss.

    Raises:
        BadData: there are no rows, only one class, or shapes differ.
        BadModel: a logit is not finite.

    Example:
        >>> truth = np.array([True, True, True, False] * 50)
        >>> round(fit_temperature(truth=truth, logits=np.full(200, 4.0)).temperature, 3)
        3.641
    """
    z = _checked(truth, logits)
    losses = _of_two(z, truth) if z.ndim == 1 else _of_many(z, truth)

    before = losses.at(1.0)
    temperature = 1.0 / _best_inverse(losses.slope)
    after = losses.at(temperature)
    if not after < before:
        temperature, after = 1.0, before
    return Calibration(
        method="temperature",
        temperature=temperature,
        rows=truth.size,
        log_loss_before=before,
        log_loss_after=after,
    )


def apply_temperature(logits: Floats, calibration: Calibration) -> Floats:
    """Calibrated probabilities of every class.

    Args:
        logits: of the second class of two, ``[rows]``, or of every class, ``[rows, classes]``.
        calibration: what ``fit_temperature`` made.

    Returns:
        ``float64 [rows, classes]``, from 0 to 1, each row adding up to 1.

    Example:
        >>> even = Calibration(method="temperature", temperature=2.0, rows=9, log_loss_before=0.7,
        ...                    log_loss_after=0.6)
        >>> apply_temperature(np.array([0.0]), even).tolist()
        [[0.5, 0.5]]
    """
    from scipy.special import expit, softmax

    scaled = np.asarray(logits, dtype=np.float64) / calibration.temperature
    if scaled.ndim == 2:
        return np.asarray(softmax(scaled, axis=1), dtype=np.float64)
    second = np.asarray(expit(scaled), dtype=np.float64)
    return np.stack([1.0 - second, second], axis=1)


def _of_two(z: Floats, truth: Truth) -> _Losses:
    """Of the logistic function: one logit per row, ``z [rows]``."""
    from scipy.special import expit

    y = truth.astype(np.float64)

    def at(temperature: float) -> float:
        scaled = z / temperature
        return float(np.mean(np.logaddexp(0.0, scaled) - y * scaled))

    def slope(inverse: float) -> float:
        return float(np.mean((expit(inverse * z) - y) * z))

    return _Losses(at, slope)


def _of_many(z: Floats, truth: Truth) -> _Losses:
    """Of the softmax: a logit per class, ``z [rows, classes]``."""
    from scipy.special import logsumexp, softmax

    own = np.take_along_axis(z, truth.astype(np.int64)[:, None], axis=1)[:, 0]

    def at(temperature: float) -> float:
        return float(np.mean(logsumexp(z / temperature, axis=1) - own / temperature))

    def slope(inverse: float) -> float:
        return float(np.mean(np.vecdot(softmax(inverse * z, axis=1), z) - own))

    return _Losses(at, slope)


def _best_inverse(slope: Callable[[float], float]) -> float:
    """The inverse temperature where the slope of the loss is 0, or the bound nearest to it."""
    from scipy.optimize import brentq

    low, high = 1.0 / HIGHEST, 1.0 / LOWEST
    if slope(low) >= 0.0:
        return low
    if slope(high) <= 0.0:
        return high
    return float(brentq(slope, low, high, xtol=1e-12))


def _checked(truth: Truth, logits: Floats) -> Floats:
    is_binary = truth.dtype == np.bool_
    if truth.ndim != 1 or logits.ndim != (1 if is_binary else 2) or len(logits) != truth.size:
        raise BadData(
            where="calibration",
            found=f"{truth.dtype} labels {list(truth.shape)}, logits {list(logits.shape)}",
            expected="bool labels [rows] and logits [rows], or int64 labels [rows] and logits "
            "[rows, classes]",
            remedy="Give one logit of the second class per validation row, or one of every class.",
        )
    counts = np.unique(truth, return_counts=True)[1]
    if counts.size < 2:
        raise BadData(
            where="calibration, validation split",
            found=f"{int(truth.sum())} positive of {truth.size} rows"
            if is_binary
            else f"{truth.size} rows of {counts.size} classes",
            expected="rows of both classes" if is_binary else "rows of at least two classes",
            remedy="Make the validation split larger.",
        )
    z = np.asarray(logits, dtype=np.float64)
    if not np.isfinite(z).all():
        raise BadModel(
            where="the model's logits",
            found=f"{int((~np.isfinite(z)).sum())} of {z.size} not finite",
            expected="finite numbers",
            remedy="Lower training=ty.Training(learning_rate=...), or look for a division by zero.",
        )
    return z
