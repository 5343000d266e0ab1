"""The loss that is trained on and that an epoch is chosen by, told by the form of the labels.

| Task | Labels | Answers | Loss |
|---|---|---|---|
| binary | 0 and 1, ``float32 [rows]`` | ``[rows]``, ``[rows, 1]`` | logistic cross-entropy |
| multiclass | class numbers, ``int64 [rows]`` | ``[rows, classes]`` | softmax cross-entropy |
| multilabel | 0 and 1, ``float32 [rows, classes]`` | ``[rows, classes]`` | as binary, of each |
| regression | numbers, ``float32 [rows, 1]`` | ``[rows]``, ``[rows, 1]`` | squared error |

A task has two classes or more, so the forms differ from each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

Array = np.ndarray[Any, np.dtype[Any]]


def are_numbers(labels: torch.Tensor | Array) -> bool:
    """Whether labels are numbers to be met, and not classes."""
    return labels.ndim == 2 and labels.shape[1] == 1


def loss_of(answers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean loss of some rows, a scalar that a gradient passes: see above."""
    from torch.nn import functional

    if not labels.is_floating_point():
        return functional.cross_entropy(answers.float(), labels)
    answers = answers.reshape(labels.shape).float()
    if are_numbers(labels):
        return functional.mse_loss(answers, labels)
    return functional.binary_cross_entropy_with_logits(answers, labels)


def mean_loss_of(answers: Array, labels: Array) -> float:
    """The same in float64, for many rows.

    Args:
        answers: ``float64``, as ``predict_logits`` gives them.
        labels: as above; 0 and 1 may be booleans.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # who asked says it in better words
        if labels.dtype.kind == "i":
            total = np.logaddexp.reduce(answers, axis=1)
            own = np.take_along_axis(answers, labels[:, None], axis=1)[:, 0]
            return float(np.mean(total - own))
        answers = answers.reshape(labels.shape)
        if are_numbers(labels):
            return float(np.mean((answers - labels) ** 2))
        return float(np.mean(np.logaddexp(0.0, answers) - labels * answers))


def least_constant_loss(labels: Array) -> float:
    """The loss of the best single answer to all rows: their variance, or their labels' entropy."""
    if are_numbers(labels):
        return float(np.var(labels, dtype=np.float64))
    if labels.dtype.kind == "i":
        _, counts = np.unique(labels, return_counts=True)
        shares = counts / counts.sum()
        return float(-(shares * np.log(shares)).sum())
    share = np.atleast_1d(np.mean(labels, axis=0, dtype=np.float64))
    return float(-np.mean(_x_log_x(share) + _x_log_x(1.0 - share)))


def _x_log_x(share: Array) -> Array:
    return share * np.log(np.where(share > 0.0, share, 1.0))
