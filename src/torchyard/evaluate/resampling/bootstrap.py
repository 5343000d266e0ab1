"""Metrics with intervals by resampling rows (Efron 1979).

A resample draws as many rows as there are, with replacement, class by class: first how many of each
class, then which. That is the ordinary bootstrap, kept from losing a class altogether. Holding the
classes' numbers fixed instead would pretend that their rates are known, and make the intervals of
log loss, accuracy and selection rate too narrow.

A small sample is sorted once and draws are counted per cell; ``bootstrap_plainly`` copies the drawn
rows and defines what that must answer. From ``LARGE`` rows on each row counts Poisson(1) times
(``poisson``), and metrics are computed from sums over the rows, to first order where they are none
(``pending``): what remains out of it vanishes with the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from torchyard.core.errors import BadProject, BadUsage
from torchyard.evaluate.counting.sample import Floats, Indices, Sample, Sheet, strata
from torchyard.evaluate.metrics.kinds import Kind, compute, find, kind_of
from torchyard.evaluate.resampling.intervals import as_share, by_resamples
from torchyard.evaluate.resampling.pending import Ledger, pending
from torchyard.evaluate.resampling.poisson import CHUNK_ROWS, one_thread_each, weighted_sums
from torchyard.records.measures import Measured
from torchyard.records.schema import Task

RESAMPLES = 1000
LEAST_RESAMPLES = 40
# Rows from which on resamples are sums. Measured with all metrics of each kind of task, 1,000
# resamples of 4,000 rows, four classes where there are several, on one core of an AMD EPYC: binary
# 0.07 s the exact way and 0.01 s by sums, multiclass 0.19 and 0.02, multilabel 0.73 and 0.03,
# regression 0.05 and 0.02. The ends of 8,000 resamples agree to 1-4 % of the interval's width at
# 1,000, 2,000 and 4,000 rows, which is what the resamples themselves leave open; only those of
# average precision with fewer than a hundred rows of a class are off by more, about a tenth. So:
# exact for as long as that takes no time.
LARGE = 4096
BY_CLASS, OF_ROWS = "bootstrap by class", "bootstrap"
BY_SUMS = "Poisson bootstrap to first order with fixed bins"
# Rows of a class of which all count 0 times once in 10^14 resamples.
_SURE = 32
# Counts that are worked on at once: few enough to stay in a core's cache.
_CHUNK_COUNTS = 1 << 16

Vector = Callable[[Any], Floats]  # from a tally to several numbers, [..., numbers]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """The metrics of a sample and of its resamples; undefined metrics are left out.

    Attributes:
        kind: of the task.
        rows: of the sample.
        values: metric to its value.
        trials: metric that is a share to the rows it is a share of.
        samples: metric to its value in each resample, ``[resamples]``.
        vectors: vector to its values in the sample, ``[numbers]``.
        vector_samples: vector to its values in each resample, ``[resamples, numbers]``.
        method: how the rows were resampled, in words.
    """

    kind: Kind[Any]
    rows: int
    values: dict[str, float]
    trials: dict[str, float]
    samples: dict[str, Floats]
    vectors: dict[str, Floats]
    vector_samples: dict[str, Floats]
    method: str


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
    return bootstrap_each(
        (sample,), generator=generator, resamples=resamples, metrics=metrics, vectors=vectors
    )[0]


def bootstrap_each(
    samples: Sequence[Sample],
    *,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    metrics: Sequence[str] | None = None,
    vectors: dict[str, Vector] | None = None,
) -> tuple[Resampled, ...]:
    """The answers of several models to the same rows, in the same resamples. Else ``bootstrap``.

    Models that answer alike have the same numbers to the last bit, so that their differences are 0.
    """
    _check_resamples(resamples)
    make = _from_sums if samples[0].rows >= LARGE else _from_draws
    with one_thread_each():
        wanted = tuple(_Wanted.of(sample, metrics, vectors or {}) for sample in samples)
        return make(samples, wanted, resamples=resamples, generator=generator)


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


def _measured(name: str, sample: Resampled) -> Measured | None:
    metric, value = sample.kind.metrics[name], sample.values[name]
    if name in sample.trials:
        return as_share(value, trials=sample.trials[name], rows=sample.rows)
    samples = sample.samples[name]
    return by_resamples(
        value,
        samples,
        rows=sample.rows,
        bounds=metric.bounds,
        biased=metric.biased,
        drawn=sample.method,
    )


def _check_resamples(resamples: int) -> None:
    if resamples < LEAST_RESAMPLES:
        raise BadUsage(
            where="resamples",
            found=str(resamples),
            expected=f"at least {LEAST_RESAMPLES}, for the ends of a 95 % interval",
            remedy="Leave it out: 1,000 take seconds.",
        )


_Found = tuple[dict[str, Floats], dict[str, Floats]]


@dataclass(frozen=True)
class _Wanted:
    """What is computed of a sample and of each of its resamples."""

    kind: Kind[Any]
    sheet: Sheet[Any]
    functions: dict[str, Vector]
    vectors: dict[str, Vector]
    values: dict[str, float]
    trials: dict[str, float]
    vector_values: dict[str, Floats]

    @classmethod
    def of(cls, sample: Sample, metrics: Sequence[str] | None, vectors: dict[str, Vector]) -> Self:
        """The metrics that are defined on the sample, and the vectors."""
        kind = kind_of(sample.task)
        names = kind.metrics if metrics is None else metrics
        known = {name: find(name, task=sample.task, where="metric") for name in names}
        sheet = kind.sheet(sample)
        tally = sheet.whole()
        values = {name: float(metric.function(tally)) for name, metric in known.items()}
        defined = {name: value for name, value in values.items() if not np.isnan(value)}
        shares = {name: metric.share_of for name, metric in known.items() if name in defined}
        return cls(
            kind=kind,
            sheet=sheet,
            functions={name: known[name].function for name in defined},
            vectors=vectors,
            values=defined,
            trials={name: float(of(tally)) for name, of in shares.items() if of is not None},
            vector_values={name: vector(tally) for name, vector in vectors.items()},
        )

    def computed(self, tally: Any) -> _Found:
        """Metrics ``[resamples]`` and vectors ``[resamples, numbers]`` of some resamples."""
        return (
            {name: function(tally) for name, function in self.functions.items()},
            {name: vector(tally) for name, vector in self.vectors.items()},
        )

    def resampled(self, found: _Found, *, rows: int, method: str) -> Resampled:
        """Together with what was computed of all resamples."""
        return Resampled(
            kind=self.kind,
            rows=rows,
            values=self.values,
            trials=self.trials,
            samples=found[0],
            vectors=self.vector_values,
            vector_samples=found[1],
            method=method,
        )


def _joined(parts: Sequence[_Found]) -> _Found:
    """Some resamples, and others after them."""
    if not parts:
        return {}, {}
    return tuple(  # type: ignore[return-value]
        {name: np.concatenate([part[place][name] for part in parts]) for name in parts[0][place]}
        for place in range(2)
    )


def _method(sample: Sample) -> str:
    return BY_CLASS if len(strata(sample.task, sample.truth)[1]) > 1 else OF_ROWS


def _from_draws(
    samples: Sequence[Sample],
    wanted: Sequence[_Wanted],
    *,
    resamples: int,
    generator: np.random.Generator,
) -> tuple[Resampled, ...]:
    """As ``bootstrap_each``, by drawn rows of which every metric is computed anew."""
    parts: list[list[_Found]] = [[] for _ in samples]
    sheets = [one.sheet for one in wanted]
    for chunk in _resamples(samples[0], sheets, resamples=resamples, generator=generator):
        for one, tally, found in zip(wanted, chunk, parts, strict=True):
            found.append(one.computed(tally))
    return tuple(
        one.resampled(_joined(found), rows=sample.rows, method=_method(sample))
        for one, sample, found in zip(wanted, samples, parts, strict=True)
    )


def _from_sums(
    samples: Sequence[Sample],
    wanted: Sequence[_Wanted],
    *,
    resamples: int,
    generator: np.random.Generator,
) -> tuple[Resampled, ...]:
    """As ``bootstrap_each``, by sums over rows that each count Poisson(1) times."""
    rows = samples[0].rows
    ledgers = [Ledger(rows=rows) for _ in samples]

    def computed(one: _Wanted, ledger: Ledger) -> _Found:
        return one.computed(one.sheet.tally(pending(ledger, one.sheet.places, one.sheet.cells)))

    for one, ledger in zip(wanted, ledgers, strict=True):
        computed(one, ledger)
    sums = weighted_sums(
        [ledger.columns for ledger in ledgers],
        rows=rows,
        resamples=resamples,
        seed=int(generator.integers(2**63)),
        first=_rare(samples[0]),
    )
    for ledger, found in zip(ledgers, sums, strict=True):
        ledger.answer(found)
    return tuple(
        one.resampled(computed(one, ledger), rows=rows, method=BY_SUMS)
        for one, ledger in zip(wanted, ledgers, strict=True)
    )


def _rare(sample: Sample) -> list[Indices]:
    """The rows of each class that Poisson weights might lose, if they are few enough to look at."""
    order, counts = strata(sample.task, sample.truth)
    groups = np.split(order, np.cumsum(counts[::-1])[:-1])
    rare = sorted((one for one in groups if 0 < one.size < _SURE), key=len)
    while sum(map(len, rare)) > CHUNK_ROWS:
        rare.pop()
    return rare


def _resamples(
    sample: Sample,
    sheets: Sequence[Sheet[Any]],
    *,
    resamples: int,
    generator: np.random.Generator,
) -> Iterator[tuple[Any, ...]]:
    """Tallies of the same resamples on each sheet of its rows, several resamples at a time."""
    if sample.rows == 0:
        return
    order, counts = strata(sample.task, sample.truth)
    places = [sheet.places[order] for sheet in sheets]
    sizes = _sizes(counts, resamples=resamples, generator=generator)
    step = max(1, _CHUNK_COUNTS // sample.rows)
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
