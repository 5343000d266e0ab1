"""What stands now: queues, lanes, what the process holds. Read some times a second."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Protocol

from torchyard.serve.telemetry.metrics import Metrics

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Queue(Protocol):
    """The queue in front of one model; ``Batcher`` is one."""

    @property
    def waiting_rows(self) -> int:
        """Rows that wait."""

    @property
    def oldest_at(self) -> float | None:
        """Since when the first of them waits, on the worker's clock."""

    @property
    def busy_lanes(self) -> int:
        """Batches on threads."""


def show_queues(metrics: Metrics, queues: Iterable[tuple[str, Queue]], now: float) -> None:
    """Show what waits for each model; several releases of one add up.

    Args:
        metrics: where to.
        queues: with the name of each one's model.
        now: on the worker's clock.
    """
    rows: dict[str, int] = {}
    lanes: dict[str, int] = {}
    oldest_s: dict[str, float] = {}
    for model, queue in queues:
        rows[model] = rows.get(model, 0) + queue.waiting_rows
        lanes[model] = lanes.get(model, 0) + queue.busy_lanes
        waits_s = 0.0 if queue.oldest_at is None else max(0.0, now - queue.oldest_at)
        oldest_s[model] = max(waits_s, oldest_s.get(model, 0.0))
    metrics.gauges["queue_rows"] = {(model,): float(count) for model, count in rows.items()}
    metrics.gauges["busy_lanes"] = {(model,): float(count) for model, count in lanes.items()}
    metrics.gauges["queue_oldest_seconds"] = {(model,): s for model, s in oldest_s.items()}


def show_process(metrics: Metrics, worker: int) -> None:
    """Show what this process holds, where the system tells (``/proc``). From any thread."""
    labels = (str(worker),)
    try:
        with open("/proc/self/statm", "rb") as file:
            resident_pages = int(file.read().split()[1])
        descriptors = len(os.listdir("/proc/self/fd"))
    except OSError:
        return
    metrics.set("worker_resident_memory_bytes", labels, float(resident_pages * _PAGE_BYTES))
    metrics.set("worker_open_fds", labels, float(descriptors))
