"""Latency in process, candidates interleaved, so that a busy machine slows them all alike."""

from __future__ import annotations

import gc
import os
import platform
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from torchyard.core.digest import digest_file
from torchyard.optimize.build import Candidate, Columns, Runnable
from torchyard.records.evidence import Latency, Variant

BATCHES = (1, 32)
ROUNDS = 15
_CALLS = {1: 80, 32: 40}
_WARM_UP = 20


def measure(candidates: Sequence[Candidate], columns: Columns) -> tuple[Variant, ...]:
    """Measure every candidate that could be built.

    Args:
        candidates: what ``build_candidates`` made.
        columns: raw columns of real rows, at least 32; each call takes the next rows of them.

    Returns:
        One variant per candidate, in order; those that failed carry their finding.
    """
    working = {item.name: item.model for item in candidates if item.model is not None}
    latencies: dict[str, list[Latency]] = {name: [] for name in working}
    for batch in BATCHES:
        feeds = _feeds(columns, batch)
        for name, latency in _interleaved(working, feeds, batch).items():
            latencies[name].append(latency)
    return tuple(
        Variant(
            name=item.name,
            runtime=item.runtime,
            precision=item.precision,
            file=f"variants/{item.name}/model.onnx" if item.file else None,
            sha256=digest_file(item.file) if item.file else None,
            size_bytes=item.size_bytes,
            servable=item.file is not None,
            hardware=f"{platform.machine()}, {os.cpu_count()} cores, 1 thread",
            latency=tuple(latencies.get(item.name, ())),
            finding=item.finding,
        )
        for item in candidates
    )


def _interleaved(
    models: Mapping[str, Runnable], feeds: Sequence[Columns], batch: int
) -> dict[str, Latency]:
    times: dict[str, list[list[float]]] = {name: [] for name in models}
    calls = _CALLS[batch]
    collecting = gc.isenabled()
    gc.disable()
    try:
        for model in models.values():
            for place in range(_WARM_UP):
                model.run(feeds[place % len(feeds)])
        for number in range(ROUNDS):
            for name, model in models.items():
                times[name].append(
                    [_timed(model, feeds[(number * calls + k) % len(feeds)]) for k in range(calls)]
                )
    finally:
        if collecting:
            gc.enable()
    return {name: _latency(np.array(rounds), batch) for name, rounds in times.items()}


def _timed(model: Runnable, feed: Columns) -> float:
    started = time.perf_counter()
    model.run(feed)
    return (time.perf_counter() - started) * 1000


def _latency(times_ms: np.ndarray[Any, np.dtype[np.float64]], batch: int) -> Latency:
    medians = np.median(times_ms, axis=1)
    return Latency(
        batch=batch,
        p50_ms=float(np.median(times_ms)),
        p99_ms=float(np.percentile(times_ms, 99)),
        calls=times_ms.size,
        spread=float(np.ptp(medians) / np.median(medians)),
    )


def _feeds(columns: Columns, batch: int) -> Sequence[Columns]:
    rows = len(next(iter(columns.values())))
    starts = range(0, rows - batch + 1, batch)
    return [
        {name: column[first : first + batch] for name, column in columns.items()}
        for first in starts
    ][:256]
