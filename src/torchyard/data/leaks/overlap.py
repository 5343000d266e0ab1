"""How many rows of one part stand in another as well, and whether chance alone explains it.

A key is 64 bits that stand for what is compared: a whole row, a rounded row, an entity. Memory:
eight bytes per row that has a key, sixteen per row of a part while that is sorted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np

from torchyard.data.fingerprint import Digests
from torchyard.data.leaks.parted import TEST, TRAIN, VALIDATION, Integers

PAIRS = ((TRAIN, VALIDATION), (TRAIN, TEST), (VALIDATION, TEST))

SHARE_WARNS = 0.01
EXCESS_FAILS = 0.05
CHANCE_EXPLAINS = 0.5
FEWEST = 5
_STANDARD_ERRORS = 4.0
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Overlap:
    """What two parts share.

    Attributes:
        places: of the two parts.
        smaller: place of the part with fewer rows that have a key.
        rows: rows of the smaller part whose key stands in the larger.
        checked: rows of the smaller part that have a key.
        chance: the share of rows of the larger part whose key stands there once more, 0 to 1.
        keys: the shared keys, ascending.
    """

    places: tuple[int, int]
    smaller: int
    rows: int
    checked: int
    chance: float
    keys: Digests

    @property
    def share(self) -> float:
        """Of the smaller part's rows, 0 to 1."""
        return self.rows / self.checked if self.checked else 0.0


def judge(
    *, share: float, checked: int, chance: float, repeats_tell: bool = True
) -> Literal["fail", "warn"] | None:
    """Whether shared rows are a leak.

    Were all rows drawn alike, a row of one part would have a twin in the other as often as a row of
    the other has a second one in its own part: that share is ``chance``. Where it is above one
    half, rows have too little content to tell copies from coincidence, and nothing is said.
    Otherwise more than 1 % of the rows is worth a warning, and 5 % beyond chance, by four standard
    errors, is more than one source can explain: rows were copied from one part to the other.

    Args:
        share: of ``checked`` rows that stand in the other part, 0 to 1.
        checked: rows that were looked up.
        chance: see above, 0 to 1.
        repeats_tell: whether a repeat is suspicious even where chance explains it: false for what
            repeats in any large table, such as rows of a few categories.
    """
    if checked * share < FEWEST or chance > CHANCE_EXPLAINS:
        return None
    noise = _STANDARD_ERRORS * sqrt(share * (1 - share) / checked)
    excess = share - chance - noise
    if excess > EXCESS_FAILS:
        return "fail"
    return "warn" if (share if repeats_tell else excess) > SHARE_WARNS else None


class KeysByPart:
    """The keys of every row, by part. A key of 0 stands for none."""

    def __init__(self) -> None:
        self._keys: tuple[list[Digests], ...] = ([], [], [])

    def add(self, keys: Digests, parts: Integers) -> None:
        """Keep the keys of a chunk; both ``[rows]``."""
        for place, kept in enumerate(self._keys):
            kept.append(keys[(parts == place) & (keys != 0)])

    def overlaps(self) -> list[Overlap]:
        """What each pair of parts shares. The keys are given up: nothing more can be asked."""
        keys = [_ascending(kept) for kept in self._keys]
        found = []
        for pair in PAIRS:
            small, large = sorted(pair, key=lambda place: (len(keys[place]), -place))
            rows, shared = _shared(keys[small], keys[large])
            found.append(
                Overlap(
                    places=pair,
                    smaller=small,
                    rows=rows,
                    checked=len(keys[small]),
                    chance=_repeated(keys[large]) / max(len(keys[large]), 1),
                    keys=shared,
                )
            )
        return found


class Classes:
    """The classes that the shared keys of two parts stand with."""

    def __init__(self, overlap: Overlap) -> None:
        self._overlap = overlap
        self._lowest = np.full(len(overlap.keys), np.iinfo(np.int16).max, dtype=np.int16)
        self._highest = np.full(len(overlap.keys), -1, dtype=np.int16)

    def add(self, keys: Digests, parts: Integers, codes: Integers) -> None:
        """See a chunk; all ``[rows]``, codes -1 without a label."""
        shared = self._overlap.keys
        if not len(shared):
            return
        asked = np.flatnonzero(np.isin(parts, self._overlap.places) & (codes >= 0))
        where = np.minimum(np.searchsorted(shared, keys[asked]), len(shared) - 1)
        known = shared[where] == keys[asked]
        np.minimum.at(self._lowest, where[known], codes[asked[known]].astype(np.int16))
        np.maximum.at(self._highest, where[known], codes[asked[known]].astype(np.int16))

    def contradictions(self) -> int:
        """How many shared keys stand with more than one class."""
        return int((self._lowest < self._highest).sum())


def first_rows(keys: Digests, wanted: Digests) -> Iterator[tuple[int, int]]:
    """The first row of each wanted key among ``keys``: the key and its place."""
    places = np.flatnonzero(np.isin(keys, wanted))
    different, first = np.unique(keys[places], return_index=True)
    for key, place in zip(different, first, strict=True):
        yield int(key), int(places[place])


def _shared(small: Digests, large: Digests) -> tuple[int, Digests]:
    """How many of some keys are among others, and which; both ascending, and may repeat keys."""
    rows, found = 0, [np.zeros(0, dtype=np.uint64)]
    for at in range(0, len(small) if len(large) else 0, _BLOCK):
        asked = small[at : at + _BLOCK]
        where = np.minimum(np.searchsorted(large, asked), len(large) - 1)
        here = asked[large[where] == asked]
        rows += len(here)
        found.append(np.unique(here))
    return rows, np.unique(np.concatenate(found))


def _repeated(keys: Digests) -> int:
    """How many of ascending keys stand there more than once."""
    same = keys[1:] == keys[:-1]
    # of a run of n equal keys, n - 1 equal the one before, and the first is followed by an equal
    begins = same.copy()
    begins[1:] &= ~same[:-1]
    return int(same.sum() + begins.sum())


def _ascending(arrays: list[Digests]) -> Digests:
    """All keys of a list, which is emptied: two copies of many are more than there is room for."""
    joined = np.concatenate(arrays) if arrays else np.zeros(0, dtype=np.uint64)
    arrays.clear()
    joined.sort()
    return joined
