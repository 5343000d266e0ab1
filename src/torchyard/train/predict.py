"""A module's answers on many rows, and their loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchyard.train.feed import Table, in_order
from torchyard.train.losses import mean_loss_of

if TYPE_CHECKING:
    from torch import nn


def predict_logits(module: nn.Module, table: Table) -> Any:
    """Logits, or numbers, of many rows as a ``float64`` numpy array, computed in chunks.

    ``[rows]`` of a module that gives one per row, else ``[rows, classes]``.
    """
    import torch

    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    with torch.inference_mode():
        parts = [module(**examples.to(device).tensors) for examples in in_order(table)]
        logits = torch.cat(parts).double().cpu().numpy()
    return logits.reshape(-1) if logits.size == logits.shape[0] else logits


def loss_beside_training(module: nn.Module, table: Table) -> float:
    """``mean_loss``, after which every layer is in training or in evaluation as before."""
    modes = [(part, part.training) for part in module.modules()]
    try:
        return mean_loss(module, table)
    finally:
        for part, is_training in modes:
            part.training = is_training


def mean_loss(module: nn.Module, table: Table) -> float:
    """Mean loss of a module in evaluation mode (see ``losses``), summed in float64."""
    module.eval()
    return mean_loss_of(predict_logits(module, table), table.truth())
