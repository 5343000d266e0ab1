"""Leaks: ways in which a part that judges a model already knows what it asks.

Each file is one check over chunks of rows; ``find`` runs them all.
"""

from torchyard.data.leaks.find import find_leaks

__all__ = ["find_leaks"]
