"""How much worse a model is than others on the same rows, with intervals of the same resamples.

What the rows have in common cancels in each resample, so the interval is narrower than that of two
separate samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from torchyard.core.errors import BadData
from torchyard.evaluate.counting.sample import Floats, Sample
from torchyard.evaluate.metrics.kinds import find, kind_of
from torchyard.evaluate.resampling.bootstrap import RESAMPLES, Resampled, bootstrap_each, undirected
from torchyard.evaluate.resampling.intervals import by_resamples
from torchyard.records.measures import Measured


def differences_against(
    sample: Sample,
    rivals: Mapping[str, Floats],
    *,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    metrics: Sequence[str] | None = None,
) -> dict[str, dict[str, Measured]]:
    """How much worse a model is than each of several others on the same rows.

    Args:
        sample: the rows and the answers of the model that is judged.
        rivals: model to its answers to the same rows, ``[rows, outputs]``.
        generator: where the draws come from, one set for all models.
        resamples: how many times the rows are drawn.
        metrics: which; all that have a better direction when left out.

    Returns:
        Per rival and metric the difference in the metric's unit, **above 0 where the sample's model
        is worse**. A metric that is undefined for either is absent.

    Raises:
        BadProject: there is no such metric, or neither direction of it is better.
        BadData: answers do not fit the rows or the task.

    Example:
        >>> from torchyard.records.schema import Task
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> truth = np.arange(400) % 2 == 0
        >>> yes = np.where(truth, 0.6, 0.4)
        >>> found = differences_against(
        ...     Sample(task=late, truth=truth, outputs=np.stack([1 - yes, yes], axis=1)),
        ...     {"coin": np.full((400, 2), 0.5)},
        ...     generator=np.random.default_rng(0), resamples=100, metrics=["auroc"])
        >>> found["coin"]["auroc"].value
        -0.5
    """
    names = _directed(sample, metrics)
    if not rivals:
        return {}
    others = [Sample(task=sample.task, truth=sample.truth, outputs=one) for one in rivals.values()]
    own, *found = bootstrap_each(
        (sample, *others), generator=generator, resamples=resamples, metrics=names
    )
    return {name: differences(own, one) for name, one in zip(rivals, found, strict=True)}


def differences(own: Resampled, rival: Resampled) -> dict[str, Measured]:
    """How much worse one model is than another in the same resamples, by directed metric."""
    common = [name for name in own.values if name in rival.values]
    found = {name: _difference(name, own, rival) for name in common}
    return {name: one for name, one in found.items() if one is not None}


def paired_difference(
    metric: str,
    *,
    challenger: Sample,
    champion: Sample,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Measured | None:
    """How much worse the challenger is than the champion on the same rows.

    Args:
        metric: a metric that has a better direction.
        challenger: the answers of the model that is judged.
        champion: the answers of the model that serves, to the same rows; its threshold may differ.
        generator: where the draws come from.
        resamples: how many times the rows are drawn.

    Returns:
        The difference in the metric's unit, **above 0 when the challenger is worse**; None where
        the metric is undefined on these rows.

    Raises:
        BadProject: there is no such metric, or neither direction of it is better.
        BadData: the two do not answer the same rows of one task.
    """
    names = _directed(challenger, (metric,))
    _check_same(challenger, champion)
    own, rival = bootstrap_each(
        (challenger, champion), generator=generator, resamples=resamples, metrics=names
    )
    return differences(own, rival).get(metric)


def _directed(sample: Sample, metrics: Sequence[str] | None) -> tuple[str, ...]:
    """The metrics asked for, or all, that have a better direction."""
    known = kind_of(sample.task).metrics
    for name in metrics or ():
        if find(name, task=sample.task, where="metric").higher_is_better is None:
            raise undirected(name, sample.task)
    if metrics is not None:
        return tuple(metrics)
    return tuple(name for name, one in known.items() if one.higher_is_better is not None)


def _difference(name: str, own: Resampled, rival: Resampled) -> Measured | None:
    metric = own.kind.metrics[name]
    if metric.higher_is_better is None:
        return None
    sign = -1.0 if metric.higher_is_better else 1.0
    found = by_resamples(
        sign * (own.values[name] - rival.values[name]),
        sign * (own.samples[name] - rival.samples[name]),
        rows=own.rows,
        bounds=(-np.inf, np.inf),
        biased=metric.biased,
        drawn=own.method,
    )
    return None if found is None else replace(found, method=f"paired {found.method}")


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
