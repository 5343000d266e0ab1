"""Kernels that give the same bits every time, where a device has them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def choose_workspace() -> None:
    """Choose a workspace of cuBLAS that gives the same bits every time; before CUDA starts.

    Else matrix products on CUDA may differ from run to run (NVIDIA, cuBLAS library, Results
    reproducibility). A choice of the user's stays.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextmanager
def deterministic(notes: list[str]) -> Iterator[None]:
    """Kernels that give the same bits every time while the block lasts; a note where there is none.

    On CUDA that takes a workspace of cuBLAS as well, see ``choose_workspace``.
    """
    import torch

    before = torch.are_deterministic_algorithms_enabled()
    only_warn = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    # it would choose between kernels by how fast they were just now
    is_benchmarking, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, False
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
            torch.backends.cudnn.benchmark = is_benchmarking


@contextmanager
def with_threads(count: int) -> Iterator[None]:
    """So many threads for one operation while the block lasts.

    Sums of floating-point numbers come out otherwise with another number of them.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
