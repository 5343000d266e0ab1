"""How differently a model treats the groups of a protected field.

Each measure is the largest difference, between any two groups, of rates that should not depend on
the group; the names are those of fairlearn, which rates they are stands in ``kinds.py``. Which of
them matters is a decision about the use, not about the model: no useful model meets all of them
unless the groups' positive rates are equal (Chouldechova 2017; Kleinberg et al. 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from torchyard.evaluate.bootstrap import RESAMPLES, Resampled, Vector
from torchyard.evaluate.groups import Group, Texts, part
from torchyard.evaluate.intervals import by_resamples
from torchyard.evaluate.kinds import kind_of
from torchyard.evaluate.sample import Sample
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
        name: _largest(name, rates.widest, samples, left_out)
        for name, rates in samples[0].kind.rates.items()
    }
    return {name: one for name, one in found.items() if one is not None}


def _largest(
    name: str, widest: float, samples: Sequence[Resampled], left_out: Sequence[str]
) -> Measured | None:
    rates = np.stack([sample.vectors[name] for sample in samples])
    if not np.isfinite(rates).all():
        return None
    value = float(np.ptp(rates, axis=0).max())
    drawn = np.ptp(np.stack([sample.vector_samples[name] for sample in samples]), axis=0)
    # The largest of several noisy differences is never negative, so noise alone moves it up.
    rows = sum(sample.rows for sample in samples)
    found = by_resamples(value, drawn.max(axis=-1), rows=rows, bounds=(0.0, widest), biased=True)
    if found is None:
        return None
    method = f"{found.method}, {len(samples)} groups"
    if left_out:
        method += f"; left out: {', '.join(left_out)}"
    return replace(found, method=method)
