"""A module's answers on many rows, and their loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.train.feed import Table, in_order

if TYPE_CHECKING:
    import torch
    from torch import nn


def predict_logits(module: nn.Module, table: Table) -> Any:
    """Logits of many rows as a ``float64`` numpy array, computed in chunks.

    ``[rows]`` of a module that gives one per row, else ``[rows, classes]``.
    """
    import torch

    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    with torch.inference_mode():
        parts = [module(**examples.to(device).tensors) for examples in in_order(table)]
        logits = torch.cat(parts).double().cpu().numpy()
    return logits.reshape(-1) if logits.size == logits.shape[0] else logits


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy in float32, in nats.

    Of the logistic function where labels are 0 and 1 (``float32 [rows]``; logits ``[rows]`` or
    ``[rows, 1]``), of the softmax where they are class numbers (``int64 [rows]``; logits ``[rows,
    classes]``).
    """
    from torch.nn import functional

    if labels.is_floating_point():
        return functional.binary_cross_entropy_with_logits(logits.reshape(-1).float(), labels)
    return functional.cross_entropy(logits.float(), labels)


def loss_beside_training(module: nn.Module, table: Table) -> float:
    """``mean_loss``, after which every layer is in training or in evaluation as before."""
    modes = [(part, part.training) for part in module.modules()]
    try:
        return mean_loss(module, table)
    finally:
        for part, is_training in modes:
            part.training = is_training


def mean_loss(module: nn.Module, table: Table) -> float:
    """Mean cross-entropy of a module in evaluation mode, in nats, summed in float64."""
    module.eval()
    logits = predict_logits(module, table)
    labels = table.truth()
    with np.errstate(invalid="ignore"):  # who asked says it in better words
        if logits.ndim == 1:
            return float(np.mean(np.logaddexp(0.0, logits) - labels * logits))
        total = np.logaddexp.reduce(logits, axis=1)
        return float(np.mean(total - np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]))
