"""A first look at an untrained module: does it take the features, and does it give logits?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchyard.core.errors import BadModel
from torchyard.records.schema import Task
from torchyard.records.training import FeatureGraph
from torchyard.train.feed import Table

if TYPE_CHECKING:
    from torch import nn


def probe(module: nn.Module, features: FeatureGraph, table: Table, task: Task) -> None:
    """Run two rows through an untrained module, as in training and as after, and check the answer.

    Raises:
        BadModel: ``forward`` does not take the features by name, fails, or does not return finite
            logits: one per row for a binary task, one per row and class for others.
    """
    import torch

    tensors = table.read(0, 2).tensors
    shapes = ", ".join(f"{name} {_shape(features, name)}" for name in tensors)
    where = f"{type(module).__name__}.forward"
    try:
        with torch.inference_mode():
            for is_training in (True, False):
                logits = module.train(is_training)(**tensors)
    except Exception as error:
        raise BadModel(
            where=where,
            found=f"{type(error).__name__}: {error}",
            expected=f"parameters named as the features: {shapes}",
            remedy="Make forward's parameters and sizes match ty.Features in project.py.",
        ) from error
    classes = len(task.classes)
    fitting = ((2,), (2, 1)) if task.is_binary else ((2, classes),)
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) not in fitting:
        found = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise BadModel(
            where=where,
            found=f"for 2 rows an answer of shape {found}",
            expected="one logit per row, shape [2] or [2, 1]"
            if task.is_binary
            else f"a logit of each of the {classes} classes per row, shape [2, {classes}]",
            remedy="End forward with a layer of one output, without a sigmoid."
            if task.is_binary
            else f"End forward with a layer of {classes} outputs, without a softmax.",
        )
    if not bool(torch.isfinite(logits).all()):
        raise BadModel(
            where=where,
            found="logits that are not finite on the first two training rows",
            expected="finite numbers",
            remedy="Look for a division by zero, a logarithm or an initialization at fault.",
        )


def _shape(features: FeatureGraph, name: str) -> str:
    tensor = features[name]
    return f"{tensor.dtype} [{', '.join(['rows', *map(str, tensor.shape)])}]"
