"""What calls cost on a GPU, seen while it is made warm for them.

No release says it: they are measured on CPUs. And a first call of a size is always slow there, for
memory and kernels are looked for, so all sizes have to be called before any client calls them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

from torchyard.core.errors import BadModel
from torchyard.records.evidence import Latency

SIZES = (1, 2, 8, 32, 128)
CALLS = 5
_LONGEST_S = 0.25  # a larger batch than that of this time would make everybody wait


def warmed(
    score: Callable[[Sequence[object]], object],
    row: object,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Latency, ...]:
    """Call a model with more and more rows, and say what the calls took.

    Args:
        score: answers rows.
        row: decoded; each call has it as often as it has rows.
        clock: seconds, from anywhere.

    Returns:
        One entry for each size up to the first that takes a quarter of a second or does not fit the
        memory. Of so few calls the 99th percentile is the longest, and nobody knows how sure it is.

    Raises:
        BadModel: it answers not even one row.
    """
    seen: list[Latency] = []
    for size in SIZES:
        rows = [row] * size
        try:
            score(rows)
        except BadModel:
            if not seen:
                raise
            break
        calls_ms = [_timed(score, rows, clock) for _ in range(CALLS)]
        middle = median(calls_ms)
        seen.append(
            Latency(
                batch=size,
                p50_ms=middle,
                p99_ms=max(calls_ms),
                calls=CALLS,
                spread=(max(calls_ms) - min(calls_ms)) / max(middle, 1e-9),
            )
        )
        if middle > 1000 * _LONGEST_S:
            break
    return tuple(seen)


def _timed(
    score: Callable[[Sequence[object]], object], rows: Sequence[object], clock: Callable[[], float]
) -> float:
    began = clock()
    score(rows)
    return 1000 * (clock() - began)
