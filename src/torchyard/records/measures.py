"""A number and how sure it is: the word in which everything about a model is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A number with its 95 % interval, the rows behind it and the method of the interval.

    ``low`` and ``high`` are None where no interval exists (a file's size).
    """

    value: float
    low: float | None
    high: float | None
    rows: int
    method: str
