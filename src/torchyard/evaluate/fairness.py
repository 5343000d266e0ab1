"""How differently a model treats the groups of a protected field.

Each measure is the largest difference, between any two groups, of rates that should not depend on
the group, or the least of them over the largest; the names are those of fairlearn, which rates they
are stands in ``kinds.py``. Which of them matters is a decision about the use, not about the model:
no useful model meets all of them unless the groups' positive rates are equal (Chouldechova 2017;
Kleinberg et al. 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from torchyard.core.wording import listed
from torchyard.evaluate.bootstrap import RESAMPLES, Resampled, Vector
from torchyard.evaluate.groups import Group, Texts, part
from torchyard.evaluate.intervals import by_resamples
from torchyard.evaluate.kinds import Rates, kind_of
from torchyard.evaluate.sample import Floats, Sample
from torchyard.records.measures import Measured
from torchyard.records.schema import Task


def fairness(
    sample: Sample, *, labels: Texts, generator: np.random.Generator, resamples: int = RESAMPLES
) -> dict[str, Measured]:
    """Differences between the groups of one protected field, with 95 % intervals.

    Groups under 100 rows, in a binary task also under 10 of either class, are left out, and
    ``method`` names them.

    Args:
        sample: all rows.
        labels: the protected field's value in each row, ``str [rows]``.
        generator: where the draws come from.
        resamples: how many times each group's rows are drawn.

    Returns:
        By name; empty with fewer than two groups, and without a measure that is undefined in one
        of them (no selected rows have no precision).

    Raises:
        BadData: there is not one value per row.
    """
    groups = part(
        sample,
        labels=labels,
        generator=lambda _: generator,
        resamples=resamples,
        metrics=(),
        vectors=rates_of(sample.task),
    )
    return differences(groups)


def rates_of(task: Task) -> dict[str, Vector]:
    """What to take of the groups' resamples so that ``differences`` can be told."""
    return {name: rates.function for name, rates in kind_of(task).rates.items()}


def differences(groups: Sequence[Group]) -> dict[str, Measured]:
    """Differences between groups that were resampled already, each independently."""
    samples = [group.sample for group in groups if group.sample is not None]
    if len(samples) < 2:
        return {}
    left_out = [f"{group.value} ({group.reason})" for group in groups if group.sample is None]
    found = {
        name: _compared(name, rates, samples, left_out)
        for name, rates in samples[0].kind.rates.items()
    }
    return {name: one for name, one in found.items() if one is not None}


def _compared(
    name: str, rates: Rates[Any], samples: Sequence[Resampled], left_out: Sequence[str]
) -> Measured | None:
    compare = _ratio if rates.is_ratio else _spread
    whole = compare(np.stack([sample.vectors[name] for sample in samples]))
    if not np.isfinite(whole):
        return None
    drawn = compare(np.stack([sample.vector_samples[name] for sample in samples]))
    # The largest of several noisy differences is never negative, so noise alone moves it up; the
    # ratio of the least to the largest likewise down.
    found = by_resamples(
        float(whole),
        drawn,
        rows=sum(sample.rows for sample in samples),
        bounds=(0.0, rates.widest),
        biased=True,
    )
    if found is None:
        return None
    method = f"{found.method}, {len(samples)} groups"
    if left_out:
        method += f"; left out: {listed(left_out)}"
    return replace(found, method=method)


def _spread(rates: Floats) -> Floats:
    """The largest difference of any rate: ``[groups, ..., rates]`` to ``[...]``."""
    return np.asarray(np.ptp(rates, axis=0).max(axis=-1))


def _ratio(rates: Floats) -> Floats:
    """The least over the largest of any rate, likewise; not-a-number where all of them are 0."""
    largest = rates.max(axis=0)
    ratios = np.divide(
        rates.min(axis=0), largest, out=np.full_like(largest, np.nan), where=largest > 0
    )
    return np.asarray(ratios.min(axis=-1))
