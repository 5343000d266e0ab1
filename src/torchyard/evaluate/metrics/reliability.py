"""Equal-mass bins: rows of similar predicted probability, an equal share of rows in each.

What a reliability diagram draws; calibration error is summed over the same.
"""

from __future__ import annotations

import itertools

import numpy as np

from torchyard.evaluate.counting.bins import BINS, cut
from torchyard.evaluate.counting.regression_tally import RegressionTally
from torchyard.evaluate.counting.sample import Floats
from torchyard.evaluate.counting.tally import Tally
from torchyard.records.evidence import ReliabilityBin


def reliability(tally: Tally, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """The bins of a sample, rising, empty ones left out.

    Args:
        tally: one sample, without leading axes.
        bins: how many at most.

    Example:
        >>> from torchyard.evaluate.counting.tally import Scores
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
    edges = cut(np.cumsum(weight), bins).tolist()
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
