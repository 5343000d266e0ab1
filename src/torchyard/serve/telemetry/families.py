"""The numbers a server gives: their names, what they count, their labels and buckets. No counting.

Names, units and labels follow Prometheus' conventions for naming: base units (seconds, bytes,
rows), ``_total`` for what only rises, one family for one idea, labels of few values. Prometheus
knows them with ``torchyard_`` before the name.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]

REQUEST_SECONDS = (
    0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
STAGE_SECONDS = (
    0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
    0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 512.0, 2048.0, 10000.0)
STAGES = ("decode", "queue", "model", "encode", "log")


class Family(NamedTuple):
    """One metric: its kind, its sentence for ``# HELP``, its labels and, of a histogram, bounds.

    ``merge`` says what several workers' gauges come to; counters and histograms add up.
    """

    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    merge: Literal["sum", "max"] = "sum"


FAMILIES = {
    "request_seconds": Family(
        "histogram",
        "Seconds from a whole request to its answer.",
        ("model", "route", "code"),
        REQUEST_SECONDS,
    ),
    "stage_seconds": Family(
        "histogram",
        "Seconds of a request in a stage: decode, queue, encode, log; of a batch in its model.",
        ("model", "stage"),
        STAGE_SECONDS,
    ),
    "batch_rows": Family("histogram", "Rows of one model call.", ("model",), ROWS),
    "refusals": Family("counter", "Requests refused, by error code.", ("model", "reason")),
    "abstentions": Family(
        "counter", "Rows answered without a decision, by reason.", ("model", "reason")
    ),
    "late_answers": Family(
        "counter", "Requests that left a batch after their deadline.", ("model",)
    ),
    "log_dropped_rows": Family("counter", "Answered rows that could not be logged.", ("model",)),
    "output_dropped_lines": Family("counter", "Lines of output that found no room."),
    "trace_dropped_requests": Family("counter", "Sampled requests whose trace found no room."),
    "worker_restarts": Family("counter", "Times a worker was started again.", ("worker",)),
    "release_workers": Family(
        "gauge", "Workers that serve a release.", ("model", "release", "variant")
    ),
    "queue_rows": Family("gauge", "Rows that wait for a model.", ("model",)),
    "queue_oldest_seconds": Family(
        "gauge", "How long the request at the head of a queue waits.", ("model",), merge="max"
    ),
    "busy_lanes": Family("gauge", "Model calls under way on threads.", ("model",)),
    "open_connections": Family("gauge", "Open connections.", ("worker",)),
    "worker_open_fds": Family("gauge", "Open file descriptors.", ("worker",)),
    "worker_resident_memory_bytes": Family("gauge", "Resident memory.", ("worker",)),
    "quarantined_requests": Family(
        "gauge", "Requests that are refused because they killed workers.", merge="max"
    ),
}

# Totals that a histogram keeps anyway: requests are its observations, rows the sum of its values.
DERIVED = {
    "requests": ("request_seconds", "Requests answered."),
    "rows": ("batch_rows", "Rows answered."),
}


def of_kind(kind: Kind) -> tuple[str, ...]:
    """The names of one kind's families.

    Example:
        >>> of_kind("histogram")
        ('request_seconds', 'stage_seconds', 'batch_rows')
    """
    return tuple(name for name, family in FAMILIES.items() if family.kind == kind)
