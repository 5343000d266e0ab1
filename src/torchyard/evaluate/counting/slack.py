"""How far a metric of cells can be from that of the rows in them, at most.

All that cells leave open is the order of the rows within one. For each metric that depends on it,
the best and the worst order bound what it can be; every other metric is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from torchyard.evaluate.counting.cells import FRACTION, Cells
from torchyard.evaluate.counting.sample import Floats
from torchyard.evaluate.counting.tally import Tally
from torchyard.evaluate.counting.totals import Totals
from torchyard.evaluate.metrics import binary as metrics
from torchyard.records.schema import Task

Slack = Callable[[Tally], float]


def slack_of(name: str, value: float, *, totals: Totals, tally: Any, task: Task) -> float:
    """How far a metric of a meter, with this value, can be off; 0 where it is exact.

    Args:
        name: the metric.
        value: what it is.
        totals: of the rows.
        tally: the same, as the metric's function takes it.
        task: what is predicted.
    """
    if name == "median_absolute_error":
        sizes = totals.cells["sizes"]
        return value * 2.0**-sizes.grid.bits if sizes.is_coarse else 0.0
    base = name.removeprefix("macro_").removeprefix("micro_").replace("classwise", "expected")
    if base == "calibration_gap":
        return 1.0 / FRACTION if _any_coarse(totals) else 0.0
    if base not in _SLACKS:
        return 0.0
    if task.is_binary:
        return _one(base, tally, totals.cells["class 1"].is_coarse)
    if task.is_multilabel and not name.startswith(("macro", "classwise")):
        return _one(base, tally.pairs, _any_coarse(totals))
    if name.startswith(("expected", "maximum")):
        return _one(base, tally.confidence, totals.cells["confidence"].is_coarse)
    found = [
        _one(base, one, totals.cells[f"class {place}"].is_coarse)
        for place, one in enumerate(tally.each)
        if not np.isnan(metrics.METRICS[base].function(one))
    ]
    return float(np.mean(found))


def auroc_slack(tally: Tally) -> float:
    """Half the share of pairs that lie in one cell: counted half, they may be right or wrong."""
    pairs = float(tally.positives * tally.negatives)
    return 0.5 * float(np.vecdot(tally.positive, tally.negative)) / pairs


def average_precision_slack(tally: Tally) -> float:
    """By the precision at each positive row if it came first in its cell, or last."""
    hits = np.asarray(tally.positives - tally.positive_before[..., 1:], np.float64)
    chosen = np.asarray(tally.rows - tally.rows_before[..., 1:], np.float64)
    has = tally.positive > 0
    at_best = _share(hits + tally.positive, chosen + tally.positive, has)
    at_worst = _share(hits + 1.0, chosen + tally.negative + 1.0, has)
    off = np.maximum(at_best - tally.precision_at, tally.precision_at - at_worst)
    return float(np.vecdot(tally.positive, off) / tally.positives)


def expected_error_slack(tally: Tally) -> float:
    """Bins end within a cell: its rows count in one bin or the next, each by 1 at most."""
    return min(1.0, float(2.0 * _at_edges(tally).sum() / tally.rows) + 2.0 / FRACTION)


def maximum_error_slack(tally: Tally) -> float:
    """The same, of the bin of which most can come or go."""
    edges, rows = tally.edges, tally.rows_before
    moved = np.concatenate([[0.0], _at_edges(tally), [0.0]])
    in_bin = np.diff(rows[edges])
    off = 2.0 * (moved[:-1] + moved[1:]) / np.maximum(in_bin, 1.0)
    return min(1.0, float(off.max()) + 2.0 / FRACTION)


_SLACKS: Mapping[str, Slack] = {
    "auroc": auroc_slack,
    "average_precision": average_precision_slack,
    "expected_calibration_error": expected_error_slack,
    "maximum_calibration_error": maximum_error_slack,
}


def _one(base: str, tally: Tally, is_coarse: bool) -> float:
    return _SLACKS[base](tally) if is_coarse else 0.0


def _any_coarse(totals: Totals) -> bool:
    cells: Sequence[Cells] = tuple(totals.cells.values())
    return any(one.is_coarse for one in cells)


def _at_edges(tally: Tally) -> Floats:
    """Rows of the cell in which each bin but the last ends."""
    inner = tally.edges[1:-1]
    weight = np.asarray(tally.positive + tally.negative)
    return np.where(inner > 0, weight[np.maximum(inner - 1, 0)], 0.0)


def _share(above: Floats, below: Floats, has: Any) -> Floats:
    return np.divide(above, below, out=np.zeros_like(above), where=has)
