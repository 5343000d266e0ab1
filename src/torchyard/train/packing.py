"""Nested plain values with tensors in them, as one file without pickle.

A state is packed into tensors, which safetensors stores, and a JSON text that says where each one
belongs. What a JSON text cannot say of Python (tuples, whole numbers as keys) is said by a tag: a
list or a dictionary becomes ``[tag, content]``, and only scalars stand as they are.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.core.errors import BadModel, BadRecord
from torchyard.core.record import Json

if TYPE_CHECKING:
    import torch

Plain = Any  # None | bool | int | float | str | list | tuple | dict | torch.Tensor | np.ndarray
_KEY = "torchyard.state"


def write_state(path: Path, state: Plain) -> None:
    """Write a state to a file.

    Args:
        path: where to; an earlier file is replaced. Not atomic by itself.
        state: ``None``, scalars, texts, tensors, numpy arrays, and lists, tuples and dictionaries
            of them; keys are scalars or texts.

    Raises:
        BadModel: the state holds something else, such as an object.
        OSError: the disk is full, or the file cannot be written.

    Example:
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "state.safetensors"
        >>> write_state(path, {"step": 3, 0: ("a", None)})
        >>> read_state(path)
        {'step': 3, 0: ('a', None)}
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors: dict[str, torch.Tensor] = {}
    layout = _pack(state, tensors, "state")
    try:
        save_file(tensors, path, metadata={_KEY: json.dumps(layout)})
    except SafetensorError as error:
        raise _as_os_error(error, path) from error


def state_bytes(state: Plain) -> bytes:
    """A state as bytes, for another process; the rest is as in ``write_state``.

    Example:
        >>> state_of(state_bytes({"step": 3, 0: ("a", None)}))
        {'step': 3, 0: ('a', None)}
    """
    from safetensors.torch import save

    tensors: dict[str, torch.Tensor] = {}
    layout = json.dumps(_pack(state, tensors, "state")).encode()
    content: bytes = save(tensors)
    return len(layout).to_bytes(8, "big") + layout + content


def state_of(content: bytes) -> Plain:
    """A state back from ``state_bytes``, its tensors on the CPU."""
    from safetensors.torch import load

    end = 8 + int.from_bytes(content[:8], "big")
    return _unpack(json.loads(content[8:end]), load(content[end:]))


def read_state(path: Path) -> Plain:
    """Read a state back, its tensors on the CPU.

    Raises:
        BadRecord: the file is missing, damaged, or holds no state.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            layout = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return _unpack(layout, tensors)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, IndexError) as error:
        raise BadRecord(
            where=str(path),
            found=f"{type(error).__name__}: {error}",
            expected="a whole state written by torchyard",
            remedy="Remove it: training goes on from the state before, or begins anew.",
        ) from error


def _as_os_error(error: Exception, path: Path) -> Exception:
    """What safetensors says of a disk, as Python says it."""
    number = re.search(r"\(os error (\d+)\)", str(error))
    if number is None:
        return error
    code = int(number[1])
    return OSError(code, os.strerror(code), str(path))


def _pack(value: Plain, tensors: dict[str, torch.Tensor], where: str) -> Json:
    import torch

    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, torch.Tensor):
        return ["tensor", _keep(value, tensors)]
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        # as bytes: torch lacks some of numpy's types
        flat = np.ascontiguousarray(value).reshape(-1).view(np.uint8).copy()
        return ["array", [_keep(torch.from_numpy(flat), tensors), value.dtype.str, *value.shape]]
    if isinstance(value, Mapping):
        return ["dict", [
            [_pack(key, tensors, f"{where}, a key"), _pack(item, tensors, f"{where}[{key!r}]")]
            for key, item in value.items()
        ]]  # fmt: skip
    if isinstance(value, (list, tuple)):
        items = [_pack(item, tensors, f"{where}[{place}]") for place, item in enumerate(value)]
        return ["tuple" if isinstance(value, tuple) else "list", items]
    raise BadModel(
        where=where,
        found=f"{type(value).__module__}.{type(value).__qualname__}",
        expected="numbers, texts, tensors, and lists or dictionaries of them",
        remedy="Checkpoints hold no pickled objects: keep its plain values instead.",
    )


def _keep(tensor: torch.Tensor, tensors: dict[str, torch.Tensor]) -> str:
    """Put a copy aside, in memory of its own as safetensors wants it; its name."""
    import torch

    name = str(len(tensors))
    tensors[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return name


def _unpack(layout: Json, tensors: dict[str, torch.Tensor]) -> Plain:
    if not isinstance(layout, list):
        return layout
    tag, content = layout
    if tag == "tensor":
        return tensors[content]
    if tag == "array":
        name, kind, *shape = content
        return tensors[name].numpy().view(np.dtype(kind)).reshape(shape)
    if tag == "dict":
        return {_unpack(key, tensors): _unpack(item, tensors) for key, item in content}
    items = [_unpack(item, tensors) for item in content]
    return tuple(items) if tag == "tuple" else items
