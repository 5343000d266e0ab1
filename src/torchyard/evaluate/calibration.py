"""Temperature scaling: one number that makes a network's confidence honest."""

from __future__ import annotations

import numpy as np

from torchyard.core.errors import BadData, BadModel
from torchyard.evaluate.tally import Bools, Floats
from torchyard.records.evidence import Calibration

# A network that needs more than this is not miscalibrated but wrong (or perfect on few rows).
LOWEST, HIGHEST = 0.05, 20.0


def fit_temperature(*, truth: Bools, logits: Floats) -> Calibration:
    """The temperature that minimises log loss on these rows (Guo et al. 2017, section 4.2).

    Log loss is convex in the inverse temperature, so its slope has one root; it is bracketed and
    found by Brent's method in float64. The temperature stays between 0.05 and 20.

    Args:
        truth: validation labels, ``bool [rows]``, of both classes.
        logits: the model's logits of the positive class, ``[rows]``.

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
    y = truth.astype(np.float64)

    before = _loss(z, y)
    temperature = 1.0 / _best_inverse(z, y)
    after = _loss(z / temperature, y)
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
    """Calibrated probabilities of the positive class.

    Args:
        logits: any shape.
        calibration: what ``fit_temperature`` made.

    Returns:
        ``float64`` of the same shape, from 0 to 1.
    """
    from scipy.special import expit

    scaled = np.asarray(logits, dtype=np.float64) / calibration.temperature
    return np.asarray(expit(scaled), dtype=np.float64)


def _best_inverse(z: Floats, y: Floats) -> float:
    """The inverse temperature where the slope of the loss is 0, or the bound nearest to it."""
    from scipy.optimize import brentq
    from scipy.special import expit

    def slope(inverse: float) -> float:
        return float(np.mean((expit(inverse * z) - y) * z))

    low, high = 1.0 / HIGHEST, 1.0 / LOWEST
    if slope(low) >= 0.0:
        return low
    if slope(high) <= 0.0:
        return high
    return float(brentq(slope, low, high, xtol=1e-12))


def _loss(z: Floats, y: Floats) -> float:
    """Mean log loss in nats of logits ``z``, without overflow."""
    return float(np.mean(np.logaddexp(0.0, z) - y * z))


def _checked(truth: Bools, logits: Floats) -> Floats:
    if truth.dtype != np.bool_ or truth.ndim != 1 or truth.shape != logits.shape:
        raise BadData(
            where="calibration",
            found=f"{truth.dtype} labels {list(truth.shape)}, logits {list(logits.shape)}",
            expected="bool labels [rows] and logits [rows]",
            remedy="Give one logit of the positive class per validation row.",
        )
    if truth.size == 0 or truth.all() or not truth.any():
        raise BadData(
            where="calibration, validation split",
            found=f"{int(truth.sum())} positive of {truth.size} rows",
            expected="rows of both classes",
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
