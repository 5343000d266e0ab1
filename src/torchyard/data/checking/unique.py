"""Which rows repeat an earlier one, over any number of rows, in about 30 bytes a row.

A row's key is 96 bits of hash, so two different rows of a billion are taken for equal with
probability 10**-11. Keys seen so far lie in sorted runs that are merged when there are eight of a
size, as in a log-structured merge tree (O'Neil et al., "The log-structured merge-tree", 1996). As
there, a filter says of most new keys that no run can hold them: a table of flags by the keys'
first bits (a Bloom filter of one hash). It is asked in the order of the keys, so memory is read
from front to back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from torchyard.data.reading.asking import ask

Array = np.ndarray[Any, np.dtype[Any]]
_SEEDS = (0x9E3779B9, 0x7F4A7C15)
_FAN = 8
_BLOCK = 1 << 15  # keys worked on at a time: they stay in the cache
_SMALLEST_FILTER_BITS = 23  # the system gives zeroed memory page by page, when it is touched


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


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Keys as they came, and the order that makes a run of them: first rows by rising key."""

    rows: _Run
    order: Array


class Seen:
    """The keys of all rows so far, each with the mark of the first row that had it.

    Example:
        >>> seen = Seen()
        >>> seen.add(pl.DataFrame({"k": ["a", "b", "a"]}), ["k"])[0].tolist()
        [False, False, True]
        >>> seen.add(pl.DataFrame({"k": ["b", "c"]}), ["k"])[0].tolist()
        [True, False]
    """

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._waiting: _Waiting | None = None
        self._keys = 0
        self._filter = np.zeros(1 << _SMALLEST_FILTER_BITS, dtype=np.bool_)

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
        marks = np.zeros(frame.height, np.int16) if marks is None else marks
        rows = _keys(frame, columns, marks)
        order, again, first = _grouped(rows)
        repeated, earlier = np.zeros(len(rows), dtype=bool), marks.copy()
        self._settle()
        if self._runs:
            known = rows.take(order)
            seen, held = self._look_up(known)
            repeated[order], earlier[order] = seen, held
            self._insert(known if not seen.any() else known.take(np.flatnonzero(~seen)))
        else:
            # most sources are one chunk: nobody may ask for these, so they are not sorted yet
            self._waiting = _Waiting(rows, order)
        repeated[again], earlier[again] = True, earlier[first]
        return repeated, earlier

    def _settle(self) -> None:
        if self._waiting is not None:
            self._insert(self._waiting.rows.take(self._waiting.order))
            self._waiting = None

    def _look_up(self, keys: _Run) -> tuple[Array, Array]:
        """Which keys some run holds, and the mark that stands there."""
        seen, first = np.zeros(len(keys), dtype=bool), keys.mark.copy()
        if self._runs:
            asked = np.flatnonzero(self._filter[self._slots(keys)])
            for run in self._runs:
                _find(keys, asked, run, seen, first)
        return seen, first

    def _insert(self, run: _Run) -> None:
        if not len(run):
            return
        self._runs.append(run)
        self._keys += len(run)
        if len(self._runs) >= _FAN and len(self._runs[-_FAN]) <= _FAN * len(run):
            merged = _merged(self._runs[-_FAN:])
            self._runs[-_FAN:] = [merged]
        size = len(self._filter)
        while size < _FAN * self._keys:
            size *= 2
        grown = size > len(self._filter)
        if grown:
            self._filter = np.zeros(size, dtype=np.bool_)
        for held in self._runs if grown else [run]:
            self._filter[self._slots(held)] = True

    def _slots(self, run: _Run) -> Array:
        """The places of keys in the filter: their first bits, so rising as the keys do."""
        return run.first >> np.uint64(65 - len(self._filter).bit_length())


def _keys(frame: pl.DataFrame, columns: Sequence[str], marks: Array) -> _Run:
    value = pl.struct(columns) if len(columns) > 1 else pl.col(columns[0])
    first, second = (value.hash(seed) for seed in _SEEDS)
    second = (second & 0xFFFF_FFFF).cast(pl.UInt32)
    hashed = ask(frame, [first.alias("first"), second.alias("second")])
    return _Run(hashed["first"].to_numpy(), hashed["second"].to_numpy(), marks)


def _grouped(rows: _Run) -> tuple[Array, Array, Array]:
    """The first row of each key, by rising key; all later ones; and the first one of each of these.

    Numbers sort faster than places, so places ride in the low bits of the keys: what these bits
    would have decided is mended where it matters, which is almost nowhere.
    """
    low = np.uint64((1 << max(len(rows) - 1, 1).bit_length()) - 1)
    packed = _packed(rows.first, low)
    packed.sort()
    where = _tied(packed, low)
    packed &= low
    order = packed.view(np.int64)
    if not len(where):
        return order, order[:0], order[:0]
    those = order[where]
    those = those[np.lexsort((those, rows.second[those], rows.first[those]))]
    order[where] = those
    keys = rows.take(those)
    new = np.ones(len(those), dtype=bool)
    new[1:] = (keys.first[1:] != keys.first[:-1]) | (keys.second[1:] != keys.second[:-1])
    starts = np.flatnonzero(new)
    firsts = those[starts[np.cumsum(new) - 1]]
    return np.delete(order, where[~new]), those[~new], firsts[~new]


def _packed(first: Array, low: np.uint64) -> Array:
    """Keys whose low bits are replaced by the places they stand at."""
    packed, places = np.empty(len(first), np.uint64), np.arange(_BLOCK, dtype=np.uint64)
    for start in range(0, len(first), _BLOCK):
        block = packed[start : start + _BLOCK]
        np.bitwise_and(first[start : start + _BLOCK], ~low, out=block)
        block |= places[: len(block)] + np.uint64(start)
    return packed


def _tied(packed: Array, low: np.uint64) -> Array:
    """Where in sorted keys those lie that equal a neighbour, low bits aside."""
    tied = np.zeros(len(packed), dtype=bool)
    for start in range(0, len(packed) - 1, _BLOCK):
        block = packed[start : start + _BLOCK + 1]
        alike = (block[1:] ^ block[:-1]) <= low
        if alike.any():
            tied[start : start + len(alike)] |= alike
            tied[start + 1 : start + 1 + len(alike)] |= alike
    return np.flatnonzero(tied)


def _find(keys: _Run, asked: Array, run: _Run, seen: Array, first: Array) -> None:
    """Note in ``seen`` and ``first`` which of the keys that are asked for a run holds."""
    places = np.searchsorted(run.first, keys.first[asked])
    while len(asked):
        inside = places < len(run)
        asked, places = asked[inside], places[inside]
        alike = run.first[places] == keys.first[asked]
        asked, places = asked[alike], places[alike]
        equal = run.second[places] == keys.second[asked]
        seen[asked[equal]] = True
        first[asked[equal]] = run.mark[places[equal]]
        # only 64 equal bits with 32 different ones come here: look at the neighbour
        asked, places = asked[~equal], places[~equal] + 1


def _merged(runs: Sequence[_Run]) -> _Run:
    first = np.concatenate([run.first for run in runs])
    order = np.argsort(first)
    second = np.concatenate([run.second for run in runs])[order]
    return _Run(first[order], second, np.concatenate([run.mark for run in runs])[order])
