"""What rows add up to: all that metrics are computed from where no row is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torchyard.evaluate.counting.cells import Cells, Counts
from torchyard.evaluate.counting.exact_sums import as_float


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What rows add up to.

    Attributes:
        counts: rows by what they are, ``int64 [classes]`` or ``[1]`` each.
        sums: sums over rows, as ``exact_sum`` gives them.
        cells: rows by their place on a line.
    """

    counts: Mapping[str, Counts]
    sums: Mapping[str, int]
    cells: Mapping[str, Cells]

    def merged(self, other: Totals) -> Totals:
        """Together with those of other rows of the same task."""
        return Totals(
            counts={name: one + other.counts[name] for name, one in self.counts.items()},
            sums={name: one + other.sums[name] for name, one in self.sums.items()},
            cells={name: one.merged(other.cells[name]) for name, one in self.cells.items()},
        )

    @property
    def rounded(self) -> dict[str, float]:
        """The sums as numbers, rounded once."""
        return {name: as_float(one) for name, one in self.sums.items()}
