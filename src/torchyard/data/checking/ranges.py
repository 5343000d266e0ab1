"""The range of a column of numbers, read once: most rules on numbers need no more.

A mask per rule reads the column again for each; the smallest and the largest value tell of all
rules at once that no row breaks them, and of a NaN, which numpy's minimum hands on.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

Range = tuple[float, float]
_BLOCK = 1 << 14  # values read for both ends at a time: they stay in the cache


def value_range(numbers: pl.Series) -> Range:
    """Bounds of a column: no value lies below the first or above the second.

    Args:
        numbers: Float64 or Int64. What lies under a missing value counts too, so the bounds may be
            wider than the values.

    Returns:
        Both ends, NaN if some value may be NaN; infinity and minus infinity without rows.

    Example:
        >>> value_range(pl.Series([3.0, -1.0, 2.0]))
        (-1.0, 3.0)
    """
    dtype = np.float64 if numbers.dtype == pl.Float64 else np.int64
    lows, highs = [], []
    with np.errstate(invalid="ignore"):
        for piece in numbers.get_chunks():
            held = piece.to_arrow()
            values: Any = np.frombuffer(held.buffers()[1], dtype)
            values = values[held.offset : held.offset + len(held)]
            for start in range(0, len(values), _BLOCK):
                block = values[start : start + _BLOCK]
                lows.append(block.min())
                highs.append(block.max())
        if not lows:
            return math.inf, -math.inf
        return np.min(lows).item(), np.max(highs).item()
