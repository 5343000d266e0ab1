"""Runtimes: open a variant's file and run it.

Takes: the path of one model file and raw columns.
Makes: calibrated probabilities.
Never: reads a request, judges a release, or imports a training library.
"""

from torchyard.runtimes.model import Columns, Model, Probabilities, open_model

__all__ = ["Columns", "Model", "Probabilities", "open_model"]
