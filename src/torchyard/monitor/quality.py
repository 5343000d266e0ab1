"""Live quality: what the metrics are on the rows whose labels have arrived."""

from __future__ import annotations

import numpy as np

from torchyard.evaluate.bootstrap import measure
from torchyard.evaluate.metrics import METRICS
from torchyard.monitor.windows import Traffic
from torchyard.records.evidence import Measured

LIVE_METRICS = ("auroc", "log_loss", "brier", "expected_calibration_error")
FEWEST_LABELS = 50


def live_quality(
    traffic: Traffic, *, threshold: float, resamples: int, generator: np.random.Generator
) -> dict[str, Measured]:
    """Metrics with 95 % intervals of a window's labelled rows.

    Empty with fewer than 50 labels or with labels of one class only: what could be computed from
    those would mislead.

    Args:
        traffic: the window.
        threshold: rows at or above it are answered with the second class.
        resamples: of the bootstrap.
        generator: draws the resamples.
    """
    if labelled_rows(traffic) < FEWEST_LABELS:
        return {}
    truth = np.concatenate(traffic.truths)
    if truth.all() or not truth.any():
        return {}
    return measure(
        truth=truth,
        probability=np.concatenate(traffic.probabilities),
        threshold=threshold,
        generator=generator,
        resamples=resamples,
        metrics=LIVE_METRICS,
    )


def worse_than(*, current: Measured, reference: Measured, metric: str) -> bool:
    """Whether the whole interval lies on the worse side of the reference's whole interval.

    False where either has no interval or the metric has no better direction.
    """
    higher_is_better = METRICS[metric].higher_is_better
    if current.low is None or current.high is None:
        return False
    if reference.low is None or reference.high is None or higher_is_better is None:
        return False
    if higher_is_better:
        return current.high < reference.low
    return current.low > reference.high


def labelled_rows(traffic: Traffic) -> int:
    """Rows whose label has arrived."""
    return sum(piece.size for piece in traffic.truths)
