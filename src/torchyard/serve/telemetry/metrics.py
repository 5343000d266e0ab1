"""Counting what a worker does, and adding up what all workers did.

The hot path appends to plain lists; they are sorted into buckets many values at once: a list after
a batch, where enough has come together, so that no request waits for all of them, and the rest some
times a second. As often a snapshot goes to ``metrics-<worker>.json`` in the state folder; the
worker that is asked for ``/metrics`` adds the others' snapshots to its own numbers. A restarted
worker goes on from its own snapshot, so counters do not fall back when a worker dies. What is
counted stands in ``families.py``, how it is printed in ``exposition.py``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import msgspec
import numpy as np

from torchyard.serve.telemetry.families import FAMILIES, of_kind
from torchyard.serve.telemetry.tallies import Tally

_FEW = 64  # up to here a search by hand is faster than numpy's start
_MANY = 512  # values of a series that are worth sorting at once
_LOOKS = 16  # series that are looked at for one with so many

Labels = tuple[str, ...]


class Histogram(msgspec.Struct):
    """Counts per bucket (the last one without an upper bound) and the sum of what was seen."""

    counts: list[int]
    total: float = 0.0


class Snapshot(msgspec.Struct):
    """All numbers of one worker: metric name to its labels and values."""

    counters: dict[str, list[tuple[list[str], float]]] = {}
    gauges: dict[str, list[tuple[list[str], float]]] = {}
    histograms: dict[str, list[tuple[list[str], Histogram]]] = {}
    tallies: list[tuple[list[str], Tally]] = []  # by model and release


@final
class Series:
    """One histogram under one set of labels.

    Attributes:
        pending: values that ``fold`` has not sorted into buckets yet; the hot path appends here.
        seen: those it has.
    """

    __slots__ = ("_bounds", "pending", "seen")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.pending: list[float] = []
        self.seen = Histogram([0] * (len(bounds) + 1))

    def add(self, value: float, times: int) -> None:
        """Count one value many times at once. From the thread that appends."""
        seen = self.seen
        seen.counts[bisect_left(self._bounds, value)] += times
        seen.total += value * times

    def fold(self) -> None:
        """Sort what is pending into buckets. From the thread that appends."""
        values = self.pending
        if not values:
            return
        self.pending = []
        counts = self.seen.counts
        if len(values) <= _FEW:
            for value in values:
                counts[bisect_left(self._bounds, value)] += 1
        else:
            places = np.searchsorted(self._bounds, values, side="left")
            added = np.bincount(places, minlength=len(counts)).tolist()
            self.seen.counts = [a + b for a, b in zip(counts, added, strict=True)]
        self.seen.total += sum(values)


@final
@dataclass(slots=True, eq=False)
class Metrics:
    """The numbers of one worker, or the sum of several.

    All but ``snapshot`` and ``set`` belong to one thread, the loop's.
    """

    counters: dict[str, defaultdict[Labels, float]] = field(
        default_factory=lambda: {name: defaultdict(float) for name in of_kind("counter")}
    )
    gauges: dict[str, dict[Labels, float]] = field(
        default_factory=lambda: {name: {} for name in of_kind("gauge")}
    )
    histograms: dict[str, dict[Labels, Series]] = field(
        default_factory=lambda: {name: {} for name in of_kind("histogram")}
    )
    tallies: dict[Labels, Tally] = field(default_factory=dict)
    _series: list[Series] = field(default_factory=list)
    _next: int = 0

    def count(self, name: str, labels: Labels, amount: float = 1.0) -> None:
        """Add to a counter; ``labels`` in the order the metric declares."""
        self.counters[name][labels] += amount

    def set(self, name: str, labels: Labels, value: float) -> None:
        """What a gauge shows now."""
        self.gauges[name][labels] = value

    def series(self, name: str, labels: Labels) -> Series:
        """A histogram's values under some labels, to be kept by whoever adds many."""
        found = self.histograms[name].get(labels)
        if found is None:
            found = self.histograms[name][labels] = Series(FAMILIES[name].bounds)
            self._series.append(found)
        return found

    def tally(self, release: Labels) -> Tally:
        """What is counted of a release, by its model's name and its id."""
        found = self.tallies.get(release)
        if found is None:
            found = self.tallies[release] = Tally()
        return found

    def observe(self, name: str, labels: Labels, value: float) -> None:
        """Add one value to a histogram."""
        self.series(name, labels).pending.append(value)

    def fold(self) -> None:
        """Sort what was observed into buckets."""
        for series in self.histograms.values():
            for one in series.values():
                one.fold()

    def fold_some(self) -> None:
        """Sort the values of one histogram into buckets, if one has many; they take turns."""
        series = self._series
        for _ in range(min(_LOOKS, len(series))):
            self._next = (self._next + 1) % len(series)
            one = series[self._next]
            if len(one.pending) >= _MANY:
                one.fold()
                return

    def serving(self, releases: Iterable[Labels]) -> None:
        """Say what is served now: models, their releases, the variants that answer."""
        self.gauges["release_workers"] = dict.fromkeys(releases, 1.0)

    def snapshot(self) -> Snapshot:
        """A copy of what was folded, which another thread may take while this one counts on."""
        return Snapshot(
            _listed(self.counters),
            _listed(self.gauges),
            {
                name: [
                    (list(labels), Histogram(series.seen.counts.copy(), series.seen.total))
                    for labels, series in values.copy().items()
                ]
                for name, values in self.histograms.items()
            },
            [(list(release), tally.taken()) for release, tally in self.tallies.copy().items()],
        )

    def resume(self, before: Snapshot) -> None:
        """Go on from what a worker counted before it died; what it showed is over."""
        self.add(
            Snapshot(counters=before.counters, histograms=before.histograms, tallies=before.tallies)
        )

    def add(self, other: Snapshot) -> None:
        """Add another worker's numbers."""
        for name, values in other.counters.items():
            for labels, value in values:
                self.count(name, tuple(labels), value)
        for name, values in other.gauges.items():
            join = max if FAMILIES[name].merge == "max" else _sum
            for labels, value in values:
                mine = self.gauges[name].get(tuple(labels), 0.0)
                self.gauges[name][tuple(labels)] = join(mine, value)
        for name, seen in other.histograms.items():
            for labels, histogram in seen:
                total = self.series(name, tuple(labels)).seen
                total.counts = [a + b for a, b in zip(total.counts, histogram.counts, strict=True)]
                total.total += histogram.total
        for release, tally in other.tallies:
            self.tally(tuple(release)).add(tally)


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
        found = msgspec.json.decode(path.read_bytes(), type=Snapshot)
    except (OSError, msgspec.MsgspecError):
        return Snapshot()
    return found if _is_of_this_version(found) else Snapshot()


