"""Weights as safetensors: no pickle, and the file's digest names the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torchyard.core.digest import digest_file
from torchyard.core.errors import BadModel

if TYPE_CHECKING:
    from torch import nn


def save_weights(module: nn.Module, path: Path) -> str:
    """Write a module's state and return the file's digest; equal weights give equal bytes.

    Weights that are tied (one tensor under several names) are written under each of them.
    """
    import torch
    from safetensors.torch import save_file

    state = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in module.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(dict(sorted(state.items())), path)
    return digest_file(path)


def load_weights(module: nn.Module, path: Path) -> nn.Module:
    """Fill a module with saved weights and put it in evaluation mode.

    Raises:
        BadModel: names or shapes differ from the module's.
    """
    from safetensors.torch import load_file

    try:
        module.load_state_dict(load_file(path), strict=True)
    except RuntimeError as error:
        raise BadModel(
            where=str(path),
            found=" ".join(str(error).split()),
            expected=f"the weights of {type(module).__name__}",
            remedy="The module changed since it was trained: train it again.",
        ) from error
    return module.eval()
