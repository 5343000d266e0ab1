"""The first operation that makes what is not finite, found by running a step once more.

Every operation that PyTorch dispatches is looked at, so one between two layers is found as well as
a layer. An infinite value may be meant (the mask of an attention), a NaN never is: the first
operation that makes a NaN of what holds none is at fault, and an infinite value is only where there
is no NaN at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torchyard.train.places import line_now

if TYPE_CHECKING:
    import torch
    from torch import nn

# what they give has not been written yet
_UNWRITTEN = ("empty", "new_empty", "empty_like", "empty_strided", "new_empty_strided")


@dataclass(frozen=True)
class Culprit:
    """An operation that made what is not finite.

    Attributes:
        operation: as PyTorch calls it, ``log``.
        layer: the innermost layer that ran it; empty for the module itself.
        line: of the project, ``model.py:12``; empty where there is none.
        made: how many of its values are not finite, and its shape.
        given: what went in, ``[0.0, 1.0]``: the least and the largest finite number.
    """

    operation: str
    layer: str
    line: str
    made: str
    given: str


@dataclass
class _Seen:
    nan: Culprit | None = None
    infinite: Culprit | None = None


def first_culprit(module: nn.Module, run: Callable[[], Any]) -> tuple[Culprit | None, bool]:
    """The operation at fault when ``run`` calls ``module``, and whether it made a NaN.

    None when every number is finite. What ``run`` raises is raised.
    """
    seen = _Seen()
    layers: list[str] = []
    with _layers_told(module, layers), _watching(seen, layers):
        run()
    return (seen.nan, True) if seen.nan else (seen.infinite, False)


@contextmanager
def _layers_told(module: nn.Module, running: list[str]) -> Iterator[None]:
    """Keep the names of the layers that are running in a list while the block lasts."""

    def entering(name: str) -> Any:
        return lambda layer, given: running.append(name)

    def leaving(layer: nn.Module, given: Any, made: Any) -> None:
        running.pop()

    hooks = []
    for name, layer in module.named_modules():
        hooks.append(layer.register_forward_pre_hook(entering(name)))
        hooks.append(layer.register_forward_hook(leaving))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _watching(seen: _Seen, layers: list[str]) -> Any:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watching(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(
            self, function: Any, types: Any, given: Any = (), options: Any = None
        ) -> Any:
            into = _floats((given, options))
            # an operation may write over what it was given: look before
            had_nan, was_finite = _any_nan(into), all(map(is_finite, into))
            spread = _spread(into) if seen.nan is None else ""
            made = function(*given, **(options or {}))
            name = str(function).split(".")[1]
            if seen.nan is None and into and name not in _UNWRITTEN:
                _judge(seen, name, layers, _floats(made), had_nan, was_finite, spread)
            return made

    return Watching()  # type: ignore[no-untyped-call]


def _judge(
    seen: _Seen,
    name: str,
    layers: list[str],
    made: list[torch.Tensor],
    had_nan: bool,
    was_finite: bool,
    spread: str,
) -> None:
    layer = layers[-1] if layers else ""
    for tensor in made:
        if not had_nan and bool(tensor.isnan().any()):
            seen.nan = Culprit(name, layer, line_now(), what_is_wrong(tensor), spread)
            return
        if was_finite and seen.infinite is None and not is_finite(tensor):
            seen.infinite = Culprit(name, layer, line_now(), what_is_wrong(tensor), spread)


def what_is_wrong(tensor: torch.Tensor) -> str:
    """How many values of a tensor are not finite, and its shape."""
    count = int((~tensor.isfinite()).sum())
    kind = "NaN" if bool(tensor.isnan().any()) else "infinite"
    return f"{count:,} of {tensor.numel():,} values {kind}, shape {list(tensor.shape)}"


def is_finite(tensor: torch.Tensor) -> bool:
    """Whether every number of a tensor is finite; whole numbers always are."""
    return not tensor.is_floating_point() or bool(tensor.isfinite().all())


def _any_nan(tensors: list[torch.Tensor]) -> bool:
    return any(bool(tensor.isnan().any()) for tensor in tensors)


def _spread(tensors: list[torch.Tensor]) -> str:
    """The least and the largest finite number of the first tensor."""
    for tensor in tensors:
        finite = tensor[tensor.isfinite()]
        if finite.numel():
            return f"[{float(finite.min()):.4g}, {float(finite.max()):.4g}]"
    return ""


def _floats(values: Any) -> list[torch.Tensor]:
    """Every tensor of real numbers inside nested arguments."""
    from torch import Tensor
    from torch.utils._pytree import tree_leaves

    return [
        leaf
        for leaf in tree_leaves(values)
        if isinstance(leaf, Tensor) and leaf.is_floating_point() and not leaf.is_sparse
    ]
