"""Ids for rows that came without one: unique across workers and restarts, and cheap."""

from __future__ import annotations

from itertools import count
from typing import final


@final
class Ids:
    """A prefix that no other worker has, and a counter.

    Args:
        prefix: drawn at random once per process, for example 12 hex digits.

    Example:
        >>> ids = Ids("c0ffee")
        >>> ids.make(2), ids.make(1)
        (['c0ffee-0', 'c0ffee-1'], ['c0ffee-2'])
    """

    __slots__ = ("_numbers", "_prefix")

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._numbers = count()

    def make(self, rows: int) -> list[str]:
        """That many new ids, each under 40 characters."""
        prefix, numbers = self._prefix, self._numbers
        return [f"{prefix}-{next(numbers):x}" for _ in range(rows)]
