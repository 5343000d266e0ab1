"""Isotonic regression to a curve of few points, and reading such a curve."""

from __future__ import annotations

import numpy as np

from torchyard.evaluate.counting.sample import Floats
from torchyard.records.calibration import Curve


def fit_isotonic(x: Floats, y: Floats, *, blocks: int) -> Curve:
    """The rising curve nearest to outcomes, by pooling adjacent violators (Ayer et al. 1955).

    Rows of one ``x`` are one point. Neighbouring blocks are merged, those first that cost the
    least likelihood, until there are at most ``blocks``; each is flat, and between two the curve
    is a straight line. Rates stay within ``1 / (rows + 2)`` of 0 and 1, as the rule of succession
    has it: rows that all agree prove no certainty.

    Args:
        x: a logit per row, ``[rows]``, at least one row.
        y: 0 or 1 per row.
        blocks: at least 1.

    Example:
        >>> fit_isotonic(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 0.0]), blocks=9)
        Curve(x=(0.0, 1.0, 2.0), y=(0.2, 0.5, 0.5))
    """
    from scipy.optimize import isotonic_regression

    points, places, counts = np.unique(x, return_inverse=True, return_counts=True)
    hits = np.bincount(places, weights=y).astype(np.float64)
    sizes = counts.astype(np.float64)
    found = isotonic_regression(hits / sizes, weights=sizes)
    starts = _merged(np.asarray(found.blocks[:-1]), hits, sizes, blocks=blocks)

    ends = np.append(starts[1:], points.size) - 1
    rates = np.add.reduceat(hits, starts) / np.add.reduceat(sizes, starts)
    least = 1.0 / (x.size + 2)
    rates = np.clip(rates, least, 1.0 - least)
    knots, first = np.unique(np.stack([points[starts], points[ends]], axis=1), return_index=True)
    heights = np.repeat(rates, 2)[first]
    return Curve(x=tuple(knots.tolist()), y=tuple(heights.tolist()))


def read_curve(curve: Curve, x: Floats) -> Floats:
    """The heights of a curve at ``x``, in the arithmetic that the served graph uses too.

    Example:
        >>> read_curve(Curve(x=(0.0, 2.0), y=(0.1, 0.5)), np.array([-9.0, 1.5, 9.0])).tolist()
        [0.1, 0.4, 0.5]
    """
    knots, heights, slopes = pieces(curve)
    place = np.maximum(np.searchsorted(knots, x, side="right") - 1, 0)
    read = heights[place] + (np.maximum(x, knots[0]) - knots[place]) * slopes[place]
    return np.asarray(read, dtype=np.float64)


def pieces(curve: Curve) -> tuple[Floats, Floats, Floats]:
    """Where each piece of a curve begins, its height there, and its slope: the last one's is 0."""
    knots, heights = np.array(curve.x), np.array(curve.y)
    return knots, heights, np.append(np.diff(heights) / np.diff(knots), 0.0)


def _merged(
    starts: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    hits: Floats,
    counts: Floats,
    *,
    blocks: int,
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """The places where blocks begin, when the cheapest borders have been taken away."""
    while starts.size > blocks:
        hit, count = np.add.reduceat(hits, starts), np.add.reduceat(counts, starts)
        own = _likelihood(hit, count)
        pooled = _likelihood(hit[:-1] + hit[1:], count[:-1] + count[1:])
        starts = np.delete(starts, 1 + int(np.argmin(own[:-1] + own[1:] - pooled)))
    return starts


def _likelihood(hits: Floats, counts: Floats) -> Floats:
    """The greatest log likelihood of so many hits among so many rows."""
    from scipy.special import xlogy

    rates = hits / counts
    return np.asarray(xlogy(hits, rates) + xlogy(counts - hits, 1.0 - rates), dtype=np.float64)
