"""Serve: answers, a prediction log, metrics.

Takes: sealed releases, channel events, requests.
Makes: answers over HTTP, a prediction log, a label log, metrics.
Never: imports torch, MLflow or a training room; serves what its golden requests do not prove.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchyard.serve.settings import Settings
from torchyard.serve.supervisor import supervise

if TYPE_CHECKING:
    from torchyard.serve.engine import replay

__all__ = ["Settings", "replay", "supervise"]


def __getattr__(name: str) -> object:
    if name != "replay":
        raise AttributeError(f"module 'torchyard.serve' has no attribute '{name}'")
    from torchyard.serve.engine import replay  # a supervisor runs no model and loads none of this

    return replay
