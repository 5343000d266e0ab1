"""Feature tensors as what a straight line can be drawn through: columns of numbers, and counts.

``float32`` tensors are columns; a wide one is averaged down first, pictures over blocks of pixels.
``int64 [rows]`` are categories, ``int64 [rows, length]`` bags of tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from torchyard.core.errors import BadData
from torchyard.evaluate.counting.sample import Floats

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Tensor = npt.NDArray[np.float32] | npt.NDArray[np.int64]
Features = Mapping[str, Tensor]

MOST_COLUMNS = 1024  # of a tensor with one axis
_NUMBERS_AT_ONCE = 1 << 24
MOST_SIDE = 16  # of each of the last two axes of a tensor with more


def columns(
    name: str, tensor: Tensor, *, most: int = MOST_COLUMNS, most_side: int = MOST_SIDE
) -> Floats:
    """A ``float32`` tensor as numbers in columns, ``float64 [rows, columns]``.

    More than ``most`` columns become means of neighbours. Of a tensor with several axes the last
    two are taken for a picture's height and width: more than ``most_side`` become means of equal
    blocks.

    Raises:
        BadData: a number is not finite.

    Example:
        >>> columns("pixels", np.ones((5, 3, 28, 28), np.float32)).shape
        (5, 588)
    """
    numbers = np.asarray(tensor, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise BadData(
            where=f"feature tensor '{name}'",
            found=f"{int((~np.isfinite(numbers)).sum())} numbers that are not finite",
            expected="finite numbers",
            remedy="Fill missing values in the feature graph, for example with ty.standardize.",
        )
    if numbers.ndim > 2:
        numbers = _blocks(_blocks(numbers, axis=-1, most=most_side), axis=-2, most=most_side)
    else:
        numbers = _blocks(numbers, axis=-1, most=most)
    return numbers.reshape(numbers.shape[0], -1)


def bag(values: npt.NDArray[np.int64], *, size: int) -> csr_matrix:
    """How often each value below ``size`` stands in each row, ``[rows, size]``; others count not.

    Args:
        values: ``int64 [rows]`` or ``[rows, length]``.
        size: how many columns.

    Example:
        >>> bag(np.array([[1, 1, 0], [2, -1, 9]]), size=3).toarray().tolist()
        [[1.0, 2.0, 0.0], [0.0, 0.0, 1.0]]
    """
    from scipy import sparse

    flat = values.reshape(values.shape[0], -1)
    rows, places = np.nonzero((flat >= 0) & (flat < size))
    # Built from triples: values that repeat in a row are added up.
    return sparse.csr_matrix(
        (np.ones(rows.size), (rows, flat[rows, places])), shape=(flat.shape[0], size)
    )


def join(blocks: list[Floats], bags: list[csr_matrix]) -> csr_matrix:
    """Columns of numbers, then those of the bags, side by side."""
    from scipy import sparse

    return sparse.hstack([*(sparse.csr_matrix(block) for block in blocks), *bags], format="csr")


def numbers_per_row(features: Features) -> int:
    """How many numbers of a row are not 0 by themselves: what fitting on it costs."""
    return sum(
        columns(name, tensor[:1]).shape[1] if tensor.dtype.kind == "f" else tensor[0].size
        for name, tensor in features.items()
    )


def rows_of(features: Features) -> int:
    """How many rows the tensors have.

    Raises:
        BadData: there are no tensors.
    """
    if not features:
        raise no_rows()
    return int(next(iter(features.values())).shape[0])


def in_parts(features: Features, rows: int) -> Iterator[Features]:
    """The same rows, few enough at a time to be widened to float64."""
    width = sum(tensor[:1].size for tensor in features.values())
    step = max(1, _NUMBERS_AT_ONCE // max(1, width))
    for first in range(0, rows, step):
        yield {name: tensor[first : first + step] for name, tensor in features.items()}


def no_rows() -> BadData:
    """The refusal to fit a baseline on nothing."""
    return BadData(
        where="baseline",
        found="no rows or no feature tensors",
        expected="at least one of both",
        remedy="Check the training split's size.",
    )


def _blocks(numbers: Floats, *, axis: int, most: int) -> Floats:
    """Means of neighbours along an axis, in blocks of one size, the last one perhaps smaller."""
    length = numbers.shape[axis]
    if length <= most:
        return numbers
    starts = np.arange(0, length, -(-length // most))
    sizes = np.diff(starts, append=length)
    shape = [1] * numbers.ndim
    shape[axis] = sizes.size
    return np.asarray(np.add.reduceat(numbers, starts, axis=axis) / sizes.reshape(shape))
