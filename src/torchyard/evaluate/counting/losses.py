"""What each row lost: a metric row by row, where others need its mean alone."""

from __future__ import annotations

import numpy as np

from torchyard.evaluate.counting.sample import Bools, Floats, Sample, answers

_WORST = 0.9  # of a regression's absolute errors, those above this quantile count as wrong


def row_losses(sample: Sample) -> tuple[str, Floats]:
    """The metric whose mean over rows says how bad they are, and each row's share of it.

    Returns:
        ``log_loss`` in nats, of a multilabel task averaged over its classes, or ``mae`` in the
        label's unit; and ``float64 [rows]``, at least 0.

    Example:
        >>> from torchyard.records.schema import Task
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> name, lost = row_losses(Sample(task=late, truth=np.array([True, False]),
        ...                                outputs=np.array([[.5, .5], [1., 0.]])))
        >>> name, [round(one, 4) for one in lost.tolist()]
        ('log_loss', [0.6931, 0.0])
    """
    truth, outputs = sample.truth, sample.outputs
    if sample.task.is_regression:
        return "mae", np.abs(truth - outputs[:, 0])
    if sample.task.is_multilabel:
        return "log_loss", _surprise(np.where(truth, outputs, 1.0 - outputs)).mean(axis=1)
    chosen = outputs[np.arange(sample.rows), truth.astype(np.int64)]
    return "log_loss", _surprise(chosen)


def wrong_rows(sample: Sample) -> Bools:
    """Which rows are answered wrongly, ``bool [rows]``.

    Multilabel: those with any class wrong. Regression: the worst tenth by absolute error.
    """
    if sample.task.is_regression:
        _, lost = row_losses(sample)
        return np.asarray(lost > np.quantile(lost, _WORST))
    if sample.task.is_multilabel:
        return np.asarray(((sample.outputs >= sample.task.threshold) != sample.truth).any(axis=1))
    return np.asarray(answers(sample.task, sample.outputs) != sample.truth)


def _surprise(probability: Floats) -> Floats:
    """Nats, clipped as the metric is."""
    return np.abs(np.log(np.clip(probability, np.finfo(np.float64).eps, 1.0)))
