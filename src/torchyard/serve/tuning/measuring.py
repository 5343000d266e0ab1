"""Measuring a release on this machine: ways to run it side by side, with its golden requests.

Each way is a number of threads that call the engine at once (``lanes``), of threads inside a call,
and of rows per call. All are run in turns, a slice each, so that a noisy moment of the machine hits
all of them. Every call has other rows than the one before. A call goes from decoded rows to scores,
as a batch of a worker does; sockets and JSON are not in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from statistics import median

import msgspec
import numpy as np

from torchyard.records.evidence import AskedDevice, Device, Latency
from torchyard.records.tuning import TunedRelease
from torchyard.runtimes.devices import chosen_device
from torchyard.serve.engine import Engine, ServableRelease, open_engine
from torchyard.serve.tuning.pace import is_cheap

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
ROUNDS = 5
_LONGEST_CALL_S = 0.5
_SLICE_S = 0.3
_EQUAL = 0.95  # of the best: as good, so the shorter calls win

Clock = Callable[[], float]


@dataclass(slots=True, kw_only=True)
class Way:
    """One way to run a release, and what was seen of it.

    Attributes:
        lanes: calls at once.
        threads: inside a call.
        batch: rows of a call.
        device: where it ran.
        paces: rows a second in each slice.
        calls_s: seconds of every call.
    """

    lanes: int
    threads: int
    batch: int
    device: Device = "cpu"
    paces: list[float] = field(default_factory=list)
    calls_s: list[float] = field(default_factory=list)

    @property
    def rows_per_s(self) -> float:
        """The median of the slices."""
        return median(self.paces)

    @property
    def p99_ms(self) -> float:
        """Of the calls."""
        return 1000 * float(np.percentile(self.calls_s, 99))

    def latency(self) -> Latency:
        """The calls as a record; ``spread`` is of the slices' paces."""
        return Latency(
            batch=self.batch,
            p50_ms=1000 * median(self.calls_s),
            p99_ms=self.p99_ms,
            calls=len(self.calls_s),
            spread=(max(self.paces) - min(self.paces)) / self.rows_per_s,
        )


def measure(
    release: ServableRelease,
    *,
    cores: int,
    seconds: float,
    device: AskedDevice = "cpu",
    clock: Clock = time.perf_counter,
) -> list[Way]:
    """Run a release every way that makes sense on so many cores, for about so long.

    Where the device is left open, ``auto``, it is measured on a GPU as well if it can use one.

    Every way is run at least once, and as often as the time allows, up to five times.

    Raises:
        NotReady: it does not answer its golden requests here as it was judged; or a GPU is asked
            for, and cannot be used.
        BadRecord: its file is damaged.
    """

    @cache
    def engine(device: Device, threads: int) -> Engine:
        return open_engine(release, max_rows=max(BATCHES), threads=threads, device=device)

    devices = _devices(release, device)
    rows = _rows(engine(devices[0], 1), release)
    ways = [way for one in devices for way in _ways(engine(one, 1), rows, cores, clock)]
    slice_s = min(_SLICE_S, seconds / (ROUNDS * len(ways)))
    began = clock()
    for way in ways * ROUNDS:
        if not way.paces or clock() - began < seconds:
            _run(way, engine(way.device, way.threads), rows, slice_s, clock)
    return ways


def choose(ways: Sequence[Way]) -> Way:
    """The way with most rows a second; of those about as good, the one with the shortest tail."""
    best = max(way.rows_per_s for way in ways)
    return min((way for way in ways if way.rows_per_s >= _EQUAL * best), key=lambda way: way.p99_ms)


def tuned(ways: Sequence[Way]) -> TunedRelease:
    """What is kept of the chosen way: its kind's calls up to its rows."""
    best = choose(ways)
    latency = [
        way.latency()
        for way in ways
        if (way.device, way.lanes, way.threads) == (best.device, best.lanes, best.threads)
        and way.batch <= best.batch
    ]
    return TunedRelease(
        lanes=best.lanes, threads=best.threads, latency=tuple(latency), device=best.device
    )


def _devices(release: ServableRelease, asked: AskedDevice) -> tuple[Device, ...]:
    """Where to measure: of ``auto`` everywhere, for only that says which is better."""
    if asked != "auto":
        return (asked,)
    variant = release.variants[release.manifest.ladder[0]]
    on_gpu = chosen_device(
        asked, runtime=variant.runtime, precision=variant.precision, is_cheap=False, where=""
    )
    return ("cpu", "cuda") if on_gpu == "cuda" else ("cpu",)


def _ways(engine: Engine, rows: Sequence[object], cores: int, clock: Clock) -> list[Way]:
    """A cheap model runs on the loop, one call of one thread at a time; a dear one on lanes.

    So does one on a GPU, with one lane.
    """
    single = Way(lanes=1, threads=1, batch=1)
    _run(single, engine, rows, 0.0, clock)
    _run(single, engine, rows, 0.05, clock)  # the first call may be slow for once
    latency = [single.latency()]
    kinds = [one.kind for one in engine.schema.fields]
    most = max(1, int(_LONGEST_CALL_S / min(single.calls_s)))
    batches = [batch for batch in BATCHES if batch <= most]
    if engine.device == "cuda":
        return [Way(lanes=1, threads=1, batch=batch, device="cuda") for batch in batches]
    if is_cheap(latency, kinds):
        return [Way(lanes=1, threads=1, batch=batch) for batch in batches]
    counts = sorted({1, cores, *(2**power for power in range(cores.bit_length()))})
    pairs = {(1, 1), *((cores // threads, threads) for threads in counts if threads <= cores)}
    return [
        Way(lanes=lanes, threads=threads, batch=batch)
        for lanes, threads in sorted(pairs)
        for batch in batches
        if batch <= 32
    ]


def _run(way: Way, engine: Engine, rows: Sequence[object], seconds: float, clock: Clock) -> None:
    """One slice: every lane calls until the time is over, and at least once."""
    began = clock()
    spans: list[list[float]] = [[] for _ in range(way.lanes)]

    def call(lane: int) -> None:
        at = lane * way.batch
        while not spans[lane] or clock() - began < seconds:
            batch = [rows[(at + row) % len(rows)] for row in range(way.batch)]
            at += way.lanes * way.batch + 1
            start = clock()
            engine.score(batch)
            spans[lane].append(clock() - start)

    with ThreadPoolExecutor(way.lanes) as lanes:
        list(lanes.map(call, range(way.lanes)))
    calls = [span for lane in spans for span in lane]
    way.paces.append(len(calls) * way.batch / max(clock() - began, 1e-9))
    way.calls_s.extend(calls)


def _rows(engine: Engine, release: ServableRelease) -> Sequence[object]:
    body = msgspec.json.encode({"rows": release.golden_requests()[: max(BATCHES)]})
    return engine.decoder.decode(body).rows
