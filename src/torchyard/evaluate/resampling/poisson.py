"""Sums over the rows of resamples in which each row counts Poisson(1) times.

Where rows are many, how often each is drawn is all but independent of the others, and Poisson with
mean 1 (Hanley and MacGibbon 2006; Chamandy et al. 2012). The weights of a chunk of rows then follow
from a seed and the chunk's number alone, so nothing of the size rows x resamples is ever held, and
every model that is resampled with one seed is resampled with the same weights.

Threads take whole chunks, and what comes out is added in the chunks' order: the sums are the same,
bit for bit, however many threads there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from math import exp, factorial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from torchyard.evaluate.counting.sample import Floats, Indices
from torchyard.evaluate.resampling.columns import Blocks, Column, Columns, Rows

Answer = TypeVar("Answer")

CHUNK_ROWS = 2048
_THREADS = 2
_STRIP = 1 << 16  # numbers looked up at once: they stay in a core's cache
_LEVELS = 1 << 16


def weighted_sums(
    models: Sequence[Sequence[Column]],
    *,
    resamples: int,
    seed: int,
    first: Sequence[Indices] = (),
    rows: int,
) -> list[Floats]:
    """Sums of columns over the rows of each resample, of several models in the same resamples.

    Args:
        models: of each the columns, all of the same rows.
        resamples: how many.
        seed: of the draws.
        first: sets of rows of which at least one counts in every resample; few rows in all.
        rows: how many there are.

    Returns:
        Per model ``float64 [resamples, numbers of all its columns]``, summed in float32 within a
        chunk of rows and in float64 over chunks. Equal columns have equal sums in any two models,
        for each model's are a product of its own.
    """
    order, groups = _order(rows, first), [len(group) for group in first]
    asked = [Columns.of(columns) for columns in models]
    totals = [np.zeros((columns.width, resamples)) for columns in asked]
    counts = np.zeros(resamples)

    def products(chunk: int) -> tuple[Blocks, list[Blocks]]:
        start = chunk * CHUNK_ROWS
        end = min(rows, start + CHUNK_ROWS)
        weights = poisson_weights(end - start, resamples, seed=seed, chunk=chunk)
        if chunk == 0:
            _keep(weights, groups)
        some: Rows = slice(start, end) if order is None else order[start:end]
        return weights.sum(axis=0), [columns.sums(some, weights) for columns in asked]

    for counted, found in _in_order(products, range(-(-rows // CHUNK_ROWS))):
        counts += counted
        for total, one in zip(totals, found, strict=True):
            np.add(total, one, out=total)
    return [
        (total + columns.means[:, None] * counts)[columns.order].T
        for total, columns in zip(totals, asked, strict=True)
    ]


def poisson_weights(rows: int, resamples: int, *, seed: int, chunk: int) -> Blocks:
    """How often each row of a chunk counts in each resample, ``float32 [rows, resamples]``."""
    size, table = rows * resamples, _table()
    raw = np.random.SFC64([seed, chunk]).random_raw(-(-size // 4)).view(np.uint16)
    weights = np.empty(size, np.float32)
    for start in range(0, size, _STRIP):
        into = weights[start : start + _STRIP]
        # Every number has its place in the table: "clip" spares the check, which is the slow part.
        np.take(table, raw[start : start + into.size], out=into, mode="clip")
    return weights.reshape(rows, resamples)


def one_thread_each() -> AbstractContextManager[Any]:
    """Sums and products stay in the thread that asks for them, as long as this is entered.

    One parted among threads rounds otherwise than one that is not, so that results would depend on
    the machine; and threads in threads wait on each other.
    """
    limits: AbstractContextManager[Any] = _linear_algebra().limit(limits=1, user_api="blas")
    return limits


@cache
def _linear_algebra() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@cache
def _table() -> Blocks:
    """How often a row counts by a 16-bit number; ten times and more are rounded away."""
    counts = np.zeros(_LEVELS, np.float32)
    share = 0.0
    for count in range(9):
        share += exp(-1) / factorial(count)
        counts[round(_LEVELS * share) :] += 1.0
    return counts


def _in_order(make: Callable[[int], Answer], numbers: Iterable[int]) -> Iterator[Answer]:
    """What threads make of each number, a little ahead of its use."""
    with ThreadPoolExecutor(_THREADS) as pool:
        ahead: list[Future[Answer]] = []
        for number in numbers:
            ahead.append(pool.submit(make, number))
            if len(ahead) > _THREADS:
                yield ahead.pop(0).result()
        for future in ahead:
            yield future.result()


def _keep(weights: npt.NDArray[np.float32], groups: Sequence[int]) -> None:
    """Let a row of each group count once where none does: resample after resample another."""
    start = 0
    for size in groups:
        lost = np.flatnonzero(weights[start : start + size].sum(axis=0) == 0)
        weights[start + lost % size, lost] = 1.0
        start += size


def _order(rows: int, first: Sequence[Indices]) -> Indices | None:
    """All rows, those of ``first`` before the others; None where that is as they are."""
    if not first:
        return None
    leading = np.concatenate(first)
    others = np.ones(rows, dtype=np.bool_)
    others[leading] = False
    return np.concatenate([leading, np.flatnonzero(others)])
