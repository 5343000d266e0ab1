"""Metrics with intervals by resampling rows (Efron 1979).

A resample draws as many rows as there are, with replacement, class by class: first how many of each
class, then which. That is the ordinary bootstrap, kept from losing a class altogether. Holding the
classes' numbers fixed instead would pretend that their rates are known, and make the intervals of
log loss, accuracy and selection rate too narrow.

The fast path sorts once and counts draws per cell; ``bootstrap_plainly`` copies the drawn rows and
defines what the fast path must answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from torchyard.core.errors import BadData, BadProject, BadUsage
from torchyard.evaluate.intervals import as_share, by_resamples
from torchyard.evaluate.kinds import Kind, compute, find, kind_of
from torchyard.evaluate.metrics import Metric
from torchyard.evaluate.sample import Floats, Indices, Sample, strata
from torchyard.records.measures import Measured
from torchyard.records.schema import Task

RESAMPLES = 1000
LEAST_RESAMPLES = 40
# Counts that are worked on at once: few enough to stay in a core's cache.
_CHUNK_COUNTS = 1 << 16

Vector = Callable[[Any], Floats]  # from a tally to several numbers, [..., numbers]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """The metrics of a sample and of its resamples; undefined metrics are left out.

    Attributes:
        kind: of the task.
        tally: the sample, as its kind counts it.
        rows: of the sample.
        values: metric to its value.
        samples: metric to its value in each resample, ``[resamples]``.
        vectors: vector to its values in the sample, ``[numbers]``.
        vector_samples: vector to its values in each resample, ``[resamples, numbers]``.
    """

    kind: Kind[Any]
    tally: Any
    rows: int
    values: dict[str, float]
    samples: dict[str, Floats]
    vectors: dict[str, Floats]
    vector_samples: dict[str, Floats]


def measure(
    sample: Sample,
    *,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    metrics: Sequence[str] | None = None,
) -> dict[str, Measured]:
    """Metrics of a sample with 95 % intervals.

    Args:
        sample: rows, truth and probabilities.
        generator: where the draws come from.
        resamples: how many times the rows are drawn.
        metrics: which; all of the task's kind when left out.

    Returns:
        By name; a metric that is undefined on these rows is absent.

    Raises:
        BadProject: there is no such metric.
        BadUsage: fewer than 40 resamples are asked for.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> truth = np.arange(400) % 2 == 0
        >>> yes = np.where(truth, 0.6, 0.4)
        >>> found = measure(
        ...     Sample(task=late, truth=truth, outputs=np.stack([1 - yes, yes], axis=1)),
        ...     generator=np.random.default_rng(0), resamples=100)
        >>> found["accuracy"].value, found["auroc"].method
        (1.0, 'bootstrap by class, 100 resamples')
    """
    return measured(bootstrap(sample, generator=generator, resamples=resamples, metrics=metrics))


def measured(sample: Resampled) -> dict[str, Measured]:
    """The metrics of a resampled sample as records: shares exactly, the others by resamples."""
    found = {name: _measured(name, sample) for name in sample.values}
    return {name: one for name, one in found.items() if one is not None}


def bootstrap(
    sample: Sample,
    *,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    metrics: Sequence[str] | None = None,
    vectors: dict[str, Vector] | None = None,
) -> Resampled:
    """Metrics of a sample and of its resamples. Arguments and refusals as of ``measure``.

    ``vectors`` are several numbers each, taken of the same resamples.
    """
    _check_resamples(resamples)
    kind, vectors = kind_of(sample.task), vectors or {}
    tally = kind.sheet(sample).whole()
    values = _values(tally, sample.task, tuple(kind.metrics) if metrics is None else metrics)
    samples = {name: np.empty(resamples) for name in values}
    vector_values = {name: vector(tally) for name, vector in vectors.items()}
    drawn = {name: np.empty((resamples, one.size)) for name, one in vector_values.items()}
    start = 0
    for (chunk,) in _resamples((sample,), resamples=resamples, generator=generator):
        end = start + chunk.rows.size
        for name in values:
            samples[name][start:end] = kind.metrics[name].function(chunk)
        for name, vector in vectors.items():
            drawn[name][start:end] = vector(chunk)
        start = end
    return Resampled(
        kind=kind,
        tally=tally,
        rows=sample.rows,
        values=values,
        samples=samples,
        vectors=vector_values,
        vector_samples=drawn,
    )


def bootstrap_plainly(
    sample: Sample, *, generator: np.random.Generator, resamples: int
) -> dict[str, Floats]:
    """What ``bootstrap`` must answer as ``samples``: copy the drawn rows, compute each metric."""
    order, counts = strata(sample.task, sample.truth)
    samples = {name: np.full(resamples, np.nan) for name in kind_of(sample.task).metrics}
    for number, sizes in enumerate(_sizes(counts, resamples=resamples, generator=generator)):
        drawn = sample.of(order[_draw(counts, sizes, generator)])
        for name, into in samples.items():
            value = compute(name, drawn)
            into[number] = np.nan if value is None else value
    return samples


def paired_difference(
    metric: str,
    *,
    challenger: Sample,
    champion: Sample,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Measured | None:
    """How much worse the challenger is than the champion on the same rows.

    Both are computed on the same resamples, so what the rows have in common cancels and the
    interval is narrower than that of two separate samples.

    Args:
        metric: a metric that has a better direction.
        challenger: the answers of the model that is judged.
        champion: the answers of the model that serves, to the same rows.
        generator: where the draws come from.
        resamples: how many times the rows are drawn.

    Returns:
        The difference in the metric's unit, **above 0 when the challenger is worse**; None where
        the metric is undefined on these rows.

    Raises:
        BadProject: there is no such metric, or neither direction of it is better.
        BadData: the two do not answer the same rows of one task.
    """
    known = _directed(metric, challenger.task)
    _check_resamples(resamples)
    _check_same(challenger, champion)
    new, old = compute(metric, challenger), compute(metric, champion)
    if new is None or old is None:
        return None
    sign = -1.0 if known.higher_is_better else 1.0
    value = sign * (new - old)
    chunks = _resamples((challenger, champion), resamples=resamples, generator=generator)
    samples = sign * np.concatenate([known.function(a) - known.function(b) for a, b in chunks])
    found = by_resamples(
        value, samples, rows=challenger.rows, bounds=(-np.inf, np.inf), biased=known.biased
    )
    return None if found is None else replace(found, method=f"paired {found.method}")


def undirected(metric: str, task: Task) -> BadProject:
    """The refusal to compare two models by a metric that has no better direction."""
    known = kind_of(task).metrics
    directed = [name for name, one in known.items() if one.higher_is_better is not None]
    return BadProject(
        where=f"gate {metric}, against='champion'",
        found=f"metric '{metric}', of which neither more nor less is better",
        expected="a metric with a better direction",
        remedy=f"Use one of: {', '.join(directed)}.",
    )


def _directed(name: str, task: Task) -> Metric[Any]:
    metric = find(name, task=task, where="metric")
    if metric.higher_is_better is None:
        raise undirected(name, task)
    return metric


def _measured(name: str, sample: Resampled) -> Measured | None:
    metric, value = sample.kind.metrics[name], sample.values[name]
    if metric.share_of is not None:
        return as_share(value, trials=float(metric.share_of(sample.tally)), rows=sample.rows)
    samples = sample.samples[name]
    return by_resamples(
        value, samples, rows=sample.rows, bounds=metric.bounds, biased=metric.biased
    )


def _check_resamples(resamples: int) -> None:
    if resamples < LEAST_RESAMPLES:
        raise BadUsage(
            where="resamples",
            found=str(resamples),
            expected=f"at least {LEAST_RESAMPLES}, for the ends of a 95 % interval",
            remedy="Leave it out: 1,000 take seconds.",
        )


def _check_same(challenger: Sample, champion: Sample) -> None:
    classes = challenger.task.classes, champion.task.classes
    if classes[0] != classes[1] or not np.array_equal(challenger.truth, champion.truth):
        raise BadData(
            where="challenger and champion",
            found=f"{challenger.rows:,} rows of {len(classes[0])} classes and "
            f"{champion.rows:,} rows of {len(classes[1])}, or other labels",
            expected="answers of both to the same rows, in the same classes",
            remedy="Let both models answer the same labelled rows.",
        )


def _values(tally: Any, task: Task, metrics: Sequence[str]) -> dict[str, float]:
    values = {
        name: float(find(name, task=task, where="metric").function(tally)) for name in metrics
    }
    return {name: value for name, value in values.items() if not np.isnan(value)}


def _resamples(
    samples: Sequence[Sample], *, resamples: int, generator: np.random.Generator
) -> Iterator[tuple[Any, ...]]:
    """Tallies of the same resamples for each of the models, several resamples at a time."""
    rows, truth = samples[0].rows, samples[0].truth
    if rows == 0:
        return
    order, counts = strata(samples[0].task, truth)
    sheets = [kind_of(sample.task).sheet(sample) for sample in samples]
    places = [sheet.places[order] for sheet in sheets]
    sizes = _sizes(counts, resamples=resamples, generator=generator)
    step = max(1, _CHUNK_COUNTS // rows)
    for start in range(0, resamples, step):
        chunk = sizes[start : start + step]
        weights = [np.empty((len(chunk), sheet.cells), np.int64) for sheet in sheets]
        for number, size in enumerate(chunk):
            drawn = _draw(counts, size, generator)
            for place, into in zip(places, weights, strict=True):
                into[number] = np.bincount(place[drawn], minlength=into.shape[1])
        yield tuple(sheet.tally(one) for sheet, one in zip(sheets, weights, strict=True))


def _sizes(counts: tuple[int, ...], *, resamples: int, generator: np.random.Generator) -> Counts:
    """How many rows of each class each resample draws, ``[resamples, classes]``, last class first.

    A draw of many classes, one after the other, each from what the earlier ones left; a class that
    is present never vanishes.
    """
    sizes = np.zeros((resamples, len(counts)), np.int64)
    left = np.full(resamples, sum(counts))
    rows, classes = sum(counts), sum(count > 0 for count in counts)
    for place, count in enumerate(reversed(counts)):
        if count == 0:
            continue
        classes -= 1
        size = left if classes == 0 else generator.binomial(left, count / rows, size=resamples)
        sizes[:, place] = size if classes == 0 else np.clip(size, 1, left - classes)
        left, rows = left - sizes[:, place], rows - count
    return sizes


def _draw(counts: tuple[int, ...], sizes: Counts, generator: np.random.Generator) -> Indices:
    """As many rows of each class as ``sizes`` says, numbered in the order of ``by_class``.

    A random float below 1 times a count stays below the count after rounding; adding to it before
    it is cut to an integer would not.
    """
    of_class = np.array(counts[::-1], dtype=np.float64)
    first = np.cumsum(of_class) - of_class
    drawn = generator.random(int(sizes.sum()))
    rows: Indices = (drawn * np.repeat(of_class, sizes)).astype(np.intp)
    return rows + np.repeat(first, sizes).astype(np.intp)
