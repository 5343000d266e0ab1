"""Which rows of a chunk break which conditions: the plain way, and the one that is used.

The plain way asks each condition alone, in the words that define it. The other asks all expressions
at once, so that polars spreads them over all cores, and takes a condition's quick test where it has
one. A test holds them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl

from torchyard.data.checking.conditions import Condition

_MANY_ROWS = 1 << 16


def broken_plainly(condition: Condition, frame: pl.DataFrame) -> pl.Series:
    """Which rows break a condition, Boolean ``[rows]``: the definition."""
    if isinstance(condition.broken, pl.Expr):
        mask = frame.select(condition.broken).to_series()
    else:
        mask = condition.broken(frame[condition.field])
    return mask.fill_null(False)


def broken_by_all(conditions: Sequence[Condition], frame: pl.DataFrame) -> list[pl.Series]:
    """Which rows break each condition, Boolean ``[rows]`` without nulls, in the same order."""
    quick = {place: _quickly(item, frame) for place, item in enumerate(conditions) if item.quick}
    expressions = [
        item.broken.alias(str(place))
        for place, item in enumerate(conditions)
        if place not in quick and isinstance(item.broken, pl.Expr)
    ]
    # each condition looks at a row alone, so large chunks are cut up for all cores
    engine: Literal["streaming", "in-memory"] = (
        "streaming" if frame.height >= _MANY_ROWS else "in-memory"
    )
    found = frame.lazy().select(expressions).collect(engine=engine)
    return [
        quick[place]
        if place in quick
        else found[str(place)].fill_null(False)
        if isinstance(item.broken, pl.Expr)
        else item.broken(frame[item.field]).fill_null(False)
        for place, item in enumerate(conditions)
    ]


def _quickly(condition: Condition, frame: pl.DataFrame) -> pl.Series:
    assert condition.quick is not None
    values = frame[condition.field]
    mask = condition.quick(values)
    return (mask & values.is_not_null() if values.has_nulls() else mask).fill_null(False)
