"""Which rows repeat an earlier one, over any number of rows, in 14 bytes a row.

A row's key is 96 bits of hash, so two different rows of a billion are taken for equal with
probability 10**-11. Keys seen so far lie in a few sorted runs whose sizes double, as in a
log-structured merge tree (O'Neil et al., "The log-structured merge-tree", 1996): a chunk is looked
up in each by binary search and becomes the newest run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

Array = np.ndarray[Any, np.dtype[Any]]
_SEEDS = (0x9E3779B9, 0x7F4A7C15)


@dataclass(frozen=True, slots=True)
class _Run:
    """Distinct keys by rising ``first``: uint64, uint32 and the first row's mark, int16."""

    first: Array
    second: Array
    mark: Array

    def __len__(self) -> int:
        return len(self.first)

    def take(self, places: Array) -> _Run:
        return _Run(self.first[places], self.second[places], self.mark[places])


@dataclass(slots=True)
class Seen:
    """The keys of all rows so far, each with the mark of the first row that had it.

    Example:
        >>> seen = Seen()
        >>> seen.add(pl.DataFrame({"k": ["a", "b", "a"]}), ["k"])[0].tolist()
        [False, False, True]
        >>> seen.add(pl.DataFrame({"k": ["b", "c"]}), ["k"])[0].tolist()
        [True, False]
    """

    _runs: list[_Run] = field(default_factory=list)

    def add(
        self, frame: pl.DataFrame, columns: Sequence[str], marks: Array | None = None
    ) -> tuple[Array, Array]:
        """Which rows repeat an earlier one in some columns, ``bool [rows]``, and that one's mark.

        Args:
            frame: the rows.
            columns: what makes two rows equal; null equals null.
            marks: int16 ``[rows]``, kept with the first row of each key; zeros when left out.

        Returns:
            The flags, and the mark of the first equal row (the row's own where it is the first).
        """
        marks = np.zeros(frame.height, dtype=np.int16) if marks is None else marks
        order, heads, chunk = _sorted(*_keys(frame, columns), marks)
        known = chunk.take(np.flatnonzero(heads == np.arange(len(heads))))
        seen = np.zeros(len(known), dtype=bool)
        first = known.mark.copy()
        for run in self._runs:
            _look_up(known, run, seen, first)
        group = np.cumsum(heads == np.arange(len(heads))) - 1
        repeated, earlier = np.empty(len(order), dtype=bool), np.empty(len(order), dtype=np.int16)
        repeated[order] = seen[group] | (heads != np.arange(len(heads)))
        earlier[order] = first[group]
        self._insert(known.take(np.flatnonzero(~seen)))
        return repeated, earlier

    def _insert(self, run: _Run) -> None:
        if not len(run):
            return
        self._runs.append(run)
        while len(self._runs) > 1 and len(self._runs[-2]) <= 2 * len(self._runs[-1]):
            newer, older = self._runs.pop(), self._runs.pop()
            self._runs.append(_merged(older, newer))


def _keys(frame: pl.DataFrame, columns: Sequence[str]) -> tuple[Array, Array]:
    value = pl.struct(columns) if len(columns) > 1 else pl.col(columns[0])
    hashed = frame.select(
        value.hash(seed).alias(name) for name, seed in zip(("first", "second"), _SEEDS, strict=True)
    )
    second = hashed["second"].to_numpy() >> np.uint64(32)
    return hashed["first"].to_numpy(), second.astype(np.uint32)


def _sorted(first: Array, second: Array, marks: Array) -> tuple[Array, Array, _Run]:
    """Keys in order: from where each came, and the place of the first of its equals.

    The order that keeps equal keys as they came is slow, so it is made only where some are equal.
    """
    order = np.argsort(first)
    run = _Run(first, second, marks).take(order)
    if not (run.first[1:] == run.first[:-1]).any():
        return order, np.arange(len(order)), run
    order = np.lexsort((second, first))
    run = _Run(first, second, marks).take(order)
    new = np.ones(len(order), dtype=bool)
    new[1:] = (run.first[1:] != run.first[:-1]) | (run.second[1:] != run.second[:-1])
    return order, np.maximum.accumulate(np.where(new, np.arange(len(order)), 0)), run


def _look_up(keys: _Run, run: _Run, seen: Array, first: Array) -> None:
    """Note in ``seen`` and ``first`` which keys a run holds."""
    places = np.searchsorted(run.first, keys.first)
    asked = np.arange(len(keys))
    while True:
        inside = places < len(run)
        asked, places = asked[inside], places[inside]
        alike = run.first[places] == keys.first[asked]
        asked, places = asked[alike], places[alike]
        if not len(asked):
            return
        equal = run.second[places] == keys.second[asked]
        seen[asked[equal]] = True
        first[asked[equal]] = run.mark[places[equal]]
        # only 64 equal bits with 32 different ones come here: look at the neighbour
        asked, places = asked[~equal], places[~equal] + 1


def _merged(older: _Run, newer: _Run) -> _Run:
    places = np.searchsorted(older.first, newer.first) + np.arange(len(newer))
    from_older = np.ones(len(older) + len(newer), dtype=bool)
    from_older[places] = False

    def merge(a: Array, b: Array) -> Array:
        whole = np.empty(len(from_older), dtype=a.dtype)
        whole[places] = b
        whole[from_older] = a
        return whole

    return _Run(
        merge(older.first, newer.first),
        merge(older.second, newer.second),
        merge(older.mark, newer.mark),
    )
