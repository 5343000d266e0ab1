"""Weights that were trained elsewhere: read without running anything, and held against the module.

A file is safetensors, or a ``state_dict`` that ``torch.save`` wrote and ``torch.load`` reads with
``weights_only=True``. A pickled module is code that runs while it is read: it is refused.
"""

from __future__ import annotations

import json
import pickle
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchyard.core.digest import digest_file
from torchyard.core.errors import BadModel, BadProject
from torchyard.records.training import Training
from torchyard.train.randomness import seed_everything
from torchyard.train.standing import Trained
from torchyard.train.trace import Trace

if TYPE_CHECKING:
    import torch
    from torch import nn

_CONVERT = (
    "Where you trust it, write its weights alone: import torch; "
    "module = torch.load('{name}', weights_only=False); "
    "torch.save(module.state_dict(), 'weights.pt') (of a checkpoint: module['state_dict'])"
)
# under these, checkpoints of training scripts keep the weights beside other things
_NESTED = ("state_dict", "model_state_dict", "model", "module")
_SHOWN = 4


def train_by_weights(build: Callable[[], nn.Module], path: Path, *, settings: Training) -> Trained:
    """The project's module with the weights of a file, and no curve.

    Args:
        build: makes the untrained module; called after the seed is set.
        path: safetensors, or a ``state_dict``; one inside a checkpoint's ``state_dict`` or
            ``model_state_dict`` is found, and what a wrapper put before every name (``module.``,
            ``model.``, ``_orig_mod.``) is taken off.
        settings: the seed.

    Raises:
        BadProject: there is no such file.
        BadModel: the file is damaged, holds more than tensors, or other ones than the module has,
            or they are not finite.
    """
    started = time.monotonic()
    state = read_weights(path)
    seed_everything(settings.seed)
    module = fill(build(), state, where=str(path))
    trace = Trace()
    trace.mark(module)
    seconds = time.monotonic() - started
    return Trained(
        module, curve=(), best_epoch=0, seconds=seconds, trace=trace, resumes=0,
        notes=(f"weights as given in {path.name}",),
    )  # fmt: skip


def digest_weights(path: Path) -> str:
    """The digest of a file of weights.

    Raises:
        BadProject: there is no such file.
    """
    if not path.is_file():
        raise BadProject(
            where="ty.Project(..., weights=)",
            found=f"{'a folder' if path.is_dir() else 'no file'} at {path}",
            expected="a file of weights: safetensors, or a state_dict saved by torch.save",
            remedy="A path is relative to project.py.",
        )
    return digest_file(path)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file by their names there. Nothing in the file is run.

    Raises:
        BadModel: the file is damaged, or holds more than tensors.
    """
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{":
        return _read_safetensors(path)
    if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":
        return _tensors(_read_saved(path), path)
    raise _damaged(path, "neither safetensors nor a file of torch.save")


def fill(module: nn.Module, state: Mapping[str, torch.Tensor], *, where: str) -> nn.Module:
    """Give a module these weights, and put it in evaluation mode.

    Args:
        module: of the project.
        state: tensors by name, every one of the module's and no other.
        where: what to call them in errors.

    Raises:
        BadModel: tensors are missing, unknown, of another shape or kind, or not finite.
    """
    wanted = module.state_dict()
    state = _with_tied(_unwrapped(state, wanted), wanted)
    _need_same(state, wanted, module, where)
    for name, _ in module.named_parameters():
        _need_finite(name, state[name], where, may_be_infinite=False)
    for name, _ in module.named_buffers():
        if name in state:  # masks are infinite on purpose
            _need_finite(name, state[name], where, may_be_infinite=True)
    module.load_state_dict(dict(state))
    return module.eval()


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, json.JSONDecodeError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    return tensors


def _read_saved(path: Path) -> Any:
    """What ``torch.save`` wrote, if it is of plain values and tensors."""
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old formats
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadModel(
            where=str(path),
            found=f"a pickled object, {_global(error)}: reading it would run its code",
            expected="tensors alone: safetensors, or a state_dict saved by torch.save",
            remedy=_CONVERT.format(name=path.name),
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError) as error:
        if "TorchScript" in str(error):
            raise BadModel(
                where=str(path),
                found="a TorchScript archive, which holds code",
                expected="tensors alone: safetensors, or a state_dict saved by torch.save",
                remedy="Write its weights alone: import torch; "
                f"module = torch.jit.load('{path.name}'); "
                "torch.save(module.state_dict(), 'weights.pt')",
            ) from error
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


def _global(error: Exception) -> str:
    """The class that a pickle wants made, as torch's message names it."""
    for line in str(error).splitlines():
        if "GLOBAL " in line:
            return line.partition("GLOBAL ")[2].split()[0]
    return "not of plain values"


