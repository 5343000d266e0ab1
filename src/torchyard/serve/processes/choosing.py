"""Which worker gets the next connection. Nothing here knows of sockets or processes.

The one with the fewest connections, open or just handed over; of equals the one with the fewest
rows waiting. Rows come second because they come and go within milliseconds and a connection stays:
counted alike, the first large requests decided where all connections of the next hour went.
``benchmarks/handing.py`` holds this against chance and against taking turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Candidate(NamedTuple):
    """A worker that may be given a connection.

    ``is_ready``: it can answer; ``is_late``: it was handed one long ago and has not taken it;
    ``connections`` and ``rows``: what it carries.
    """

    is_ready: bool
    is_late: bool
    connections: int
    rows: int


def choose(candidates: Sequence[Candidate | None], after: int) -> int | None:
    """The place of the worker that gets the next connection.

    Args:
        candidates: by place; None where nobody can take one.
        after: the place that got the last one: of equals the next in turn is chosen.

    Returns:
        A place; None when nobody can take one. One that is late, or not ready, is taken when there
        is no other.

    Example:
        >>> busy, idle, new = (Candidate(True, False, 9, 0), Candidate(True, False, 2, 0),
        ...                    Candidate(False, False, 0, 0))
        >>> choose([busy, idle, new, idle], after=1)
        3
    """
    best, best_rank = None, (True, True, 0, 0)
    for step in range(1, len(candidates) + 1):
        place = (after + step) % len(candidates)
        candidate = candidates[place]
        if candidate is None:
            continue
        rank = (candidate.is_late, not candidate.is_ready, candidate.connections, candidate.rows)
        if best is None or rank < best_rank:
            best, best_rank = place, rank
    return best
