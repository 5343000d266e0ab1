"""How many rows of one part stand in another as well, and whether chance alone explains it.

A key is 64 bits that stand for what is compared: a whole row, a rounded row, an entity. Memory: ten
bytes per row that has a key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal

import numpy as np

from torchyard.data.fingerprint import Digests
from torchyard.data.leaks.parted import TEST, TRAIN, VALIDATION, Integers

PAIRS = ((TRAIN, VALIDATION), (TRAIN, TEST), (VALIDATION, TEST))

SHARE_WARNS = 0.01
EXCESS_FAILS = 0.05
CHANCE_EXPLAINS = 0.5
FEWEST = 5
_STANDARD_ERRORS = 4.0


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
    """The keys of every row, by part, with the class of each. A key of 0 stands for none."""

    def __init__(self) -> None:
        self._keys: tuple[list[Digests], ...] = ([], [], [])
        self._codes: tuple[list[np.ndarray[Any, np.dtype[np.int16]]], ...] = ([], [], [])

    def add(self, keys: Digests, parts: Integers, codes: Integers) -> None:
        """Keep the keys of a chunk; all ``[rows]``."""
        for place in range(3):
            here = (parts == place) & (keys != 0)
            self._keys[place].append(keys[here])
            self._codes[place].append(codes[here].astype(np.int16))

    def overlaps(self) -> list[Overlap]:
        """What each pair of parts shares."""
        keys = [_joined(kept) for kept in self._keys]
        different = [np.unique(part, return_counts=True) for part in keys]
        found = []
        for pair in PAIRS:
            small, large = sorted(pair, key=lambda place: (len(keys[place]), -place))
            names, counts = different[large]
            shared = np.intersect1d(different[small][0], names, assume_unique=True)
            again = int(counts[counts > 1].sum())
            found.append(
                Overlap(
                    places=pair,
                    smaller=small,
                    rows=_rows_with(shared, *different[small]),
                    checked=len(keys[small]),
                    chance=again / max(len(keys[large]), 1),
                    keys=shared,
                )
            )
        return found

    def contradictions(self, overlap: Overlap) -> int:
        """How many shared keys stand with more than one class in the two parts."""
        if not len(overlap.keys):
            return 0
        lowest = np.full(len(overlap.keys), np.iinfo(np.int16).max, dtype=np.int16)
        highest = np.full(len(overlap.keys), -1, dtype=np.int16)
        for place in overlap.places:
            keys, codes = _joined(self._keys[place]), np.concatenate(self._codes[place])
            where = np.minimum(np.searchsorted(overlap.keys, keys), len(overlap.keys) - 1)
            known = (overlap.keys[where] == keys) & (codes >= 0)
            np.minimum.at(lowest, where[known], codes[known])
            np.maximum.at(highest, where[known], codes[known])
        return int((lowest < highest).sum())


def first_rows(keys: Digests, wanted: Digests) -> Iterator[tuple[int, int]]:
    """The first row of each wanted key among ``keys``: the key and its place."""
    places = np.flatnonzero(np.isin(keys, wanted))
    different, first = np.unique(keys[places], return_index=True)
    for key, place in zip(different, first, strict=True):
        yield int(key), int(places[place])


def _rows_with(shared: Digests, names: Digests, counts: Integers) -> int:
    return int(counts[np.searchsorted(names, shared)].sum())


def _joined(arrays: list[Digests]) -> Digests:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype=np.uint64)
