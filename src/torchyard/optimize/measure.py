"""Latency in process, candidates interleaved, so that a busy machine slows them all alike."""

from __future__ import annotations

import gc
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from torchyard.core.digest import digest_file
from torchyard.core.errors import YardError
from torchyard.evaluate.resampling.quantiles import least_for_quantile, quantile_interval
from torchyard.optimize.build import Candidate, Columns, Runnable
from torchyard.records.evidence import VARIANT_FILES, Latency, Variant

BATCHES = (1, 32)
ROUNDS = 15
FEWEST_ROUNDS = 3
# About what measuring may take for each batch size, all candidates together. A model too slow for
# the usual number of calls gets fewer, in the end one in each of three rounds.
BUDGET_S = 30.0
_CALLS = {1: 80, 32: 40}
# one row is called often enough to bound its 99th percentile, where that takes no longer than this
_BOUNDED_BUDGET_S = 90.0
_WARM_UP = 20
_WARM_UP_S = 2.0

Clock = Callable[[], float]


@dataclass(slots=True)
class _Runner:
    """A candidate that can be called, and what went wrong when it could not."""

    model: Runnable
    latencies: list[Latency] = field(default_factory=list)
    finding: str | None = None


def measure(
    candidates: Sequence[Candidate], columns: Columns, *, clock: Clock = time.perf_counter
) -> tuple[Variant, ...]:
    """Measure every candidate that could be built, for about a minute at most.

    Args:
        candidates: what ``build_candidates`` made.
        columns: raw columns of real rows; each call takes the next rows of them. Where there are
            fewer than a batch has, they are repeated.
        clock: seconds, from anywhere.

    Returns:
        One variant per candidate, in order; those that failed to be built or to answer carry their
        finding. ``calls`` of a latency says how many calls it was measured by.
    """
    runners = {item.name: _Runner(item.model) for item in candidates if item.model is not None}
    for batch in BATCHES:
        feeds = _feeds(columns, batch)
        for runner in runners.values():
            _try(runner, feeds[0])
        working = {name: one.model for name, one in runners.items() if one.finding is None}
        for name, latency in _interleaved(working, feeds, batch, clock).items():
            runners[name].latencies.append(latency)
    return tuple(_variant(item, runners.get(item.name)) for item in candidates)


def _variant(item: Candidate, runner: _Runner | None) -> Variant:
    finding = item.finding if runner is None else runner.finding
    return Variant(
        name=item.name,
        runtime=item.runtime,
        precision=item.precision,
        file=f"variants/{item.name}/{VARIANT_FILES[item.runtime]}" if item.file else None,
        sha256=digest_file(item.file) if item.file else None,
        size_bytes=item.size_bytes,
        servable=item.file is not None,
        hardware=f"{platform.machine()}, {os.cpu_count()} cores, 1 thread",
        latency=() if runner is None or finding else tuple(runner.latencies),
        finding=finding,
    )


def _try(runner: _Runner, feed: Columns) -> None:
    """Call a model once; a file that opens may still hold what its runtime cannot run."""
    if runner.finding is None:
        try:
            runner.model.run(feed)
        except YardError as error:
            runner.finding = str(error)


def _interleaved(
    models: Mapping[str, Runnable], feeds: Sequence[Columns], batch: int, clock: Clock
) -> dict[str, Latency]:
    times: dict[str, list[list[float]]] = {name: [] for name in models}
    collecting = gc.isenabled()
    gc.disable()
    try:
        turn_s = sum(_warm_up(model, feeds, clock) for model in models.values())
        least = least_for_quantile(0.99) if batch == 1 else 0
        rounds, calls = _affordable(turn_s, _CALLS[batch], least=least)
        for number in range(rounds):
            for name, model in models.items():
                chosen = [feeds[(number * calls + k) % len(feeds)] for k in range(calls)]
                times[name].append([_timed(model, feed, clock) for feed in chosen])
    finally:
        if collecting:
            gc.enable()
    return {name: _latency(np.array(rounds_ms), batch) for name, rounds_ms in times.items()}


def _warm_up(model: Runnable, feeds: Sequence[Columns], clock: Clock) -> float:
    """Call a model until it is warm, or for two seconds; the seconds of its quickest call."""
    started, quickest = clock(), float("inf")
    for place in range(_WARM_UP):
        quickest = min(quickest, _timed(model, feeds[place % len(feeds)], clock) / 1000)
        if clock() - started > _WARM_UP_S:
            break
    return quickest


def _affordable(turn_s: float, calls: int, *, least: int = 0) -> tuple[int, int]:
    """Rounds, and calls in each, when one call of every candidate takes ``turn_s`` seconds.

    At least ``least`` calls in all where 90 seconds are enough for them.

    Example:
        >>> _affordable(0.001, 80), _affordable(0.2, 80), _affordable(5.0, 40)
        ((15, 80), (15, 10), (6, 1))
        >>> _affordable(0.2, 80, least=368), _affordable(5.0, 80, least=368)
        ((15, 25), (6, 1))
    """
    turns = int(BUDGET_S / max(turn_s, 1e-9))
    if turns < least and least * turn_s <= _BOUNDED_BUDGET_S:
        turns = ROUNDS * -(-least // ROUNDS)
    if turns >= ROUNDS:
        return ROUNDS, min(calls, turns // ROUNDS)
    return max(FEWEST_ROUNDS, turns), 1


def _timed(model: Runnable, feed: Columns, clock: Clock) -> float:
    started = clock()
    model.run(feed)
    return (clock() - started) * 1000


def _latency(times_ms: np.ndarray[Any, np.dtype[np.float64]], batch: int) -> Latency:
    medians = np.median(times_ms, axis=1)
    low, high = quantile_interval(times_ms.ravel(), 0.99)
    return Latency(
        batch=batch,
        p50_ms=float(np.median(times_ms)),
        p99_ms=float(np.percentile(times_ms, 99)),
        calls=times_ms.size,
        spread=float(np.ptp(medians) / np.median(medians)),
        p99_low_ms=low,
        p99_high_ms=high,
    )


def _feeds(columns: Columns, batch: int) -> Sequence[Columns]:
    rows = len(next(iter(columns.values())))
    if rows < batch:
        repeated = np.arange(batch) % rows
        return [{name: column[repeated] for name, column in columns.items()}]
    starts = range(0, rows - batch + 1, batch)
    return [
        {name: column[first : first + batch] for name, column in columns.items()}
        for first in starts
    ][:256]
