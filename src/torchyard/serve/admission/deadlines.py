"""Until when an answer is of use to a client that does not say so itself.

Where a person set ``deadline_ms``, that is it. Else it follows from the release's objective, which
bounds the 99th percentile of one row that has the model to itself. Taken as it is, that would be no
deadline: one request in a hundred misses it by definition when nobody waits; one that just missed a
batch waits for that batch and then for its own, so that twice a batch's time is the least there is
to plan with (Shen et al. 2019, Nexus, SOSP); and what may take a part of the time there is, a
batch, would be of one row. Nor is it seconds: deadlines "several orders of magnitude longer than
the mean" keep an overloaded server busy with answers that nobody waits for (Beyer et al. 2016, Site
Reliability Engineering, ch. 22). So it is one order of magnitude, and at least a tenth of a second,
which Clockwork (Gujarati et al. 2020, OSDI) keeps for models of some milliseconds: below it a
machine's own pauses and short bursts would be refused, which are over before anybody asks again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from torchyard.records.verdicts import Objective
from torchyard.serve.admission.cost import BatchCost

LONGEST_DEFAULT_MS = 10_000  # and what it is where nothing else says so
SHORTEST_DEFAULT_MS = 100
TIMES_OBJECTIVE = 10


@final
@dataclass(frozen=True, slots=True)
class DefaultDeadline:
    """Seconds for a request by its rows; each row after the first adds its own.

    Attributes:
        first_s: for one row.
        row_s: for each further one.
        longest_s: at most.
    """

    first_s: float
    row_s: float
    longest_s: float

    def of(self, rows: int) -> float:
        """Seconds from the whole request to its answer."""
        return min(self.first_s + (rows - 1) * self.row_s, self.longest_s)


def default_deadline(
    objective: Objective | None, measured: Sequence[tuple[int, float]], *, set_ms: int | None
) -> DefaultDeadline:
    """The deadline of a release's requests that come without one.

    Args:
        objective: the service level that the release was judged by; None where it has none.
        measured: pairs of rows and seconds of one call.
        set_ms: the setting, None where nobody set it.

    Example:
        >>> of_objective = default_deadline(Objective(p99_ms=50), [(1, 0.5), (3, 1.0)], set_ms=None)
        >>> of_objective.of(1), of_objective.of(2), of_objective.of(1000)
        (0.5, 3.0, 10.0)
        >>> default_deadline(Objective(p99_ms=2), (), set_ms=None).of(1)
        0.1
        >>> default_deadline(Objective(p99_ms=50), (), set_ms=250).of(1000)
        0.25
        >>> default_deadline(None, (), set_ms=None).of(1)
        10.0
    """
    if set_ms is not None:
        return DefaultDeadline(set_ms / 1000, 0.0, set_ms / 1000)
    longest_s = LONGEST_DEFAULT_MS / 1000
    if objective is None or objective.p99_ms is None:
        return DefaultDeadline(longest_s, 0.0, longest_s)
    first_ms = max(TIMES_OBJECTIVE * objective.p99_ms, SHORTEST_DEFAULT_MS)
    row_s = TIMES_OBJECTIVE * BatchCost(measured).row_s
    return DefaultDeadline(min(first_ms / 1000, longest_s), row_s, longest_s)
