"""How long a batch will take: a line through what batches took, learnt while they run.

A batch of ``n`` rows costs ``fixed_s + n * row_s`` seconds. The line begins as what was measured
when the release was sealed. While batches are all of about one size, it is scaled as a whole: the
machine is slower or faster. Once their sizes differ, it is the least-squares line of exponentially
weighted moments (West 1979, "Updating mean and variance estimates: an improved method").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

_MEMORY = 40  # batches: the newest weighs a fortieth
_FAR = 3.0  # a batch this many times off says "slower" or "faster", not by how much
_VARIED = 0.05  # squared coefficient of variation of the rows, from which a slope can be told
_GUESS = ((1, 0.001),)  # where nothing was measured


@final
class BatchCost:
    """The seconds of a batch by its rows.

    An outlier is not believed further than three times the expectation: one long pause of the
    machine moves the line by a twentieth, while a lasting change is followed within some batches.

    Args:
        measured: pairs of rows and seconds, as the release was measured; may be empty.

    Attributes:
        fixed_s: seconds of a batch without rows.
        row_s: seconds that each row adds.

    Example:
        >>> cost = BatchCost([(1, 0.002), (32, 0.0082)])
        >>> f"{cost.of(1):.4f} {cost.of(16):.4f}"
        '0.0020 0.0050'
        >>> for _ in range(400):
        ...     cost.learn(16, 0.010)
        >>> f"{cost.of(1):.4f} {cost.of(16):.4f}"
        '0.0040 0.0100'
    """

    __slots__ = ("_product", "_rows", "_seconds", "_seen", "_square", "fixed_s", "row_s")

    def __init__(self, measured: Sequence[tuple[int, float]] = ()) -> None:
        self.fixed_s = self.row_s = 0.0
        self._forget()
        for rows, seconds in measured or _GUESS:
            self._take(rows, seconds)
        if self._square:
            self._draw()
        else:
            self.row_s = self._seconds / self._rows
        self._forget()

    def of(self, rows: int) -> float:
        """The seconds that a batch of so many rows is expected to take."""
        return self.fixed_s + rows * self.row_s

    def learn(self, rows: int, seconds: float) -> None:
        """Take in what a batch took."""
        expected = self.fixed_s + rows * self.row_s
        seconds = min(max(seconds, expected / _FAR), expected * _FAR)
        self._take(rows, seconds)
        if self._square > _VARIED * self._rows * self._rows:
            self._draw()
        else:
            scale = 1 + (seconds / expected - 1) / _MEMORY
            self.fixed_s *= scale
            self.row_s *= scale

    def _forget(self) -> None:
        self._seen = 0
        self._rows = self._seconds = 0.0  # means
        self._square = self._product = 0.0  # moments about them

    def _take(self, rows: int, seconds: float) -> None:
        self._seen += 1
        weight = 1 / min(self._seen, _MEMORY)
        more_rows, more_s = rows - self._rows, seconds - self._seconds
        self._rows += weight * more_rows
        self._seconds += weight * more_s
        self._square = (1 - weight) * (self._square + weight * more_rows * more_rows)
        self._product = (1 - weight) * (self._product + weight * more_rows * more_s)

    def _draw(self) -> None:
        """The line through the means; neither of its parts is below 0."""
        slope = self._product / self._square
        self.row_s = min(max(slope, 0.0), self._seconds / self._rows)
        self.fixed_s = self._seconds - self.row_s * self._rows
