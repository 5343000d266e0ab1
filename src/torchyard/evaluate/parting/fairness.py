"""How differently a model treats the groups of a protected field.

Each measure is the largest difference, between any two groups, of rates that should not depend on
the group, or the least of them over the largest; the names are those of fairlearn, which rates they
are stands in ``kinds.py``. Which of them matters is a decision about the use, not about the model:
no useful model meets all of them unless the groups' positive rates are equal (Chouldechova 2017;
Kleinberg et al. 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from torchyard.core.wording import listed
from torchyard.evaluate.counting.sample import Floats, Sample
from torchyard.evaluate.metrics.kinds import Rates, kind_of
from torchyard.evaluate.parting.groups import Group, Texts, part
from torchyard.evaluate.resampling.bootstrap import RESAMPLES, Resampled, Vector
from torchyard.evaluate.resampling.intervals import CONFIDENCE, exact
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
    values = np.stack([sample.vectors[name] for sample in samples])
    drawn = np.stack([sample.vector_samples[name] for sample in samples])
    compare = _ratio if rates.is_ratio else _difference
    with np.errstate(invalid="ignore"):
        found = compare(values, drawn, rows=[sample.rows for sample in samples])
    if found is None:
        return None
    value, low, high = found
    how = " and ".join(sorted({sample.method for sample in samples}))
    method = f"simultaneous {how}, {drawn.shape[1]:,} resamples, {len(samples)} groups"
    if left_out:
        method += f"; left out: {listed(left_out)}"
    return Measured(
        value=value,
        low=max(0.0, low),
        high=min(rates.widest, high),
        rows=sum(sample.rows for sample in samples),
        method=method,
    )


def _difference(
    values: Floats, drawn: Floats, *, rows: Sequence[int]
) -> tuple[float, float, float] | None:
    """The largest difference and its interval; None where it is undefined in a group.

    Args:
        values: the groups' rates, ``[groups, rates]``.
        drawn: those of their resamples, ``[groups, resamples, rates]``.
        rows: of each group.
    """
    value = float(np.ptp(values, axis=0).max())
    reach = _reach(drawn - values[:, None])
    if not np.isfinite(value) or reach is None:
        return None
    return value, value - reach, value + reach


def _ratio(
    values: Floats, drawn: Floats, *, rows: Sequence[int]
) -> tuple[float, float, float] | None:
    """The least over the largest, and its interval; arguments as of ``_difference``.

    The logarithm of a ratio is a difference. Half a row more keeps it finite (Walter 1975).
    """
    largest = values.max(axis=0)
    if not (np.isfinite(values).all() and largest.all()):
        return None
    value = float((values.min(axis=0) / largest).min())
    sizes = np.array(rows, dtype=np.float64)[:, None]
    if value == 0.0:
        none = sizes[(values == 0).any(axis=-1)].max()
        return 0.0, 0.0, exact(hits=0, trials=none)[1] / float(largest.min())
    logs = np.log((values * sizes + 0.5) / (sizes + 0.5))
    sizes = sizes[:, None]
    reach = _reach(np.log((drawn * sizes + 0.5) / (sizes + 0.5)) - logs[:, None])
    if reach is None:
        return None
    return value, value * float(np.exp(-reach)), value * float(np.exp(reach))


def _reach(errors: Floats) -> float | None:
    """How far noise moves the largest difference between groups, 95 times of 100.

    A spread cannot move by more than the spread of the groups' errors, of which the resamples tell
    the distribution. So the interval holds the truth whichever groups are furthest apart, and where
    none differ it holds 0: many groups look apart by chance, and are no reason to claim more.

    Args:
        errors: of the groups' rates in each resample, ``[groups, resamples, rates]``.

    Returns:
        None when fewer than half of the resamples define the rates.
    """
    spreads = np.ptp(errors, axis=0).max(axis=-1)
    defined = spreads[np.isfinite(spreads)]
    if 2 * defined.size < spreads.size:
        return None
    return float(np.quantile(defined, CONFIDENCE))
