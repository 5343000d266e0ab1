"""From a PyTorch model that impresses once to a product that people rely on.

Declarations of a project file (``ty.Project``, ``ty.Schema``, ...) and ``ty.Yard``, with one call
per stage of the lifecycle (``ty.Yard().ship()``). Names load when first used, so that ``import
torchyard`` is quick and a project file costs no more than what it says.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from torchyard.version import __version__

if TYPE_CHECKING:
    from torchyard.project import (
        Features,
        Project,
        Schema,
        binary_classification,
        boolean,
        category,
        cyclic_time,
        gate,
        integer,
        lookup,
        number,
        split_by_hash,
        split_by_time,
        standardize,
        timestamp,
    )
    from torchyard.records.evidence import Objective
    from torchyard.records.training import Training
    from torchyard.yard import Yard

_HOMES = {
    "torchyard.project": (
        "Features", "Project", "Schema", "binary_classification", "boolean", "category",
        "cyclic_time", "gate", "integer", "lookup", "number", "split_by_hash", "split_by_time",
        "standardize", "timestamp",
    ),
    "torchyard.records.evidence": ("Objective",),
    "torchyard.records.training": ("Training",),
    "torchyard.yard": ("Yard",),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Features",
    "Objective",
    "Project",
    "Schema",
    "Training",
    "Yard",
    "__version__",
    "binary_classification",
    "boolean",
    "category",
    "cyclic_time",
    "gate",
    "integer",
    "lookup",
    "number",
    "split_by_hash",
    "split_by_time",
    "standardize",
    "timestamp",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'torchyard' has no attribute '{name}'")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
