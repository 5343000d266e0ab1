"""The search for the worst slices: those rows, of one or two conditions, that lose most.

Slices are compared as in Slice Finder (Chung et al. 2019, section 2.3): the mean loss of a slice
against that of all other rows by Welch's t-test, and an effect size, so that with a million rows
trifles are not reported. That all slices of two conditions can be counted, and none needs sampling,
is due to small tables of counts and sums, as in SliceLine (Sagadeeva and Boehm 2021).

Losses are skewed to the right. A slice is at most half of the rows, and then the skew makes the
test more careful, not less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from torchyard.evaluate.counting.sample import Bools, Floats
from torchyard.evaluate.resampling.intervals import CONFIDENCE
from torchyard.evaluate.weak.slice_conditions import Parted
from torchyard.records.measures import Measured
from torchyard.records.weaknesses import FoundSlice, SliceSearch

MIN_ROWS = 100
MIN_SHARE = 200  # a slice has at least one of so many rows
LEAST_EFFECT = 0.2  # small, as Cohen 1988 calls it, in standard deviations of the loss
MOST_FOUND = 10
_MOST_LOOKED_AT = 1_000

Counts = npt.NDArray[np.int64]


def least_rows(rows: int) -> int:
    """The fewest rows of a slice among so many: 100, or half a percent of a larger number.

    Example:
        >>> least_rows(5_000), least_rows(1_000_000)
        (100, 5000)
    """
    return max(MIN_ROWS, -(-rows // MIN_SHARE))


def search_slices(
    losses: Floats,
    parted: Sequence[Parted],
    *,
    metric: str,
    min_rows: int,
    most: int = MOST_FOUND,
) -> SliceSearch:
    """Find the slices of one or two conditions that are answered worse than all other rows.

    A slice is found when its mean loss is higher than that of all other rows, by Welch's t-test at
    5 % over the number of slices tried (Bonferroni), and by at least 0.2 standard deviations. One
    of two conditions must be so much worse than the rest of either condition's rows, too. What is
    found is told apart, the worst first: a slice is left out when its rows outside those found
    before it are too few, or no longer so much worse than the others.

    Args:
        losses: of each row, ``float64 [rows]``, the higher the worse.
        parted: the same rows by the conditions of each field.
        metric: what the mean loss is called.
        min_rows: the fewest rows of a slice.
        most: how many to report at most.

    Returns:
        The slices found, by the lower end of their interval, the highest first. With 95 % all of
        them are truly worse than the rows outside.

    Example:
        >>> from torchyard.records.weaknesses import Condition
        >>> bad = np.arange(4_000) % 10 == 0
        >>> lost = np.where(bad, 2.0, 0.5) + np.random.default_rng(0).normal(size=4_000)
        >>> carrier = Parted(conditions=(Condition(field="carrier", value="HA"),),
        ...                  codes=np.where(bad, 0, 1).astype(np.uint16))
        >>> search_slices(lost, [carrier], metric="mae", min_rows=100).found[0].rows
        400
    """
    mean = float(losses.mean()) if losses.size else 0.0
    search = _Search(losses - mean, np.square(losses - mean), tuple(parted), min_rows)
    singles = [search.table((one,)) for one in range(len(parted))]
    pairs = [(two, search.table(two)) for two in combinations(range(len(parted)), 2)]
    tried = sum(int(search.is_tried(table).sum()) for table in singles)
    tried += sum(int(search.is_tried(table).sum()) for _, table in pairs)
    judge = _Judge(max(tried, 1))
    candidates = [
        *(_Candidate.of(judge, table, (one,), (place,))
          for one, table in enumerate(singles)
          for (place,) in search.worse(table, judge, ())),
        *(_Candidate.of(judge, table, two, place)
          for two, table in pairs
          for place in search.worse(table, judge, tuple(singles[one] for one in two))),
    ]  # fmt: skip
    chosen = search.told_apart(sorted(candidates, key=_Candidate.order), judge, most)
    return SliceSearch(
        metric=metric,
        tried=tried,
        min_rows=min_rows,
        method=f"Welch's t-test, one-sided, corrected for {tried:,} slices (Bonferroni); "
        f"at least {LEAST_EFFECT:g} standard deviations worse",
        found=tuple(search.record(one, judge, mean) for one in chosen),
    )


@dataclass(frozen=True, slots=True)
class _Sums:
    """Rows, the sum of their losses and that of the squares, of any number of slices at once."""

    rows: Counts
    total: Floats
    squares: Floats

    def __sub__(self, other: _Sums) -> _Sums:
        return _Sums(self.rows - other.rows, self.total - other.total, self.squares - other.squares)

    def at(self, place: tuple[int, ...]) -> _Sums:
        return _Sums(*(np.asarray(part[place]) for part in (self.rows, self.total, self.squares)))

    def beside(self, axis: int) -> _Sums:
        """With one axis more, along which all slices are the same."""
        parts = [np.expand_dims(part, axis) for part in (self.total, self.squares)]
        return _Sums(np.expand_dims(self.rows, axis), *parts)

    @property
    def mean(self) -> Floats:
        return np.asarray(self.total / np.maximum(self.rows, 1))

    @property
    def variance(self) -> Floats:
        centred = self.squares - self.total * self.mean
        return np.asarray(np.maximum(centred, 0.0) / np.maximum(self.rows - 1, 1))


@dataclass(frozen=True, slots=True)
class _Judge:
    """Decides what is worse beyond chance, among so many slices that were tried."""

    tried: int

    def p_value(self, slices: _Sums, others: _Sums) -> Floats:
        """Welch's t-test (1947), one-sided, times the number of slices tried."""
        from scipy.special import stdtr

        of_slices, of_others = _errors(slices), _errors(others)
        both = np.maximum(of_slices + of_others, np.finfo(np.float64).tiny)
        freedom = np.square(both) / np.maximum(
            np.square(of_slices) / np.maximum(slices.rows - 1, 1)
            + np.square(of_others) / np.maximum(others.rows - 1, 1),
            np.finfo(np.float64).tiny,
        )
        worse = (slices.mean - others.mean) / np.sqrt(both)
        return np.asarray(np.minimum(1.0, stdtr(freedom, -worse) * self.tried))

    def is_worse(self, slices: _Sums, others: _Sums) -> Bools:
        """Beyond chance, and by more than a trifle."""
        spread = np.sqrt((slices.variance + others.variance) / 2.0)
        effect = slices.mean - others.mean >= LEAST_EFFECT * spread
        large = (slices.rows > 1) & (others.rows > 1)
        return np.asarray(large & effect & (self.p_value(slices, others) < 1.0 - CONFIDENCE))

    def half_width(self, slices: _Sums) -> Floats:
        """Of the interval of a mean, so wide that all that were tried hold together."""
        from scipy.special import stdtrit

        tail = (1.0 - CONFIDENCE) / 2.0 / self.tried
        return np.asarray(-stdtrit(slices.rows - 1.0, tail) * np.sqrt(_errors(slices)))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A slice that is worse: of which fields and conditions, by number."""

    parts: tuple[int, ...]
    codes: tuple[int, ...]
    sums: _Sums
    surely: float

    @classmethod
    def of(
        cls, judge: _Judge, table: _Sums, parts: tuple[int, ...], codes: tuple[int, ...]
    ) -> _Candidate:
        sums = table.at(codes)
        return cls(parts, codes, sums, float(sums.mean - judge.half_width(sums)))

    def order(self) -> tuple[float, int, tuple[int, ...], tuple[int, ...]]:
        """The worst first; of equals those with fewer conditions."""
        return -self.surely, len(self.parts), self.parts, self.codes


@dataclass(frozen=True, slots=True)
class _Search:
    """Losses, less their mean, their squares, and the conditions of each row."""

    losses: Floats
    squares: Floats
    parted: tuple[Parted, ...]
    min_rows: int

    def table(self, parts: tuple[int, ...]) -> _Sums:
        """The sums of each slice of one field's conditions, or of each pair of two fields'.

        ``[conditions]`` or ``[conditions, conditions]``: rows that meet none are not in it.
        """
        shape = tuple(self.parted[one].size for one in parts)
        codes = self.parted[parts[0]].codes.astype(np.intp)
        if len(parts) == 2:
            codes *= shape[1]
            codes += self.parted[parts[1]].codes
        inner = tuple(slice(0, size - 1) for size in shape)

        def summed(weights: Floats | None) -> npt.NDArray[np.float64] | Counts:
            sums = np.bincount(codes, weights, minlength=int(np.prod(shape)))
            return np.asarray(sums.reshape(shape)[inner])

        return _Sums(
            np.asarray(summed(None), np.int64),
            np.asarray(summed(self.losses), np.float64),
            np.asarray(summed(self.squares), np.float64),
        )

    def is_tried(self, table: _Sums) -> Bools:
        """Whether slices have enough rows, and no more than half of all."""
        return np.asarray((table.rows >= self.min_rows) & (2 * table.rows <= self.losses.size))

    def worse(
        self, table: _Sums, judge: _Judge, parents: tuple[_Sums, ...]
    ) -> Iterator[tuple[int, ...]]:
        """The places of slices that are worse than all other rows, and than each parent's."""
        worse = self.is_tried(table) & judge.is_worse(table, _sums(self.losses) - table)
        for axis, parent in enumerate(parents):
            worse &= judge.is_worse(table, parent.beside(1 - axis) - table)
        for place in np.argwhere(worse):
            yield tuple(int(one) for one in place)

    def told_apart(
        self, candidates: Sequence[_Candidate], judge: _Judge, most: int
    ) -> list[_Candidate]:
        """Those that are worse even without the rows of those before them."""
        chosen: list[_Candidate] = []
        is_left = np.ones(self.losses.size, dtype=np.bool_)
        for candidate in candidates[:_MOST_LOOKED_AT]:
            if len(chosen) == most:
                break
            rows = self._rows(candidate)
            own = _sums(self.losses[rows & is_left])
            others = _sums(self.losses[is_left]) - own
            if own.rows >= self.min_rows and judge.is_worse(own, others):
                chosen.append(candidate)
                is_left &= ~rows
        return chosen

    def record(self, one: _Candidate, judge: _Judge, mean: float) -> FoundSlice:
        others = _sums(self.losses) - one.sums
        value, half = float(one.sums.mean) + mean, float(judge.half_width(one.sums))
        percent = 100.0 * (1.0 - (1.0 - CONFIDENCE) / judge.tried)
        return FoundSlice(
            conditions=tuple(
                self.parted[part].conditions[code]
                for part, code in zip(one.parts, one.codes, strict=True)
            ),
            rows=int(one.sums.rows),
            measured=Measured(
                value=value,
                low=max(0.0, value - half),
                high=value + half,
                rows=int(one.sums.rows),
                method=f"Student's t, widened to {percent:.6g} % for {judge.tried:,} slices "
                "(Bonferroni)",
            ),
            others=float(others.mean) + mean,
            p_value=float(judge.p_value(one.sums, others)),
        )

    def _rows(self, candidate: _Candidate) -> Bools:
        rows = np.ones(self.losses.size, dtype=np.bool_)
        for part, code in zip(candidate.parts, candidate.codes, strict=True):
            rows &= self.parted[part].codes == code
        return rows


def _sums(losses: Floats) -> _Sums:
    return _Sums(
        np.asarray(losses.size), np.asarray(losses.sum()), np.asarray(np.square(losses).sum())
    )


def _errors(slices: _Sums) -> Floats:
    """The squared standard error of each slice's mean."""
    return np.asarray(slices.variance / np.maximum(slices.rows, 1))
