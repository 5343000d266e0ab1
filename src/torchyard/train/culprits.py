"""The first operation that makes what is not finite, found by running a step once more.

Every operation that PyTorch dispatches is looked at, so one between two layers is found as well as
a layer. An infinite value that is filled in is meant (the mask of an attention); one that comes out
of finite numbers is at fault, as is a NaN that comes out of none.
"""

from __future__ import annotations

import math
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
        is_nan: whether a NaN is among them, and not only infinite ones.
    """

    operation: str
    layer: str
    line: str
    made: str
    given: str
    is_nan: bool


@dataclass
class _Seen:
    culprit: Culprit | None = None


def first_culprit(module: nn.Module, run: Callable[[], Any]) -> Culprit | None:
    """The operation at fault when ``run`` calls ``module``; None when every number is finite.

    What ``run`` raises is raised.
    """
    seen = _Seen()
    layers: list[str] = []
    with _layers_told(module, layers), _watching(seen, layers):
        run()
    return seen.culprit


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
            name = str(function).split(".")[1]
            into = _floats((given, options))
            if seen.culprit or not into or name in _UNWRITTEN:
                return function(*given, **(options or {}))
            # an operation may write over what it was given: look before
            had_nan, spread = _any_nan(into), _spread(into)
            was_finite = all(map(is_finite, into)) and not _fills_in(name, given)
            made = function(*given, **(options or {}))
            for tensor in _floats(made):
                makes_nan = not had_nan and bool(tensor.isnan().any())
                if makes_nan or (was_finite and not is_finite(tensor)):
                    layer = layers[-1] if layers else ""
                    wrong = what_is_wrong(tensor)
                    seen.culprit = Culprit(name, layer, line_now(), wrong, spread, makes_nan)
                    break
            return made

    return Watching()  # type: ignore[no-untyped-call]


def _fills_in(name: str, given: tuple[Any, ...]) -> bool:
    """Whether an operation puts a value in that it was given, which may be infinite on purpose."""
    scalars = [one for one in given if isinstance(one, float)]
    return "fill" in name or any(math.isinf(one) for one in scalars)


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
        leaf.detach()
        for leaf in tree_leaves(values)
        if isinstance(leaf, Tensor) and leaf.is_floating_point() and not leaf.is_sparse
    ]
