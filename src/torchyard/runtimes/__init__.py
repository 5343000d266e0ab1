"""Runtimes: open a variant's file and run it.

Takes: the path of one model file and raw columns.
Makes: calibrated answers: probabilities of classes, or numbers with their intervals.
Never: reads a request or judges a release; imports PyTorch only for a file of PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchyard.runtimes.model import Columns, Model, open_model
    from torchyard.runtimes.runner import Answers

__all__ = ["Answers", "Columns", "Model", "open_model"]

# who asks which devices there are, as a supervisor does, runs no model
_LATER = {
    "Answers": "torchyard.runtimes.runner",
    "Columns": "torchyard.runtimes.model",
    "Model": "torchyard.runtimes.model",
    "open_model": "torchyard.runtimes.model",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module 'torchyard.runtimes' has no attribute '{name}'")
    return getattr(import_module(_LATER[name]), name)
