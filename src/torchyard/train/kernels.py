"""Kernels that give the same bits every time, where a device has them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def deterministic(notes: list[str]) -> Iterator[None]:
    """Kernels that give the same bits every time while the block lasts; a note where there is none.

    On CUDA that takes a workspace of cuBLAS as well, which must be chosen before it starts.
    """
    import torch

    before = torch.are_deterministic_algorithms_enabled()
    only_warn = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    show = warnings.showwarning

    def note(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
        text = str(message)
        if "does not have a deterministic implementation" not in text:
            show(message, category, *rest, **more)
            return
        line = f"not deterministic on this device: {text.split(' ', maxsplit=1)[0]}"
        if line not in notes:
            notes.append(line)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=".*deterministic implementation.*")
        warnings.showwarning = note
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=only_warn)
