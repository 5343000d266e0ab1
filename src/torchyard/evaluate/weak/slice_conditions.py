"""The conditions that a field's rows can be parted by, and which of them each row meets.

A field of categories is parted by value, one of numbers into ranges at its quantiles, rounded so
that a person reads them; a timestamp by hours of the day, weekday and month; a text by length.
Nothing here looks at how a row was answered, so what is found by these conditions can be tested on
the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from torchyard.evaluate.counting.sample import Floats
from torchyard.records.conditions import MISSING, MONTHS, WEEKDAYS
from torchyard.records.schema import Field
from torchyard.records.weaknesses import Condition

if TYPE_CHECKING:
    import polars as pl

_RANGES = 8
_FEW_VALUES = 12
_HOURS = 3
_EDGE_ROWS = 100_000  # quantiles need no more
_MOVED = 0.025  # the share of rows that rounding may move to the other side of an edge
_DIGITS = 6

Codes = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parted:
    """Rows parted by one field.

    Attributes:
        conditions: of which a row meets at most one.
        codes: the number of the condition that each row meets, ``uint16 [rows]``;
            ``len(conditions)`` where it meets none.
    """

    conditions: tuple[Condition, ...]
    codes: Codes

    @property
    def size(self) -> int:
        """How many codes there are: one for each condition, and that of none."""
        return len(self.conditions) + 1


def may_be_searched(field: Field) -> bool:
    """Whether a report may name slices by a field's values.

    Those of pictures, tensors and ids are no conditions. Of a personal field that is withheld, only
    what the schema itself lists may stand in a report.
    """
    if field.later or field.kind in ("image", "tensor", "id"):
        return False
    is_listed = field.kind == "boolean" or (field.kind == "category" and bool(field.values))
    return not field.is_withheld or is_listed


def part_rows(field: Field, column: pl.Series, *, min_rows: int) -> Iterator[Parted]:
    """Part rows by a field: once, but for a timestamp, which has several parts.

    Args:
        field: one that ``may_be_searched``.
        column: its value in each row, null where missing.
        min_rows: conditions that fewer rows meet are left out.

    Yields:
        Those with at least one condition.

    Example:
        >>> import polars as pl
        >>> carriers = pl.Series(["AA", "HA", None, "AA"])
        >>> (parted,) = part_rows(Field(name="carrier", kind="category"), carriers, min_rows=1)
        >>> [one.value for one in parted.conditions], parted.codes.tolist()
        (['AA', 'HA', '(missing)'], [0, 1, 2, 0])
    """
    for number, (conditions, codes) in enumerate(_partings(field, column)):
        missing = [Condition(field=field.name, value=MISSING)] if number == 0 else []
        parted = _large_enough(conditions, missing, codes, min_rows)
        if parted.conditions:
            yield parted


def _partings(
    field: Field, column: pl.Series
) -> Iterator[tuple[list[Condition], npt.NDArray[np.int64]]]:
    """Conditions and the number of each row's, -1 where the value is missing."""
    import polars as pl

    if field.kind == "timestamp":
        times = column.dt
        hours = [(float(low), float(low + _HOURS)) for low in range(0, 24, _HOURS)]
        yield _ranges(field, hours), _numbers(times.hour() // _HOURS)
        yield _values(field, WEEKDAYS), _numbers(times.weekday() - 1)
        yield _values(field, MONTHS), _numbers(times.month() - 1)
    elif field.kind in ("number", "integer"):
        yield _by_range(field, column.cast(pl.Float64), whole=field.kind == "integer")
    elif field.kind == "text":
        present = column.cast(pl.String).replace("", None)
        yield _by_range(field, present.str.len_chars().cast(pl.Float64), whole=True)
    else:
        texts = column.cast(pl.String).replace("", None)
        values = sorted(texts.drop_nulls().unique().to_list())
        numbers = texts.replace_strict(values, range(len(values)), return_dtype=pl.Int64,
                                       default=None)  # fmt: skip
        yield _values(field, values), _numbers(numbers)


def _by_range(
    field: Field, column: pl.Series, *, whole: bool
) -> tuple[list[Condition], npt.NDArray[np.int64]]:
    numbers = column.fill_null(float("nan")).to_numpy()
    is_present = np.isfinite(numbers)
    edges = _edges(numbers[is_present], whole=whole)
    codes = np.searchsorted(edges, numbers, side="right").astype(np.int64)
    codes[~is_present] = -1
    ends = [None, *edges.tolist(), None]
    return _ranges(field, list(pairwise(ends))), codes


def _edges(numbers: Floats, *, whole: bool) -> Floats:
    """Where ranges begin: at each of a few whole numbers, or at quantiles, rounded."""
    if numbers.size == 0:
        return np.array([])
    seen = np.sort(numbers[:: -(-numbers.size // _EDGE_ROWS)])
    if whole:
        values = np.unique(seen)
        if values.size <= _FEW_VALUES:
            # an end behind each number too, so that a range is that of one number alone
            return np.unique(np.concatenate([values, values + 1.0]))
    places = (seen.size * np.arange(1, _RANGES)) // _RANGES
    return np.unique([_rounded(seen, float(seen[place]), whole) for place in places])


def _rounded(seen: Floats, edge: float, whole: bool) -> float:
    """The edge with the fewest digits that keep nearly all rows on their side."""
    if edge == 0.0:
        return 0.0
    size = int(np.floor(np.log10(abs(edge))))
    place = np.searchsorted(seen, edge)
    for digits in range(1, _DIGITS + 1):
        decimals = digits - 1 - size
        if whole and decimals >= 0:
            break
        rounded = float(round(edge, decimals))
        if abs(np.searchsorted(seen, rounded) - place) <= _MOVED * seen.size:
            return rounded
    return float(np.ceil(edge)) if whole else edge


def _large_enough(
    conditions: list[Condition],
    missing: list[Condition],
    codes: npt.NDArray[np.int64],
    min_rows: int,
) -> Parted:
    """Only those conditions that enough rows meet; a missing value meets ``missing``, if any."""
    codes = np.where(codes < 0, len(conditions), codes)
    rows = np.bincount(codes, minlength=len(conditions) + 1)
    every = [*conditions, *missing]
    kept = np.flatnonzero(rows[: len(every)] >= min_rows)
    renumbered = np.full(rows.size, kept.size, dtype=np.uint16)
    renumbered[kept] = np.arange(kept.size)
    return Parted(conditions=tuple(every[one] for one in kept), codes=renumbered[codes])


def _values(field: Field, values: Any) -> list[Condition]:
    return [Condition(field=field.name, value=value) for value in values]


def _ranges(field: Field, ends: list[tuple[Any, Any]]) -> list[Condition]:
    return [Condition(field=field.name, low=low, high=high) for low, high in ends]


def _numbers(column: pl.Series) -> npt.NDArray[np.int64]:
    numbers: npt.NDArray[np.int64] = column.cast(int).fill_null(-1).to_numpy()
    return numbers