def _tensors(saved: Any, path: Path) -> dict[str, torch.Tensor]:
    """The state dictionary in what was saved: itself, or what a checkpoint has under its key."""
    import torch

    for key in _NESTED:
        if isinstance(saved, Mapping) and isinstance(saved.get(key), Mapping):
            saved = saved[key]
            break
    if not isinstance(saved, Mapping) or not saved:
        raise _damaged(path, f"a {type(saved).__name__}, not a state_dict with tensors")
    for name, value in saved.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise BadModel(
                where=f"{path}, '{name}'",
                found=type(value).__name__,
                expected="a state_dict: tensors by name",
                remedy="Save module.state_dict() alone.",
            )
    return dict(saved)


def _unwrapped(
    state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]
) -> Mapping[str, torch.Tensor]:
    """Without what stands before every name, where no name is the module's with it."""
    while state and not state.keys() & wanted.keys():
        first = next(iter(state)).partition(".")[0] + "."
        if not all(name.startswith(first) for name in state):
            break
        state = {name.removeprefix(first): tensor for name, tensor in state.items()}
    return state


def _with_tied(
    state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]
) -> Mapping[str, torch.Tensor]:
    """With every name of a tensor that the module has under several names; files keep one."""
    first = {
        (tensor.data_ptr(), tensor.shape): name
        for name, tensor in reversed(list(wanted.items()))
        if name in state and tensor.numel()
    }
    tied = {
        name: state[first[tensor.data_ptr(), tensor.shape]]
        for name, tensor in wanted.items()
        if name not in state and (tensor.data_ptr(), tensor.shape) in first
    }
    return {**state, **tied}


def _need_same(
    state: Mapping[str, torch.Tensor],
    wanted: Mapping[str, torch.Tensor],
    module: nn.Module,
    where: str,
) -> None:
    kinds = {
        "missing": [f"{n} {list(t.shape)}" for n, t in wanted.items() if n not in state],
        "unknown": [f"{n} {list(t.shape)}" for n, t in state.items() if n not in wanted],
        "another shape": [
            f"{n} {list(state[n].shape)} for {list(t.shape)}"
            for n, t in wanted.items()
            if n in state and state[n].shape != t.shape
        ],
        "another kind": [
            f"{n} {state[n].dtype} for {t.dtype}"
            for n, t in wanted.items()
            if n in state and state[n].is_floating_point() != t.is_floating_point()
        ],
    }
    found = "; ".join(f"{kind}: {_some(names)}" for kind, names in kinds.items() if names)
    if found:
        raise BadModel(
            where=where,
            found=found,
            expected=f"the {len(wanted)} tensors of {type(module).__name__}",
            remedy="Make model= build the module that these weights are of, from the same sizes.",
        )


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _need_finite(name: str, tensor: torch.Tensor, where: str, *, may_be_infinite: bool) -> None:
    if not tensor.is_floating_point():
        return
    bad = tensor.isnan() if may_be_infinite else ~tensor.isfinite()
    count = int(bad.sum())
    if count:
        kind = "NaN" if bool(tensor.isnan().any()) else "infinite"
        raise BadModel(
            where=f"{where}, '{name}'",
            found=f"{count:,} of {tensor.numel():,} values {kind}, shape {list(tensor.shape)}",
            expected="finite weights",
            remedy="They come of a training that diverged: take an earlier state, or train again.",
        )


def _damaged(path: Path, found: str) -> BadModel:
    return BadModel(
        where=str(path),
        found=found,
        expected="a whole file of weights: safetensors, or a state_dict saved by torch.save",
        remedy="Write it again: torch.save(module.state_dict(), 'weights.pt')",
    )
