"""How a server does just now, from what its workers counted: rates and quantiles lately."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

from torchyard.records.lately import Lately, Traffic, WorkerNumbers
from torchyard.serve.telemetry.families import FAMILIES
from torchyard.serve.telemetry.metrics import Metrics, read_snapshot, snapshot_path

WINDOW_S = 5.0
_SERVED = "release_workers"


@final
class Recent:
    """Reads the workers' snapshots again and again and holds them against those of seconds ago.

    Args:
        state: the state folder.
        workers: how many there are.
    """

    def __init__(self, state: Path, workers: int) -> None:
        self._state = state
        self._workers = workers
        self._before: deque[tuple[float, dict[str, list[int]]]] = deque()

    def look(self, now: float) -> Lately:
        """How it is.

        Args:
            now: seconds, monotonic.
        """
        total = Metrics()
        for worker in range(self._workers):
            total.add(read_snapshot(snapshot_path(self._state, worker)))
        counts = _by_model(total)
        while len(self._before) > 1 and now - self._before[1][0] >= WINDOW_S:
            self._before.popleft()
        at, before = self._before[0] if self._before else (now, counts)
        self._before.append((now, counts))
        seconds = now - at
        models = {name: _traffic(seen, before.get(name), seconds) for name, seen in counts.items()}
        everything = _traffic(_added(list(counts.values())), _added(list(before.values())), seconds)
        refusals, faults = _refusals(total)
        return Lately(
            all=everything,
            models=models,
            served=tuple(sorted(_served(total))),
            queue_rows=int(sum(total.gauges["queue_rows"].values())),
            answered=sum(map(sum, counts.values())),
            refusals=refusals,
            faults=faults,
            abstentions=int(sum(total.counters["abstentions"].values())),
            quarantined=int(total.gauges["quarantined_requests"].get((), 0)),
            workers={worker: _holds(total, worker) for worker in range(self._workers)},
        )


def quantile(share: float, counts: Sequence[int], bounds: Sequence[float]) -> float | None:
    """A quantile of what a histogram saw, linear within its bucket, as Prometheus reckons it.

    Args:
        share: 0 to 1.
        counts: per bucket; the last one has no upper bound and reads as its lower one.
        bounds: upper ones, inclusive.

    Example:
        >>> quantile(0.5, [0, 10, 0, 0], [1.0, 2.0, 4.0])
        1.5
        >>> quantile(0.99, [0, 0, 0], [1.0, 2.0]) is None
        True
    """
    total = sum(counts)
    if not total:
        return None
    rank, below, lower = share * total, 0, 0.0
    for count, upper in zip(counts, bounds, strict=False):
        if count and below + count >= rank:
            return lower + (upper - lower) * (rank - below) / count
        below, lower = below + count, upper
    return bounds[-1]


def _by_model(total: Metrics) -> dict[str, list[int]]:
    """Counts per bucket of what was asked of each model; health checks are not among them."""
    found: dict[str, list[list[int]]] = {}
    for (model, _, _), series in total.histograms["request_seconds"].items():
        if model:
            found.setdefault(model, []).append(series.seen.counts)
    return {model: _added(several) for model, several in sorted(found.items())}


def _added(several: Sequence[list[int]]) -> list[int]:
    return [sum(column) for column in zip(*several, strict=True)]


def _traffic(counts: list[int], before: list[int] | None, seconds: float) -> Traffic:
    bounds = FAMILIES["request_seconds"].bounds
    # a worker that began anew without its numbers has fewer than before: then nothing is known
    new = [max(0, one - was) for one, was in zip(counts, before or [0] * len(counts), strict=False)]
    p50, p99 = quantile(0.5, new, bounds), quantile(0.99, new, bounds)
    return Traffic(
        requests_s=sum(new) / seconds if seconds > 0 else 0.0,
        p50_ms=None if p50 is None else 1000 * p50,
        p99_ms=None if p99 is None else 1000 * p99,
    )


def _refusals(total: Metrics) -> tuple[dict[str, int], int]:
    reasons: dict[str, int] = {}
    for (_, reason), count in total.counters["refusals"].items():
        reasons[reason] = reasons.get(reason, 0) + int(count)
    faults = reasons.pop("internal", 0)
    return dict(sorted(reasons.items(), key=lambda one: -one[1])), faults


def _served(total: Metrics) -> Iterator[tuple[str, str, str]]:
    return ((model, release, variant) for model, release, variant in total.gauges[_SERVED])


def _holds(total: Metrics, worker: int) -> WorkerNumbers:
    labels = (str(worker),)
    return WorkerNumbers(
        restarts=int(total.counters["worker_restarts"].get(labels, 0)),
        connections=int(total.gauges["open_connections"].get(labels, 0)),
        memory_bytes=int(total.gauges["worker_resident_memory_bytes"].get(labels, 0)),
    )
