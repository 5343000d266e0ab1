"""Runtimes: open a variant's file and run it.

Takes: the path of one model file and raw columns.
Makes: calibrated answers: probabilities of classes, or numbers with their intervals.
Never: reads a request, judges a release, or imports a training library.
"""

from torchyard.runtimes.model import Answers, Columns, Model, open_model

__all__ = ["Answers", "Columns", "Model", "open_model"]
