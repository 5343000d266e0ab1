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
    from torchyard.data.rules import Checks, rule
    from torchyard.project import (
        Features,
        Project,
        Schema,
        binary_classification,
        boolean,
        bucket,
        calendar_time,
        category,
        clip,
        cross,
        custom,
        cyclic_time,
        elapsed,
        gate,
        hash_bucket,
        id,
        image,
        impute,
        integer,
        log,
        lookup,
        multi_hot,
        multiclass_classification,
        number,
        numbers,
        passthrough,
        pixels,
        quantile,
        robust_scale,
        split_by_column,
        split_by_group,
        split_by_hash,
        split_by_time,
        split_stratified,
        standardize,
        tensor,
        text,
        timestamp,
        tokenize,
    )
    from torchyard.records.evidence import Objective
    from torchyard.records.training import Training
    from torchyard.yard import Yard

_HOMES = {
    "torchyard.data.rules": ("Checks", "rule"),
    "torchyard.project": (
        "Features", "Project", "Schema", "binary_classification", "boolean", "bucket",
        "calendar_time", "category", "clip", "cross", "custom", "cyclic_time", "elapsed", "gate",
        "hash_bucket", "id", "image", "impute", "integer", "log", "lookup", "multi_hot",
        "multiclass_classification", "number", "numbers", "passthrough", "pixels", "quantile",
        "robust_scale", "split_by_column", "split_by_group", "split_by_hash", "split_by_time",
        "split_stratified", "standardize", "tensor", "text", "timestamp", "tokenize",
    ),
    "torchyard.records.evidence": ("Objective",),
    "torchyard.records.training": ("Training",),
    "torchyard.yard": ("Yard",),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Checks",
    "Features",
    "Objective",
    "Project",
    "Schema",
    "Training",
    "Yard",
    "__version__",
    "binary_classification",
    "boolean",
    "bucket",
    "calendar_time",
    "category",
    "clip",
    "cross",
    "custom",
    "cyclic_time",
    "elapsed",
    "gate",
    "hash_bucket",
    "id",
    "image",
    "impute",
    "integer",
    "log",
    "lookup",
    "multi_hot",
    "multiclass_classification",
    "number",
    "numbers",
    "passthrough",
    "pixels",
    "quantile",
    "robust_scale",
    "rule",
    "split_by_column",
    "split_by_group",
    "split_by_hash",
    "split_by_time",
    "split_stratified",
    "standardize",
    "tensor",
    "text",
    "timestamp",
    "tokenize",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'torchyard' has no attribute '{name}'")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
