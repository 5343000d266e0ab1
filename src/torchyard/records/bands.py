"""Bands between edges, by which numbers become groups and slices, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def band_names(edges: Sequence[float]) -> tuple[str, ...]:
    """One name more than there are edges; a value that equals an edge is in the band above it.

    Example:
        >>> band_names([18, 65])
        ('under 18', '18 to under 65', '65 or more')
    """
    shown = [f"{edge:.15g}" for edge in edges]
    between = [f"{low} to under {high}" for low, high in pairwise(shown)]
    return (f"under {shown[0]}", *between, f"{shown[-1]} or more")
