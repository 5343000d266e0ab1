"""Counting what a worker does, and adding up what all workers did.

The hot path touches plain dictionaries. A few times a second a snapshot goes to
``metrics-<worker>.json`` in the state folder; the worker that is asked for ``/metrics`` adds the
others' snapshots to its own numbers. A restarted worker goes on from its own snapshot, so counters
do not fall back when a worker dies.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, final

import msgspec

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 512.0, 2048.0, 10000.0)
_BUCKETS = {"request_seconds": SECONDS, "batch_rows": ROWS}
_HELP = {
    "request_seconds": ("Seconds from a whole request to its answer.", ("model", "route", "code")),
    "batch_rows": ("Rows of one model call.", ("model",)),
    "rejected": ("Requests refused for lack of time or room.", ("model",)),
    "log_dropped_rows": ("Answered rows that could not be logged.", ("model",)),
    "release_workers": ("Workers that serve a release.", ("model", "release")),
}

# Totals that a histogram keeps anyway: requests are its observations, rows the sum of its values.
_DERIVED = {
    "requests": ("request_seconds", "Requests answered."),
    "rows": ("batch_rows", "Rows answered."),
}

Labels = tuple[str, ...]


class Histogram(msgspec.Struct):
    """Counts per bucket (the last one without an upper bound) and the sum of what was seen."""

    counts: list[int]
    total: float = 0.0


class Snapshot(msgspec.Struct):
    """All numbers of one worker: metric name to its labels and values."""

    counters: dict[str, list[tuple[list[str], float]]] = {}
    histograms: dict[str, list[tuple[list[str], Histogram]]] = {}


@final
@dataclass(slots=True, eq=False)
class Metrics:
    """The numbers of one worker, or the sum of several."""

    counters: dict[str, defaultdict[Labels, float]] = field(
        default_factory=lambda: {name: defaultdict(float) for name in _HELP if name not in _BUCKETS}
    )
    histograms: dict[str, dict[Labels, Histogram]] = field(
        default_factory=lambda: {name: {} for name in _BUCKETS}
    )

    def count(self, name: str, labels: Labels, amount: float = 1.0) -> None:
        """Add to a counter; ``labels`` in the order the metric declares."""
        self.counters[name][labels] += amount

    def observe(self, name: str, labels: Labels, value: float) -> None:
        """Add one value to a histogram."""
        histogram = self.histograms[name].get(labels)
        if histogram is None:
            histogram = Histogram([0] * (len(_BUCKETS[name]) + 1))
            self.histograms[name][labels] = histogram
        histogram.counts[bisect_left(_BUCKETS[name], value)] += 1
        histogram.total += value

    def serving(self, releases: Iterable[Labels]) -> None:
        """Say which ``(model, release)`` pairs are served now."""
        self.counters["release_workers"] = defaultdict(float, dict.fromkeys(releases, 1.0))

    def snapshot(self) -> Snapshot:
        """A copy that another thread may take while this one counts on."""
        return Snapshot(
            {
                name: [(list(labels), value) for labels, value in values.copy().items()]
                for name, values in self.counters.items()
            },
            {
                name: [
                    (list(labels), Histogram(seen.counts.copy(), seen.total))
                    for labels, seen in values.copy().items()
                ]
                for name, values in self.histograms.items()
            },
        )

    def add(self, other: Snapshot) -> None:
        """Add another worker's numbers."""
        for name, values in other.counters.items():
            for labels, value in values:
                self.count(name, tuple(labels), value)
        for name, seen in other.histograms.items():
            for labels, histogram in seen:
                mine = self.histograms[name].setdefault(
                    tuple(labels), Histogram([0] * len(histogram.counts))
                )
                mine.counts = [a + b for a, b in zip(mine.counts, histogram.counts, strict=True)]
                mine.total += histogram.total

    def collect(self) -> Iterator[Metric]:
        """The numbers in Prometheus' model; names begin with ``torchyard_``."""
        from prometheus_client.metrics_core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        for name, values in self.counters.items():
            text, labels = _HELP[name]
            kind = GaugeMetricFamily if name == "release_workers" else CounterMetricFamily
            family = kind(f"torchyard_{name}", text, labels=labels)
            for key, value in values.items():
                family.add_metric(key, value)
            yield family
        for name, (source, text) in _DERIVED.items():
            family = CounterMetricFamily(f"torchyard_{name}", text, labels=_HELP[source][1])
            for key, one in self.histograms[source].items():
                family.add_metric(key, sum(one.counts) if name == "requests" else one.total)
            yield family
        for name, seen in self.histograms.items():
            text, labels = _HELP[name]
            histogram = HistogramMetricFamily(f"torchyard_{name}", text, labels=labels)
            for key, one in seen.items():
                histogram.add_metric(key, _cumulative(name, one), one.total)
            yield histogram


def render(metrics: Metrics) -> bytes:
    """Prometheus' text format, version 0.0.4."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    return generate_latest(registry)


def snapshot_path(state: Path, worker: int) -> Path:
    """Where a worker's numbers lie."""
    return state / f"metrics-{worker}.json"


def write_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Replace a snapshot at once. Not made durable: it is rewritten all the time."""
    stage = path.with_suffix(".new")
    stage.write_bytes(msgspec.json.encode(snapshot))
    stage.replace(path)


def read_snapshot(path: Path) -> Snapshot:
    """A worker's numbers; none when it has not written any or wrote them with another version."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Snapshot)
    except (OSError, msgspec.MsgspecError):
        return Snapshot()


def add_up(own: Metrics, state: Path, *, worker: int, workers: int) -> Metrics:
    """The numbers of all workers: this one's as they are, the others' as last written."""
    total = Metrics()
    total.add(own.snapshot())
    for other in range(workers):
        if other != worker:
            total.add(read_snapshot(snapshot_path(state, other)))
    return total


def _cumulative(name: str, histogram: Histogram) -> list[tuple[str, float]]:
    bounds = [*(str(bound) for bound in _BUCKETS[name]), "+Inf"]
    totals: list[tuple[str, float]] = []
    count = 0
    for bound, seen in zip(bounds, histogram.counts, strict=True):
        count += seen
        totals.append((bound, count))
    return totals
