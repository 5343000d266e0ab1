"""A worker's telemetry between requests: what waits is sorted, what stands is shown, on a timer."""

from __future__ import annotations

from collections.abc import Callable

from torchyard.serve.app import Application
from torchyard.serve.quarantine.guard import Guard
from torchyard.serve.telemetry.gauges import show_queues

TEND_S = 0.25


def tend(app: Application, guard: Guard | None, connections: Callable[[], int]) -> None:
    """Bring a worker's numbers up to date. On the loop, every ``TEND_S`` seconds.

    Args:
        app: the worker.
        guard: knows which requests are refused; None where nobody keeps them.
        connections: how many are open.
    """
    metrics = app.metrics
    metrics.fold()
    show_queues(metrics, app.queues(), app.clock())
    metrics.set("open_connections", (str(app.worker),), float(connections()))
    if guard is not None:
        metrics.set("quarantined_requests", (), float(guard.quarantined))
    if (traces := app.watch.traces) is not None:
        traces.tend()
        metrics.counters["trace_dropped_requests"][()] += traces.take_dropped()
    metrics.counters["output_dropped_lines"][()] += app.lines.take_dropped()
