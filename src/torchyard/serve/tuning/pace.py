"""What measured latencies say of how to run a model: on the loop or on lanes, how many rows a call.

A cheap model runs on a worker's event loop: handing a call to a thread and back costs more than the
call. A dear one runs on lanes, and its batch is the smallest that gives about as many rows a second
as any: in a larger one rows only wait for each other, and out of the processor's caches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from torchyard.records.evidence import Latency

CHEAP_MS = 1.0  # below it a call costs less than handing it to a thread and back
LIGHT_ROW_MS = 0.05  # below it a row costs less than its way through sockets and JSON
LONGEST_ON_LOOP_MS = 4.0  # a batch of a cheap model holds the loop no longer than about this
MOST_ON_LOOP_ROWS = 128
DEAR_BATCH_ROWS = 8
_AS_MANY = 0.97  # of the most rows a second


def is_cheap(latency: Iterable[Latency], kinds: Iterable[str]) -> bool:
    """Whether a model may run on the loop.

    Args:
        latency: as measured.
        kinds: of its fields. Pictures are never cheap: a small file may hold many pixels.
    """
    if "image" in kinds:
        return False
    return any(seen.batch == 1 and seen.p50_ms < CHEAP_MS for seen in latency)


def is_light(latency: Iterable[Latency]) -> bool:
    """Whether a row costs the model less than its request costs the server; unmeasured counts so.

    Example:
        >>> is_light([Latency(batch=32, p50_ms=11.0, p99_ms=12.0, calls=9, spread=0.0)])
        False
    """
    return min((seen.p50_ms / seen.batch for seen in latency), default=0.0) < LIGHT_ROW_MS


def best_batch_rows(latency: Iterable[Latency], *, cheap: bool) -> int:
    """Rows per call: for a cheap model as many as the loop has time for, else see above.

    Between sizes that were measured a call is taken to cost what lies on the line between them.

    Example:
        >>> seen = [Latency(batch=n, p50_ms=ms, p99_ms=ms, calls=9, spread=0.0)
        ...         for n, ms in ((1, 16.0), (8, 115.0), (32, 492.0))]
        >>> best_batch_rows(seen, cheap=False)
        4
    """
    known = tuple(latency)
    if cheap:
        row_ms = min(seen.p50_ms / seen.batch for seen in known)
        return max(1, min(MOST_ON_LOOP_ROWS, int(LONGEST_ON_LOOP_MS / max(row_ms, 1e-6))))
    if not known:
        return DEAR_BATCH_ROWS
    costs = sorted((seen.batch, max(seen.p50_ms, 1e-6)) for seen in known)
    sizes = {size for size, _ in costs}
    doubled = (2**power for power in range(max(sizes).bit_length()))
    sizes.update(size for size in doubled if size > min(sizes))
    paces = {size: size / _interpolated(costs, size) for size in sizes}
    return min(size for size in sizes if paces[size] >= _AS_MANY * max(paces.values()))


def _interpolated(costs: Sequence[tuple[int, float]], size: int) -> float:
    """The milliseconds of a call of that size, on the lines between those that are known."""
    for (low, low_ms), (high, high_ms) in pairwise(costs):
        if low <= size <= high:
            return low_ms + (high_ms - low_ms) * (size - low) / (high - low)
    return costs[0][1]
