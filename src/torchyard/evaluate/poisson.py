"""Sums over the rows of resamples in which each row counts Poisson(1) times.

Where rows are many, how often each is drawn is all but independent of the others, and Poisson with
mean 1 (Hanley and MacGibbon 2006; Chamandy et al. 2012). The weights of a chunk of rows then follow
from a seed and the chunk's number alone, so nothing of the size rows x resamples is ever held, and
every model that is resampled with one seed is resampled with the same weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from math import exp, factorial

import numpy as np
import numpy.typing as npt

from torchyard.evaluate.sample import Floats, Indices

Columns = npt.NDArray[np.float32]

CHUNK_ROWS = 2048
_THREADS = 2
_STRIP = 1 << 16  # numbers compared at once: they stay in a core's cache
_LEVELS = 1 << 16
# A 16-bit number at or above the n-th edge counts n times; ten times and more are rounded away.
_EDGES = [
    np.uint16(edge)
    for count in range(9)
    if (edge := round(_LEVELS * sum(exp(-1) / factorial(k) for k in range(count + 1)))) < _LEVELS
]


def weighted_sums(
    columns: Sequence[Columns], *, resamples: int, seed: int, first: Sequence[Indices] = ()
) -> Floats:
    """Sums of columns over the rows of each resample.

    Args:
        columns: ``float32 [rows, numbers]`` each, of the same rows.
        resamples: how many.
        seed: of the draws.
        first: sets of rows of which at least one counts in every resample; few rows in all.

    Returns:
        ``float64 [resamples, all numbers]``, summed in float32 within a chunk of rows and in
        float64 over chunks.
    """
    rows = columns[0].shape[0]
    order = _order(rows, first)
    # About their means, so that float32 rounds what varies and no more: a constant stays constant.
    means = [one.mean(axis=0, dtype=np.float64).astype(np.float32) for one in columns]
    total = np.zeros((resamples, 1 + sum(one.shape[1] for one in columns)))
    for start, weights in _weights(rows, resamples, seed=seed, groups=[len(g) for g in first]):
        some = order[start : start + CHUNK_ROWS]
        varying = [one[some] - mean for one, mean in zip(columns, means, strict=True)]
        ones = np.ones((some.size, 1), np.float32)
        total += weights @ np.concatenate([ones, *varying], axis=1)
    means_of_all = np.concatenate(means).astype(np.float64)
    return np.asarray(total[:, 1:] + total[:, :1] * means_of_all, dtype=np.float64)


def poisson_weights(rows: int, resamples: int, *, seed: int, chunk: int) -> Columns:
    """How often each row of a chunk counts in each resample, ``float32 [resamples, rows]``."""
    size = rows * resamples
    raw = np.random.SFC64([seed, chunk]).random_raw(-(-size // 4)).view(np.uint16)[:size]
    counts = np.zeros(size, np.uint8)
    for start in range(0, size, _STRIP):
        numbers, into = raw[start : start + _STRIP], counts[start : start + _STRIP]
        for edge in _EDGES:
            into += (numbers >= edge).view(np.uint8)
    return counts.reshape(resamples, rows).astype(np.float32)


def _weights(
    rows: int, resamples: int, *, seed: int, groups: Sequence[int]
) -> Iterator[tuple[int, Columns]]:
    """Weights chunk by chunk, drawn by threads a little ahead of their use."""

    def drawn(start: int) -> Columns:
        size = min(CHUNK_ROWS, rows - start)
        weights = poisson_weights(size, resamples, seed=seed, chunk=start // CHUNK_ROWS)
        if start == 0:
            _keep(weights, groups)
        return weights

    starts = iter(range(0, rows, CHUNK_ROWS))
    with ThreadPoolExecutor(_THREADS) as pool:
        ahead: list[tuple[int, Future[Columns]]] = [
            (start, pool.submit(drawn, start)) for start in islice(starts, _THREADS)
        ]
        while ahead:
            start, ready = ahead.pop(0)
            weights = ready.result()
            ahead += [(later, pool.submit(drawn, later)) for later in islice(starts, 1)]
            yield start, weights


def _keep(weights: Columns, groups: Sequence[int]) -> None:
    """Let a row of each group count once where none does: resample after resample another."""
    start = 0
    for size in groups:
        lost = np.flatnonzero(weights[:, start : start + size].sum(axis=1) == 0)
        weights[lost, start + lost % size] = 1.0
        start += size


def _order(rows: int, first: Sequence[Indices]) -> Indices:
    """All rows, those of ``first`` before the others."""
    if not first:
        return np.arange(rows)
    leading = np.concatenate(first)
    others = np.ones(rows, dtype=np.bool_)
    others[leading] = False
    return np.concatenate([leading, np.flatnonzero(others)])
