"""Metrics with intervals by resampling rows (Efron 1979).

A resample draws as many rows as there are, with replacement, class by class: first how many are
positive, then which. That is the ordinary bootstrap, kept from losing a class altogether. Holding
the number of positives fixed instead would pretend that the positive rate is known, and make the
intervals of log loss, accuracy and selection rate too narrow.

The fast path sorts once and counts draws per distinct probability; ``bootstrap_plainly`` copies the
drawn rows and defines what the fast path must answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from torchyard.core.errors import BadProject, BadUsage
from torchyard.evaluate.intervals import exact, percentile
from torchyard.evaluate.metrics import METRICS, Metric, compute, find
from torchyard.evaluate.tally import (
    Bools,
    Floats,
    Indices,
    Scores,
    Tally,
    count,
    sort,
)
from torchyard.records.evidence import Measured

RESAMPLES = 1000
LEAST_RESAMPLES = 40
# Counts that are worked on at once: few enough to stay in a core's cache.
_CHUNK_COUNTS = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """The metrics of a sample and of its resamples; undefined metrics are left out.

    Attributes:
        tally: the sample.
        values: metric to its value.
        samples: metric to its value in each resample, ``[resamples]``.
        resamples: how many.
    """

    tally: Tally
    values: dict[str, float]
    samples: dict[str, Floats]
    resamples: int

    @property
    def rows(self) -> int:
        """Rows of the sample."""
        return round(float(self.tally.rows))


def measure(
    *,
    truth: Bools,
    probability: Floats,
    threshold: float,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    metrics: Sequence[str] = tuple(METRICS),
) -> dict[str, Measured]:
    """Metrics of a sample with 95 % intervals.

    Args:
        truth: the labels, ``bool [rows]``.
        probability: of the positive class, ``[rows]``, from 0 to 1.
        threshold: rows at or above it are answered with the positive class.
        generator: where the draws come from.
        resamples: how many times the rows are drawn.
        metrics: which; all when left out.

    Returns:
        By name; a metric that is undefined on these rows is absent.

    Raises:
        BadData: labels and probabilities do not fit.
        BadProject: there is no such metric.
        BadUsage: fewer than 40 resamples are asked for.

    Example:
        >>> truth = np.arange(400) % 2 == 0
        >>> found = measure(truth=truth, probability=np.where(truth, 0.6, 0.4), threshold=0.5,
        ...                 generator=np.random.default_rng(0), resamples=100)
        >>> found["accuracy"].value, found["auroc"].method
        (1.0, 'bootstrap by class, 100 resamples')
    """
    return measured(
        bootstrap(
            truth=truth,
            probability=probability,
            threshold=threshold,
            generator=generator,
            resamples=resamples,
            metrics=metrics,
        )
    )


def measured(sample: Resampled) -> dict[str, Measured]:
    """The metrics of a resampled sample as records: shares exactly, the others by resamples."""
    found = {name: _measured(name, sample) for name in sample.values}
    return {name: one for name, one in found.items() if one is not None}


def bootstrap(
    *,
    truth: Bools,
    probability: Floats,
    threshold: float,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    metrics: Sequence[str] = tuple(METRICS),
) -> Resampled:
    """Metrics of a sample and of its resamples. Arguments and refusals as of ``measure``."""
    _check_resamples(resamples)
    tally = count(truth=truth, probability=probability, threshold=threshold)
    values = _values(tally, metrics)
    samples = {name: np.empty(resamples) for name in values}
    start = 0
    for (chunk,) in _resamples(
        truth, (probability,), threshold=threshold, resamples=resamples, generator=generator
    ):
        end = start + chunk.positive.shape[0]
        for name in values:
            samples[name][start:end] = METRICS[name].function(chunk)
        start = end
    return Resampled(tally=tally, values=values, samples=samples, resamples=resamples)


def bootstrap_plainly(
    *,
    truth: Bools,
    probability: Floats,
    threshold: float,
    generator: np.random.Generator,
    resamples: int,
    metrics: Sequence[str] = tuple(METRICS),
) -> dict[str, Floats]:
    """What ``bootstrap`` must answer as ``samples``: copy the drawn rows, compute each metric."""
    by_class = np.concatenate([np.flatnonzero(truth), np.flatnonzero(~truth)])
    samples = {name: np.full(resamples, np.nan) for name in metrics}
    for number, size in enumerate(_positives(truth, resamples=resamples, generator=generator)):
        rows = by_class[_draw(truth, size, generator)]
        for name in metrics:
            value = compute(
                name, truth=truth[rows], probability=probability[rows], threshold=threshold
            )
            samples[name][number] = np.nan if value is None else value
    return samples


def paired_difference(
    metric: str,
    *,
    truth: Bools,
    challenger: Floats,
    champion: Floats,
    threshold: float,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Measured | None:
    """How much worse the challenger is than the champion on the same rows.

    Both are computed on the same resamples, so what the rows have in common cancels and the
    interval is narrower than that of two separate samples.

    Args:
        metric: a metric that has a better direction.
        truth: the labels, ``bool [rows]``.
        challenger: probabilities of the model that is judged, ``[rows]``.
        champion: probabilities of the model that serves, ``[rows]``.
        threshold: rows at or above it are answered with the positive class, by both.
        generator: where the draws come from.
        resamples: how many times the rows are drawn.

    Returns:
        The difference in the metric's unit, **above 0 when the challenger is worse**; None where
        the metric is undefined on these rows.

    Raises:
        BadProject: there is no such metric, or neither direction of it is better.
        BadData: labels and probabilities do not fit.
    """
    known = _directed(metric)
    _check_resamples(resamples)
    models = (challenger, champion)
    new, old = (
        compute(metric, truth=truth, probability=model, threshold=threshold) for model in models
    )
    if new is None or old is None:
        return None
    sign = -1.0 if known.higher_is_better else 1.0
    value = sign * (new - old)
    chunks = _resamples(
        truth, models, threshold=threshold, resamples=resamples, generator=generator
    )
    samples = sign * np.concatenate([known.function(a) - known.function(b) for a, b in chunks])
    interval = percentile(samples, value=value, bounds=(-np.inf, np.inf), biased=known.biased)
    if interval is None:
        return None
    method = f"paired {method_text(resamples, biased=known.biased)}"
    return Measured(value=value, low=interval[0], high=interval[1], rows=truth.size, method=method)


def undirected(metric: str) -> BadProject:
    """The refusal to compare two models by a metric that has no better direction."""
    directed = [name for name, known in METRICS.items() if known.higher_is_better is not None]
    return BadProject(
        where=f"gate {metric}, against='champion'",
        found=f"metric '{metric}', of which neither more nor less is better",
        expected="a metric with a better direction",
        remedy=f"Use one of: {', '.join(directed)}.",
    )


def method_text(resamples: int, *, biased: bool) -> str:
    """How an interval came about, in the words of a report.

    Example:
        >>> method_text(1000, biased=True)
        'bootstrap by class, 1,000 resamples, shifted by their bias'
    """
    shifted = ", shifted by their bias" if biased else ""
    return f"bootstrap by class, {resamples:,} resamples{shifted}"


def _directed(name: str) -> Metric:
    metric = find(name, where="metric")
    if metric.higher_is_better is None:
        raise undirected(name)
    return metric


def _measured(name: str, sample: Resampled) -> Measured | None:
    metric, value = METRICS[name], sample.values[name]
    if metric.share_of is not None:
        trials = float(metric.share_of(sample.tally))
        interval: tuple[float, float] | None = exact(hits=round(value * trials), trials=trials)
        method = "exact binomial (Clopper-Pearson)"
    else:
        interval = percentile(
            sample.samples[name], value=value, bounds=metric.bounds, biased=metric.biased
        )
        method = method_text(sample.resamples, biased=metric.biased)
    if interval is None:
        return None
    low, high = interval
    return Measured(value=value, low=low, high=high, rows=sample.rows, method=method)


def _check_resamples(resamples: int) -> None:
    if resamples < LEAST_RESAMPLES:
        raise BadUsage(
            where="resamples",
            found=str(resamples),
            expected=f"at least {LEAST_RESAMPLES}, for the ends of a 95 % interval",
            remedy="Leave it out: 1,000 take seconds.",
        )


def _values(tally: Tally, metrics: Sequence[str]) -> dict[str, float]:
    values = {name: float(find(name, where="metric").function(tally)) for name in metrics}
    return {name: value for name, value in values.items() if not np.isnan(value)}


def _resamples(
    truth: Bools,
    models: Sequence[Floats],
    *,
    threshold: float,
    resamples: int,
    generator: np.random.Generator,
) -> Iterator[tuple[Tally, ...]]:
    """Tallies of the same resamples for each model, several resamples at a time."""
    if truth.size == 0:
        return
    tables = [_table(truth, model, threshold=threshold) for model in models]
    sizes = _positives(truth, resamples=resamples, generator=generator)
    step = max(1, _CHUNK_COUNTS // truth.size)
    for start in range(0, resamples, step):
        chunk = sizes[start : start + step]
        counts = [
            np.empty((len(chunk), 2 * table.scores.values.size), np.int64) for table in tables
        ]
        for number, size in enumerate(chunk):
            drawn = _draw(truth, size, generator)
            for table, into in zip(tables, counts, strict=True):
                into[number] = np.bincount(table.places[drawn], minlength=into.shape[1])
        yield tuple(
            Tally(table.scores, *np.split(into, 2, axis=1))
            for table, into in zip(tables, counts, strict=True)
        )


@dataclass(frozen=True, slots=True)
class _Table:
    """Where each row counts, positive rows first: at its probability, in its class's half."""

    scores: Scores
    places: Indices


def _table(truth: Bools, probability: Floats, *, threshold: float) -> _Table:
    scores, cells = sort(probability, threshold=threshold)
    places = np.concatenate([cells[truth], cells[~truth] + scores.values.size])
    return _Table(scores=scores, places=places)


def _positives(truth: Bools, *, resamples: int, generator: np.random.Generator) -> list[int]:
    """How many positive rows each resample draws; a class that is present never vanishes."""
    rows, positives = truth.size, int(truth.sum())
    drawn = generator.binomial(rows, positives / rows, size=resamples)
    if 0 < positives < rows:
        drawn = np.clip(drawn, 1, rows - 1)
    return [int(size) for size in drawn]


def _draw(truth: Bools, size: int, generator: np.random.Generator) -> Indices:
    """``size`` positive rows and then negative ones, numbered with the positive rows first.

    A random float below 1 times a count stays below the count after rounding; adding to it before
    it is cut to an integer would not.
    """
    positives = int(np.count_nonzero(truth))
    drawn = generator.random(truth.size)
    drawn[:size] *= positives
    drawn[size:] *= truth.size - positives
    rows = drawn.astype(np.intp)
    rows[size:] += positives
    return rows