def add_up(own: Metrics, state: Path, *, worker: int, workers: int) -> Metrics:
    """The numbers of all workers: this one's as they are, the others' as last written."""
    own.fold()
    total = Metrics()
    total.add(own.snapshot())
    for other in range(workers):
        if other != worker:
            total.add(read_snapshot(snapshot_path(state, other)))
    return total


def add_up_tallies(
    own: Sequence[tuple[list[str], Tally]], state: Path, *, worker: int, workers: int
) -> dict[Labels, Tally]:
    """What all workers counted of each release, likewise. Reads files: for a thread.

    Args:
        own: this worker's, of a snapshot.
        state: the state folder.
        worker: this one.
        workers: how many there are.
    """
    total = Metrics()
    total.add(Snapshot(tallies=list(own)))
    for other in range(workers):
        if other != worker:
            total.add(Snapshot(tallies=read_snapshot(snapshot_path(state, other)).tallies))
    return total.tallies


def _is_of_this_version(found: Snapshot) -> bool:
    names = (*found.counters, *found.gauges, *found.histograms)
    return all(name in FAMILIES for name in names) and all(
        len(one.counts) == len(FAMILIES[name].bounds) + 1
        for name, values in found.histograms.items()
        for _, one in values
    )


def _listed(
    families: dict[str, defaultdict[Labels, float]] | dict[str, dict[Labels, float]],
) -> dict[str, list[tuple[list[str], float]]]:
    return {
        name: [(list(labels), value) for labels, value in values.copy().items()]
        for name, values in families.items()
    }


def _sum(one: float, other: float) -> float:
    return one + other
