"""Numbers as Prometheus reads them: the text format, version 0.0.4."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from torchyard.serve.telemetry.families import DERIVED, FAMILIES
from torchyard.serve.telemetry.metrics import Histogram, Metrics
from torchyard.version import __version__

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


def render(metrics: Metrics) -> bytes:
    """The numbers as text; names begin with ``torchyard_``."""
    from prometheus_client import CollectorRegistry, generate_latest

    metrics.fold()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(metrics))
    return generate_latest(registry)


@final
@dataclass(frozen=True, slots=True)
class _Collected:
    metrics: Metrics

    def collect(self) -> Iterator[Metric]:
        """The numbers in Prometheus' model."""
        yield from _plain(self.metrics)
        yield from _derived(self.metrics)
        yield from _histograms(self.metrics)
        yield _build()


def _plain(metrics: Metrics) -> Iterator[Metric]:
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    for kind, families in (
        (CounterMetricFamily, metrics.counters),
        (GaugeMetricFamily, metrics.gauges),
    ):
        for name, values in families.items():
            declared = FAMILIES[name]
            family = kind(f"torchyard_{name}", declared.text, labels=declared.labels)
            for labels, value in values.items():
                family.add_metric(labels, value)
            yield family


def _derived(metrics: Metrics) -> Iterator[Metric]:
    from prometheus_client.metrics_core import CounterMetricFamily

    for name, (source, text) in DERIVED.items():
        family = CounterMetricFamily(f"torchyard_{name}", text, labels=FAMILIES[source].labels)
        for labels, series in metrics.histograms[source].items():
            seen = series.seen
            family.add_metric(labels, sum(seen.counts) if name == "requests" else seen.total)
        yield family


def _histograms(metrics: Metrics) -> Iterator[Metric]:
    from prometheus_client.metrics_core import HistogramMetricFamily

    for name, values in metrics.histograms.items():
        declared = FAMILIES[name]
        family = HistogramMetricFamily(f"torchyard_{name}", declared.text, labels=declared.labels)
        for labels, series in values.items():
            family.add_metric(labels, _cumulative(declared.bounds, series.seen), series.seen.total)
        yield family


def _build() -> Metric:
    from prometheus_client.metrics_core import GaugeMetricFamily

    text = "The versions that serve; always 1."
    family = GaugeMetricFamily("torchyard_build_info", text, labels=("version", "python"))
    family.add_metric((__version__, platform.python_version()), 1.0)
    return family


def _cumulative(bounds: tuple[float, ...], histogram: Histogram) -> list[tuple[str, float]]:
    totals: list[tuple[str, float]] = []
    count = 0
    for bound, seen in zip((*map(str, bounds), "+Inf"), histogram.counts, strict=True):
        count += seen
        totals.append((bound, count))
    return totals
