"""Runtimes: open a variant's file and run it.

Takes: the path of one model file and raw columns.
Makes: calibrated answers: probabilities of classes, or numbers with their intervals.
Never: reads a request or judges a release; imports PyTorch only for a file of PyTorch.
"""

from torchyard.runtimes.model import Columns, Model, open_model
from torchyard.runtimes.runner import Answers

__all__ = ["Answers", "Columns", "Model", "open_model"]
