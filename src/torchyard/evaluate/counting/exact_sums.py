"""Sums of numbers without any rounding, so that no order of adding them matters.

A float is a whole number times a power of two. A sum is kept as one whole number of the smallest
such power, as long as it must be: about 2,200 bits at most, and a hundred more for 10^30 rows.
Adding two sums is adding two integers; only the answer is rounded, once.
"""

from __future__ import annotations

import numpy as np

from torchyard.core.errors import BadData
from torchyard.evaluate.counting.sample import Floats

_MANTISSA = 53  # bits of a float
_HALF = 27  # of which the lower half, so that sums of halves fit an int64
_UNIT = 1074 + _MANTISSA - 1  # sums are multiples of 2^-1126, of which every float is one
_STEP = 1 << 20  # rows added at once: 2^20 halves of 2^27 are below the 2^53 of exact floats
_LARGEST = 1e38  # of which float32 still knows the octave, and float64 the square


def exact_sum(column: Floats) -> int:
    """The sum of finite numbers ``[rows]``, as a multiple of 2^-1126.

    Example:
        >>> large = exact_sum(np.array([1e16, 1.0, -1e16]))
        >>> as_float(large + exact_sum(np.array([0.5])))
        1.5
    """
    total = 0
    for start in range(0, column.size, _STEP):
        mantissas, exponents = np.frexp(column[start : start + _STEP])
        whole = np.ldexp(mantissas, _MANTISSA).astype(np.int64)
        first = int(exponents.min())
        places = exponents - first
        upper = np.bincount(places, weights=whole >> _HALF)
        lower = np.bincount(places, weights=whole & ((1 << _HALF) - 1))
        for place in np.flatnonzero((upper != 0) | (lower != 0)).tolist():
            halves = (int(upper[place]) << _HALF) + int(lower[place])
            total += halves << (first + place - _MANTISSA + _UNIT)
    return total


def exact_squares(column: Floats) -> int:
    """The sum of the squares of numbers ``[rows]`` up to 1e38, as ``exact_sum``.

    A square is the sum of two floats, of which the second is what rounding took from the first
    (Dekker 1971).
    """
    squares = np.square(column)
    scaled = column * (2.0**_HALF + 1.0)
    high = scaled - (scaled - column)
    low = column - high
    lost = ((high * high - squares) + 2.0 * high * low) + low * low
    return exact_sum(squares) + exact_sum(lost)


def check_size(numbers: Floats, *, where: str) -> None:
    """Refuse numbers whose squares have no exact sum.

    Raises:
        BadData: one is beyond 1e38.
    """
    beyond = numbers[np.abs(numbers) > _LARGEST]
    if beyond.size:
        raise BadData(
            where=where,
            found=f"{beyond.size} beyond 1e38, for example {beyond[0]:g}",
            expected="numbers whose squares can be added",
            remedy="Find what makes the model diverge; torchyard train names the layer.",
        )


def as_float(total: int) -> float:
    """An exact sum, rounded once."""
    return total / (1 << _UNIT)


def spread(*, squares: int, total: int, rows: int) -> float:
    """The sum of squared distances from the mean of numbers with these sums, rounded once."""
    if rows == 0:
        return 0.0
    return ((rows * squares << _UNIT) - total * total) / (rows << 2 * _UNIT)
