"""Numbers with their 95 % intervals: from resamples, or exact for shares."""

from __future__ import annotations

import numpy as np

from torchyard.evaluate.counting.sample import Floats
from torchyard.records.measures import Measured

CONFIDENCE = 0.95
_TAIL = (1.0 - CONFIDENCE) / 2.0


def by_resamples(
    value: float,
    samples: Floats,
    *,
    rows: int,
    bounds: tuple[float, float],
    biased: float,
    drawn: str,
) -> Measured | None:
    """A number of some rows with the interval of its resamples; arguments as of ``percentile``.

    ``drawn`` says in words how resamples were drawn.

    Example:
        >>> by_resamples(0.5, np.full(40, 0.5), rows=9, bounds=(0.0, 1.0), biased=1.0,
        ...              drawn="bootstrap").method
        'bootstrap, 40 resamples, shifted by their bias'
    """
    interval = percentile(samples, value=value, bounds=bounds, biased=biased)
    if interval is None:
        return None
    method = f"{drawn}, {samples.size:,} resamples"
    if biased:
        method += ", shifted by their bias"
    return Measured(value=value, low=interval[0], high=interval[1], rows=rows, method=method)


def as_share(value: float, *, trials: float, rows: int) -> Measured:
    """A share of ``trials`` rows, above 0, among some rows with its exact interval."""
    low, high = exact(hits=round(value * trials), trials=trials)
    method = "exact binomial (Clopper-Pearson)"
    return Measured(value=value, low=low, high=high, rows=rows, method=method)


def percentile(
    samples: Floats, *, value: float, bounds: tuple[float, float], biased: float
) -> tuple[float, float] | None:
    """The interval that holds the middle 95 % of resampled values (Efron 1979).

    Its ends are quantiles without bias (Hyndman and Fan 1996, definition 6): of few resamples the
    usual ones would make it too narrow, of 200 by a hundredth of its coverage.

    A biased metric lies beside the truth by about ``biased`` times what its resamples lie beside
    it: their mean excess over the value is one such step. One end is shifted back by the
    resamples' step and all of the value's, towards where the truth lies; the other by the first
    alone, so that the interval holds the value it belongs to.

    Args:
        samples: the metric of each resample, ``[resamples]``, not-a-number where undefined.
        value: the metric of the sample.
        bounds: the smallest and largest possible value.
        biased: see ``metrics.Metric``; 0 to leave the ends where they are.

    Returns:
        Its ends; None when fewer than half of the resamples define the metric.
    """
    defined = samples[np.isfinite(samples)]
    if 2 * defined.size < samples.size:
        return None
    # A new value lies below the k-th of n with the chance k / (n + 1), whatever n is.
    low, high = np.quantile(defined, (_TAIL, 1.0 - _TAIL), method="weibull").tolist()
    if biased:
        excess = float(defined.mean()) - value
        steps = (1.0 + biased) * excess
        low = min(value, low - max(excess, steps))
        high = max(value, high - min(excess, steps))
    return max(bounds[0], low), min(bounds[1], high)


def exact(*, hits: float, trials: float) -> tuple[float, float]:
    """The interval of a share that covers at least 95 % whatever the true share is.

    Clopper and Pearson 1934. Honest where resampling is not: at 0 and at all of the trials.

    Args:
        hits: rows counted, at most ``trials``.
        trials: rows that could have been, above 0.

    Example:
        >>> low, high = exact(hits=0, trials=10)
        >>> low, round(high, 4)
        (0.0, 0.3085)
    """
    from scipy.special import betaincinv

    low = 0.0 if hits <= 0 else float(betaincinv(hits, trials - hits + 1, _TAIL))
    high = 1.0 if hits >= trials else float(betaincinv(hits + 1, trials - hits, 1.0 - _TAIL))
    return low, high
