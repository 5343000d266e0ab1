"""Which rows are wide: a picture or a text makes a model hold hundreds of times what it takes.

So such rows go through a model a few at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

MOST_NUMBERS = 64


def is_wide(tensors: Iterable[tuple[str, tuple[int, ...]]]) -> bool:
    """Whether rows of these tensors are wide.

    Args:
        tensors: the dtype and the shape of one row of each.

    Example:
        >>> is_wide([("float32", (28,)), ("int64", ())])
        False
        >>> is_wide([("float32", (1, 28, 28))]), is_wide([("int64", (32,))])
        (True, True)
    """
    shapes = list(tensors)
    if any(dtype == "int64" and shape for dtype, shape in shapes):
        return True  # tokens, each of which becomes a vector
    return sum(math.prod(shape) for _, shape in shapes) > MOST_NUMBERS
