"""From a PyTorch model that impresses once to a product that people rely on.

Declarations of a project file (``ty.Project``, ``ty.Schema``, ...) and ``ty.Yard``, with one call
per stage of the lifecycle (``ty.Yard().ship()``). Names load when first used, so that ``import
torchyard`` is quick and a project file costs no more than what it says.
"""

# ruff: noqa: F403, F405 - stars for type checkers alone: at run time a name loads when it is used
from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from torchyard.version import __version__

if TYPE_CHECKING:
    from torchyard.data.rules import Checks, rule
    from torchyard.project import *
    from torchyard.records.training import Training
    from torchyard.records.verdicts import Objective
    from torchyard.train.fitting import Fitting
    from torchyard.yard import Yard

__all__ = [
    "Abstain",
    "Checks",
    "Features",
    "Fitting",
    "Objective",
    "Project",
    "Schema",
    "Search",
    "Staleness",
    "Training",
    "Yard",
    "__version__",
    "adversarial",
    "behaviour",
    "best",
    "binary_classification",
    "boolean",
    "bucket",
    "calendar_time",
    "category",
    "cheapest",
    "choice",
    "clip",
    "cross",
    "custom",
    "cyclic_time",
    "directional",
    "elapsed",
    "gate",
    "hash_bucket",
    "id",
    "image",
    "impute",
    "integer",
    "invariant",
    "log",
    "log_uniform",
    "lookup",
    "minimum",
    "multi_hot",
    "multiclass_classification",
    "multilabel_classification",
    "number",
    "numbers",
    "passthrough",
    "pixels",
    "quantile",
    "regression",
    "robust",
    "robust_scale",
    "rule",
    "slice",
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
    "uniform",
    "waiver",
    "whole",
]

_HOME_OF = dict.fromkeys(__all__, "torchyard.project") | {
    "Checks": "torchyard.data.rules",
    "Fitting": "torchyard.train.fitting",
    "Objective": "torchyard.records.verdicts",
    "Training": "torchyard.records.training",
    "Yard": "torchyard.yard",
    "rule": "torchyard.data.rules",
}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'torchyard' has no attribute '{name}'")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
