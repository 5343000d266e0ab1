"""What went wrong inside a step, in words: the layer, the tensor, the shape, the remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchyard.core.errors import BadModel
from torchyard.records.training import Training
from torchyard.train.feed import Examples

if TYPE_CHECKING:
    import torch
    from torch import nn

# what the allocators of the CPU and of accelerators say
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def failed(
    error: BaseException, module: nn.Module, batch: Examples, *, settings: Training, where: str
) -> BadModel:
    """The refusal that an exception inside a step stands for."""
    text = " ".join(str(error).split())
    shapes = ", ".join(f"{name} {list(t.shape)}" for name, t in batch.tensors.items())
    if isinstance(error, MemoryError) or any(words in text.lower() for words in _NO_MEMORY):
        return BadModel(
            where=where,
            found=f"no memory for a part of {batch.rows:,} rows ({shapes}): {text}",
            expected="a batch that fits",
            remedy=f"Set batch_size below {settings.batch_size}, or keep it and compute it in more "
            f"parts: accumulate={2 * settings.accumulate}.",
        )
    return BadModel(
        where=f"{where}, {type(module).__name__}.forward",
        found=f"{type(error).__name__}: {text}",
        expected=f"an answer to {batch.rows:,} rows of {shapes}",
        remedy="Compare the module's layers with the shapes of these tensors.",
    )


def not_finite(module: nn.Module, batch: Examples, *, where: str) -> BadModel:
    """The refusal of a loss that is not finite: the first weight or layer that is at fault.

    The batch runs through the module once more, each layer watched.
    """
    for name, parameter in module.named_parameters():
        if not _is_finite(parameter):
            return BadModel(
                where=f"{where}, parameter '{name}'",
                found=_what(parameter),
                expected="finite weights",
                remedy="The step before broke them: lower learning_rate, set clip_norm, or train "
                "in another precision.",
            )
    layer, found = _first_layer(module, batch)
    return BadModel(
        where=f"{where}, layer '{layer}'" if layer else where,
        found=found or "a loss that is not finite, from finite logits",
        expected="finite numbers",
        remedy="Look for a logarithm or root of what may be 0 or below, or a division by it; or "
        "lower learning_rate.",
    )


def _first_layer(module: nn.Module, batch: Examples) -> tuple[str, str]:
    """The first layer, in the order they run, that makes what is not finite of what is."""
    import torch

    seen: list[tuple[str, str]] = []

    def watching(name: str) -> Any:
        def watch(layer: nn.Module, given: tuple[Any, ...], made: Any) -> None:
            if not seen and isinstance(made, torch.Tensor) and not _is_finite(made):
                seen.append((name or type(layer).__name__, _what(made)))

        return watch

    hooks = [
        layer.register_forward_hook(watching(name))
        for name, layer in module.named_modules()
        if not list(layer.children()) or name == ""
    ]
    try:
        with torch.no_grad():
            module(**batch.tensors)
    finally:
        for hook in hooks:
            hook.remove()
    return seen[0] if seen else ("", "")


def _what(tensor: torch.Tensor) -> str:
    count = int((~tensor.isfinite()).sum())
    kind = "NaN" if bool(tensor.isnan().any()) else "infinite"
    return f"{count:,} of {tensor.numel():,} values {kind}, shape {list(tensor.shape)}"


def _is_finite(tensor: torch.Tensor) -> bool:
    return not tensor.is_floating_point() or bool(tensor.isfinite().all())
