"""Equal-mass bins: rows of similar predicted probability, an equal share of rows in each.

What calibration error is summed over and what a reliability diagram draws.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from torchyard.evaluate.regression_tally import RegressionTally
from torchyard.evaluate.sample import Floats, Indices, Weights
from torchyard.evaluate.tally import Tally
from torchyard.records.evidence import ReliabilityBin

BINS = 15


def equal_mass_edges(tally: Tally, bins: int = BINS) -> Indices:
    """Where to cut the sorted probabilities so that each bin holds an equal share of the weight.

    A bin ends with the probability that completes its share; rows of one probability are never
    parted, so tied probabilities make some bins larger and others empty.

    Returns:
        ``[..., bins + 1]``: bin ``k`` holds the probabilities of index ``edges[k]`` up to, not
        including, ``edges[k + 1]``.
    """
    return _edges(tally.rows_before[..., 1:], bins)


def _edges(up_to: Weights, bins: int) -> Indices:
    """Where to cut, by the weight ``[..., cells]`` up to each cell and including it."""
    cells = up_to.shape[-1]
    if cells == 0:
        return np.zeros((*up_to.shape[:-1], bins + 1), dtype=np.intp)
    shares = np.arange(1, bins) / bins
    lead = up_to.shape[:-1]
    edges = np.zeros((*lead, bins + 1), dtype=np.intp)
    edges[..., -1] = cells
    for place in np.ndindex(lead):
        # The tolerance keeps an exactly completed share from spilling over by rounding.
        goals = shares * float(up_to[place][-1]) * (1.0 - 1e-12)
        ends = np.searchsorted(up_to[place], goals, side="left") + 1
        edges[(*place, slice(1, -1))] = np.minimum(ends, cells)
    return edges


def sum_per_bin(values: Floats, edges: Indices) -> Floats:
    """Sums of ``values [..., cells]`` within each bin of ``edges [..., bins + 1]``."""
    cells, lead = values.shape[-1], values.shape[:-1]
    # One cell more, so that an empty last bin has a place to start at.
    flat = np.append(values.reshape(-1), 0.0)
    offsets = np.arange(math.prod(lead)).reshape(lead) * cells
    starts = edges[..., :-1] + offsets[..., None]
    sums = np.add.reduceat(flat, starts.reshape(-1)).reshape(starts.shape)
    # reduceat answers an empty stretch with the value at its start.
    return np.where(np.diff(edges, axis=-1) > 0, sums, 0.0)


def reliability(tally: Tally, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """The bins of a sample, rising, empty ones left out.

    Args:
        tally: one sample, without leading axes.
        bins: how many at most.

    Example:
        >>> from torchyard.evaluate.tally import Scores
        >>> scores = Scores(values=np.array([0.25, 0.75]), threshold=0.5)
        >>> seen = Tally(scores, positive=np.array([0.0, 1.0]), negative=np.array([1.0, 0.0]))
        >>> [(bin.rows, bin.predicted, bin.observed) for bin in reliability(seen, 2)]
        [(1, 0.25, 0.0), (1, 0.75, 1.0)]
    """
    weight = np.asarray(tally.positive + tally.negative, dtype=np.float64)
    positive = np.asarray(tally.positive, dtype=np.float64)
    return _bins(weight, weight * tally.scores.values, positive, bins)


def numeric_reliability(tally: RegressionTally, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """Rows of similar predicted values: their mean against the mean of the truths.

    Args:
        tally: one sample, without leading axes.
        bins: how many at most.
    """
    predictions = tally.predictions
    values, cells = np.unique(predictions.value, return_inverse=True)
    weight, observed = (
        np.bincount(cells, weights=tally.weights * of_row, minlength=values.size).astype(np.float64)
        for of_row in (1.0, predictions.truth)
    )
    return _bins(weight, weight * values, observed, bins)


def _bins(
    weight: Floats, predicted: Floats, observed: Floats, bins: int
) -> tuple[ReliabilityBin, ...]:
    """Bins of cells, by weight and sums of what was predicted and observed in each, ``[cells]``."""
    edges = _edges(np.cumsum(weight), bins).tolist()
    found: list[ReliabilityBin] = []
    for first, end in itertools.pairwise(edges):
        rows = float(weight[first:end].sum())
        if rows > 0:
            found.append(
                ReliabilityBin(
                    rows=round(rows),
                    predicted=float(predicted[first:end].sum()) / rows,
                    observed=float(observed[first:end].sum()) / rows,
                )
            )
    return tuple(found)
