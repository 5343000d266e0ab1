"""Metrics of a regression: a closed set, each a function of a tally.

As in ``binary.py``. Errors are prediction less truth, in the task's unit unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from torchyard.evaluate.counting.regression_tally import RegressionTally
from torchyard.evaluate.counting.sample import Floats
from torchyard.evaluate.metrics.binary import Metric, ratio


def mae(tally: RegressionTally) -> Floats:
    """Mean size of an error: what a prediction is off by, every unit counting alike."""
    return ratio(tally.total(tally.predictions.absolute), tally.rows)


def rmse(tally: RegressionTally) -> Floats:
    """Root of the mean squared error: where one large error costs more than many small ones."""
    return np.sqrt(ratio(tally.total(tally.predictions.squares), tally.rows))


def r2(tally: RegressionTally) -> Floats:
    """The share of the truth's variance that predictions explain: to compare across units.

    1 is perfect, 0 as good as the mean of these rows, below 0 worse. Undefined where all truths
    are the same.
    """
    predictions = tally.predictions
    squares, sums = tally.total(predictions.centred_squares), tally.total(predictions.centred)
    spread = squares - sums * ratio(sums, tally.rows)
    lost = tally.total(predictions.squares)
    # What rounding leaves of no variance at all is none.
    return 1.0 - ratio(lost, np.where(spread > 1e-12 * squares, spread, 0.0))


def median_absolute_error(tally: RegressionTally) -> Floats:
    """The median size of an error: that of an ordinary row, whatever a few outliers do."""
    return tally.median_size


def mean_error(tally: RegressionTally) -> Floats:
    """Mean of prediction less truth: above 0 the model predicts too much.

    What sums of predictions (a budget, a stock) are off by, per row.
    """
    return ratio(tally.total(tally.predictions.errors), tally.rows)


def mape(tally: RegressionTally) -> Floats:
    """Mean size of an error over that of the truth, 0.1 for ten per cent.

    Undefined where a truth is 0. It forgives predicting too little: nothing at all costs 1.
    """
    zeros = tally.total(tally.predictions.is_zero)
    found = ratio(tally.total(tally.predictions.relative), tally.rows)
    return np.where(zeros > 0, np.nan, found)


def pinball_loss(tally: RegressionTally) -> Floats:
    """Mean quantile loss of low, value and high together: value and interval in one number.

    Low and high are held to the quantiles ``(1 - coverage) / 2`` and ``(1 + coverage) / 2`` of the
    task, the value to the median (Koenker and Bassett 1978; proper by Gneiting and Raftery 2007,
    section 6): it rewards intervals that are narrow and hold the truth as often as they claim.
    """
    return ratio(tally.total(tally.predictions.pinball), tally.rows)


def interval_coverage(tally: RegressionTally) -> Floats:
    """The share of rows whose interval holds the truth, to be held against the task's coverage.

    More is called better, as one that is too low breaks a promise; what it costs is the width.
    """
    return ratio(tally.covered, tally.rows)


def mean_interval_width(tally: RegressionTally) -> Floats:
    """Mean width of an interval: how much it says, given that it covers."""
    return ratio(tally.total(tally.predictions.widths), tally.rows)


_POSITIVE = (0.0, np.inf)

REGRESSION_METRICS: Mapping[str, Metric[RegressionTally]] = MappingProxyType(
    {
        "mae": Metric(mae, "answer", higher_is_better=False, bounds=_POSITIVE),
        "rmse": Metric(rmse, "answer", higher_is_better=False, bounds=_POSITIVE),
        "r2": Metric(r2, "answer", higher_is_better=True, bounds=(-np.inf, 1.0)),
        "median_absolute_error": Metric(
            median_absolute_error, "answer", higher_is_better=False, bounds=_POSITIVE
        ),
        "mean_error": Metric(mean_error, "answer", higher_is_better=None, bounds=(-np.inf, np.inf)),
        "mape": Metric(mape, "answer", higher_is_better=False, bounds=_POSITIVE),
        "pinball_loss": Metric(pinball_loss, "answer", higher_is_better=False, bounds=_POSITIVE),
        "interval_coverage": Metric(
            interval_coverage, "answer", higher_is_better=True, share_of=lambda tally: tally.rows
        ),
        "mean_interval_width": Metric(
            mean_interval_width, "answer", higher_is_better=False, bounds=_POSITIVE
        ),
    }
)
