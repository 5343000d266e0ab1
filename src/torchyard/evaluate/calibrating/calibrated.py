"""What a calibration makes of logits, in float64: what every served graph is held to.

``scores`` are what the last step turns into probabilities: the sigmoid of each class's score alone
(binary and multilabel tasks), or the softmax of all of them.
"""

from __future__ import annotations

import numpy as np

from torchyard.evaluate.calibrating.isotonic import read_curve
from torchyard.evaluate.counting.sample import Floats, Truth
from torchyard.records.calibration import Calibration

# stands in for a chance that is too small for any number, so that its logarithm is finite
LEAST_CHANCE = 1e-300
PER_CLASS = ("beta", "isotonic")


def scores_of(logits: Floats, calibration: Calibration, *, joint: bool) -> Floats:
    """Calibrated scores of every class, ``float64 [rows, classes]``.

    Args:
        logits: ``float64 [rows, classes]``; one column in a binary task.
        calibration: how.
        joint: whether exactly one class is true of a row, so that answers add up to 1.
    """
    from scipy.special import log_expit

    method = calibration.method
    if method == "none":
        return logits
    if calibration.slopes and method not in PER_CLASS:
        scores = np.array(calibration.slopes) * logits + np.array(calibration.shifts)
        return np.asarray(scores, dtype=np.float64)
    if method not in PER_CLASS:
        return logits / calibration.temperature
    odds = log_odds(logits) if joint else logits
    read = _beta if method == "beta" else _isotonic
    alone = read(odds, calibration)
    # the softmax of logarithms of chances divides the chances by their sum
    return np.asarray(log_expit(alone), dtype=np.float64) if joint else alone


def losses_of(truth: Truth, scores: Floats, *, joint: bool) -> Floats:
    """The log loss of each row, in nats, ``[rows]``; the mean over classes that are judged alone.

    Args:
        truth: the class of each row, ``int [rows]``, where joint; else ``bool [rows, classes]``.
        scores: ``[rows, classes]``.
        joint: whether exactly one class is true of a row.
    """
    from scipy.special import logsumexp

    if joint:
        own = np.take_along_axis(scores, truth.astype(np.int64)[:, None], axis=1)[:, 0]
        return np.asarray(logsumexp(scores, axis=1) - own, dtype=np.float64)
    losses = np.logaddexp(0.0, scores) - truth * scores
    return np.asarray(losses.mean(axis=1), dtype=np.float64)


def log_odds(logits: Floats) -> Floats:
    """The logarithm of each class's odds against all others together, ``[rows, classes]``.

    The chance of the others is summed without the largest, whose own chance would drown it.
    """
    centred = logits - logits.max(axis=1, keepdims=True)
    chances = np.exp(centred)
    largest = centred == 0.0
    rest = np.where(largest, 0.0, chances).sum(axis=1, keepdims=True)
    equals = largest.sum(axis=1, keepdims=True)
    others = np.where(largest, equals - 1.0 + rest, equals + rest - chances)
    return np.asarray(centred - np.log(np.maximum(others, LEAST_CHANCE)), dtype=np.float64)


def softplus(x: Floats) -> Floats:
    """``log(1 + exp(x))`` without overflow."""
    return np.asarray(np.logaddexp(0.0, x), dtype=np.float64)


def _beta(odds: Floats, calibration: Calibration) -> Floats:
    """Kull et al. 2017, equation 1, in logits: ``p`` and ``1 - p`` are raised to two powers."""
    below, above = np.array(calibration.slopes), np.array(calibration.slopes_above)
    scores = above * softplus(odds) - below * softplus(-odds) + np.array(calibration.shifts)
    return np.asarray(scores, dtype=np.float64)


def _isotonic(odds: Floats, calibration: Calibration) -> Floats:
    chances = np.stack(
        [read_curve(curve, odds[:, at]) for at, curve in enumerate(calibration.curves)], axis=1
    )
    return np.asarray(np.log(chances) - np.log1p(-chances), dtype=np.float64)
