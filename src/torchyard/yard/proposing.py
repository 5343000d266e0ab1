"""A first schema for data that no project describes yet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchyard.data.propose import Proposal


def propose_schema(
    value: object, *, folder: Path, label: str | None = None, seed: int = 0
) -> Proposal:
    """Propose a schema for a file, folder, URL or frame: see ``propose``.

    Args:
        value: as for ``open_source``.
        folder: what a relative path is relative to.
        label: the column to be predicted.
        seed: parts the rows into those to infer from and those to confirm with.

    Raises:
        BadData: it cannot be read, or holds too little to propose anything.
    """
    from torchyard.data.propose import propose
    from torchyard.data.source import open_source

    return propose(open_source(value, folder=folder), seed=seed, label=label)
