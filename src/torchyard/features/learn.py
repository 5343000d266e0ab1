"""What transforms learn with: accumulators over the blocks of the training rows.

An accumulator holds as much however many rows there are (vocabularies: as much as there are
different words). Its result depends on the rows and their order, not on how they were chunked,
because ``fit`` cuts every stream into the same blocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from torchyard.features.columns import MISSING_TEXT

if TYPE_CHECKING:
    import polars as pl

Array = np.ndarray[Any, np.dtype[Any]]
Learnt_co = TypeVar("Learnt_co", covariant=True)

# quantiles are exact up to so many values, beyond it those of as many drawn at random: the rank
# of the median is then off by 0.05 % (one standard deviation)
SAMPLE = 1 << 20
# farther out a square would not fit into a double; nothing that is measured lies there
_FARTHEST = 1e140


class Nothing(Exception):
    """There was no value to learn from."""


class Block(Protocol):
    """Some training rows, as a learner sees them."""

    def series(self, field: str) -> pl.Series:
        """A field's values."""

    def column(self, field: str) -> Array:
        """A field's raw column."""

    def numbers(self, path: tuple[str | int, ...]) -> Array:
        """A transform's joined inputs, ``float64 [rows, width]``, NaN where missing."""


class Learner(Protocol[Learnt_co]):
    """Sees every block once, in order; then says what it learnt."""

    def add(self, block: Block) -> None:
        """Learn from some rows."""

    def learn(self) -> Learnt_co:
        """The result.

        Raises:
            Nothing: no row held a value.
        """


class Moments:
    """Mean and deviation per column.

    Values are taken relative to the first one, so a constant has a deviation of exactly 0. Source:
    Chan, Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances" (1979), section 2.
    """

    def __init__(self) -> None:
        self._columns: list[_Moment] = []

    def add(self, values: Array) -> None:
        """Take in ``float64 [rows, width]``; NaN is passed over."""
        if not self._columns:
            self._columns = [_Moment() for _ in range(values.shape[1])]
        for column, moment in zip(values.T, self._columns, strict=True):
            moment.add(_present(column))

    def result(self) -> tuple[Array, Array]:
        """Means and deviations (of the population).

        Raises:
            Nothing: a column held no value.
        """
        if not self._columns or any(moment.count == 0 for moment in self._columns):
            raise Nothing
        means = [moment.first + moment.mean for moment in self._columns]
        squares = [moment.squares / moment.count for moment in self._columns]
        return np.array(means), np.sqrt(np.array(squares))


class _Moment:
    """Count, mean and squared distance from it, of values less the first one."""

    def __init__(self) -> None:
        self.count = 0
        self.first = self.mean = self.squares = 0.0

    def add(self, values: Array) -> None:
        if values.size == 0:
            return
        if self.count == 0:
            self.first = float(values[0])
        moved = values - self.first
        mean = float(moved.mean())
        squares = float(np.square(moved - mean).sum())
        count = self.count + values.size
        gap = mean - self.mean
        self.squares += squares + gap * gap * self.count * values.size / count
        self.mean += gap * values.size / count
        self.count = count


class Sample:
    """Values per column to take quantiles of: all of them, or ``SAMPLE`` drawn at random."""

    def __init__(self, *, limit: int = SAMPLE) -> None:
        self._limit = limit
        self._columns: list[_Drawn] = []

    def add(self, values: Array) -> None:
        """Take in ``float64 [rows, width]``; NaN is passed over."""
        if not self._columns:
            self._columns = [_Drawn(self._limit, place) for place in range(values.shape[1])]
        for column, drawn in zip(values.T, self._columns, strict=True):
            drawn.add(_present(column))

    def result(self) -> list[Array]:
        """The values of each column, ascending.

        Raises:
            Nothing: a column held no value.
        """
        columns = [drawn.ascending() for drawn in self._columns]
        if not columns or any(column.size == 0 for column in columns):
            raise Nothing
        return columns


class _Drawn:
    """The values with the smallest random keys: every subset of the stream is equally likely."""

    def __init__(self, limit: int, seed: int) -> None:
        self._limit = limit
        self._random = np.random.default_rng(seed)
        self._values: list[Array] = []
        self._keys: list[Array] = []
        self._held = 0

    def add(self, values: Array) -> None:
        self._values.append(values)
        self._keys.append(self._random.random(values.size))
        self._held += values.size
        if self._held > 2 * self._limit:
            self._shrink()

    def ascending(self) -> Array:
        if not self._values:
            return np.empty(0)
        if self._held > self._limit:
            self._shrink()
        return np.sort(np.concatenate(self._values))

    def _shrink(self) -> None:
        values, keys = np.concatenate(self._values), np.concatenate(self._keys)
        kept = np.sort(np.argpartition(keys, self._limit)[: self._limit])
        self._values, self._keys, self._held = [values[kept]], [keys[kept]], self._limit


@dataclass(frozen=True)
class FromNumbers(Generic[Learnt_co]):
    """Learns from the joined inputs of the transform at ``path``."""

    path: tuple[str | int, ...]
    into: Moments | Sample
    conclude: Callable[[Any], Learnt_co]

    def add(self, block: Block) -> None:
        """Learn from some rows."""
        self.into.add(block.numbers(self.path))

    def learn(self) -> Learnt_co:
        """What ``conclude`` makes of the accumulator's result."""
        return self.conclude(self.into.result())


class Words:
    """Words in the order of falling counts, equal counts by name.

    Args:
        field: the field that holds them.
        words: the words of some values, once each where a row counts once.
        least: how often a word occurs at least.
        most: how many are learnt at most.
    """

    def __init__(
        self,
        field: str,
        words: Callable[[pl.Series], Iterable[tuple[str, int]]],
        *,
        least: int = 1,
        most: int | None = None,
    ) -> None:
        self._field = field
        self._words = words
        self._least = least
        self._most = most
        self._counts: Counter[str] = Counter()

    def add(self, block: Block) -> None:
        """Count the words of some rows."""
        for word, count in self._words(block.series(self._field)):
            self._counts[word] += count

    def learn(self) -> tuple[str, ...]:
        """The vocabulary.

        Raises:
            Nothing: no word occurs often enough.
        """
        kept = [(-count, word) for word, count in self._counts.items() if count >= self._least]
        if not kept:
            raise Nothing
        return tuple(word for _, word in sorted(kept)[: self._most])


def whole_values(series: pl.Series) -> Iterable[tuple[str, int]]:
    """Each present value as one word, with its count."""
    import polars as pl

    counted = (
        series.rename("word").to_frame().filter(pl.col("word") != MISSING_TEXT)
        .group_by("word").len()
    )  # fmt: skip
    return counted.iter_rows()


def _present(column: Array) -> Array:
    held: Array = np.clip(column[~np.isnan(column)], -_FARTHEST, _FARTHEST)
    return held
