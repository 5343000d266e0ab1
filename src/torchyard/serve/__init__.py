"""Serve: answers, a prediction log, metrics.

Takes: sealed releases, channel events, requests.
Makes: answers over HTTP, a prediction log, a label log, metrics.
Never: imports torch, MLflow or a training room; serves what its golden requests do not prove.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from torchyard.serve.settings import Settings

if TYPE_CHECKING:
    from torchyard.serve.engine import replay
    from torchyard.serve.supervisor import supervise

__all__ = ["Settings", "replay", "supervise"]

# a supervisor runs no model, a worker supervises nobody: each loads its own part
_LATER = {"replay": "torchyard.serve.engine", "supervise": "torchyard.serve.supervisor"}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module 'torchyard.serve' has no attribute '{name}'")
    return getattr(import_module(_LATER[name]), name)
