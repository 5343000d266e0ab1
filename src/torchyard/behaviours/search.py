"""A search within bounds for the change that turns a decision: black box, by answers alone.

Each step asks once about every row whose decision still stands: corners of the box first, then in
turn a random point of it, and the best point so far with one field drawn anew. What it finds is
real; what it does not find may exist all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from torchyard.behaviours.attempts import Attempt
from torchyard.behaviours.outcomes import fails, moved
from torchyard.behaviours.trial import Bools, Floats, Trial
from torchyard.evaluate.counting.sample import answers
from torchyard.records.behaviours import Behaviour
from torchyard.records.schema import Field, Task

if TYPE_CHECKING:
    import polars as pl

_CORNERS = 2


@dataclass(frozen=True)
class _Box:
    """How far each field may be changed from where it is, within its bounds, ``[rows, fields]``."""

    start: Floats
    low: Floats
    high: Floats
    whole: Bools

    def within(self, points: Floats, rows: Bools) -> Floats:
        """Points moved into the box; whole numbers to the nearest that are."""
        inside = np.clip(points, self.low[rows], self.high[rows])
        # bounds of whole numbers are whole, so that rounding stays between them
        return np.where(self.whole, np.round(inside), inside)


def search(
    behaviour: Behaviour, trial: Trial, before: Floats, draw: np.random.Generator
) -> Attempt:
    """The worst change that was found for each row, as an attempt.

    Rows without a value in one of the fields are not tried.
    """
    fields = [trial.schema.field(name) for name in behaviour.fields]
    box = _box(trial.rows, fields, [float(str(one)) for one in _bounds(behaviour)])
    can_move = np.isfinite(box.start).all(axis=1) & (box.low < box.high).any(axis=1)
    best, after = box.start.copy(), before.copy()
    score = np.full(len(before), np.inf)
    failed = np.zeros(len(before), dtype=np.bool_)
    tried, broken = failed.copy(), failed.copy()
    for step in range(int(str(behaviour.options["steps"]))):
        open_rows = can_move & ~failed
        points = box.within(_proposed(box, best, open_rows, step, draw), open_rows)
        places = np.flatnonzero(open_rows)
        changed = _put(trial.rows[places], fields, points)
        fits = trial.fits(changed, behaviour.fields)
        broken[places[~fits]] = True
        places, points = places[fits], points[fits]
        given = trial.answer(changed.filter(fits))
        tried[places] = True
        margin = _margin(trial.task, before[places], given)
        better = margin < score[places]
        now = places[better]
        score[now], best[now], after[now] = margin[better], points[better], given[better]
        failed[now] = fails(behaviour, trial.task, before[now], after[now])
    return Attempt(
        tried=tried, failed=failed, after=after, broken=broken,
        moved=moved(trial.task, before, after),
        changed=_put(trial.rows.select(behaviour.fields), fields, best),
    )  # fmt: skip


def _bounds(behaviour: Behaviour) -> list[object]:
    within = behaviour.options["within"]
    assert isinstance(within, list)
    return list(within)


def _box(rows: pl.DataFrame, fields: list[Field], within: list[float]) -> _Box:
    """Bounds around each row's values that the schema allows."""
    import polars as pl

    start = rows.select(pl.col(one.name).cast(pl.Float64) for one in fields)
    values = start.fill_null(float("nan")).to_numpy()
    whole = np.array([one.kind == "integer" for one in fields])
    least = np.array([-np.inf if one.ge is None else one.ge for one in fields])
    most = np.array([np.inf if one.le is None else one.le for one in fields])
    low = np.maximum(values - within, least)
    high = np.minimum(values + within, most)
    return _Box(
        values, np.where(whole, np.ceil(low), low), np.where(whole, np.floor(high), high), whole
    )


def _proposed(box: _Box, best: Floats, rows: Bools, step: int, draw: np.random.Generator) -> Floats:
    """The points of a step, ``[open rows, fields]``."""
    low, high = box.low[rows], box.high[rows]
    if step < _CORNERS:
        return high if step == 0 else low
    anywhere = draw.uniform(low, high)
    if step % 2 == 0:
        return anywhere
    one = (step // 2) % low.shape[1]
    points = best[rows].copy()
    points[:, one] = anywhere[:, one]
    return points


def _put(rows: pl.DataFrame, fields: list[Field], points: Floats) -> pl.DataFrame:
    """Rows with other values in some fields, not-a-number as missing."""
    import polars as pl

    columns = [
        pl.Series(one.name, points[:, place]).fill_nan(None).cast(rows[one.name].dtype)
        for place, one in enumerate(fields)
    ]
    return rows.with_columns(columns)


def _margin(task: Task, before: Floats, after: Floats) -> Floats:
    """How far a decision is from turning, ``[rows]``: smaller is nearer."""
    if task.is_regression:
        return -moved(task, before, after)
    if task.is_multilabel:
        side = np.where(before >= task.threshold, 1.0, -1.0)
        return np.asarray(((after - task.threshold) * side).min(axis=1))
    if task.is_binary:
        side = np.where(answers(task, before) == 1, 1.0, -1.0)
        return np.asarray((after[:, 1] - task.threshold) * side)
    decided = answers(task, before)
    rows = np.arange(len(after))
    others = after.copy()
    others[rows, decided] = -np.inf
    return np.asarray(after[rows, decided] - others.max(axis=1))
