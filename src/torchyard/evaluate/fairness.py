"""How differently a model treats the groups of a protected field.

Each measure is the largest difference, between any two groups, of a rate that should not depend on
the group; the names are those of fairlearn. Which of them matters is a decision about the use, not
about the model: no useful model meets all of them unless the groups' positive rates are equal
(Chouldechova 2017; Kleinberg et al. 2016).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from torchyard.evaluate.bootstrap import RESAMPLES, Resampled, method_text
from torchyard.evaluate.groups import Group, Texts, part
from torchyard.evaluate.intervals import percentile
from torchyard.evaluate.metrics import METRICS
from torchyard.evaluate.tally import Bools, Floats
from torchyard.records.evidence import Measured

# A measure is the largest spread of these metrics over the groups.
DIFFERENCES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # Dwork et al. 2012: the same share is selected.
        "demographic_parity_difference": ("selection_rate",),
        # Hardt et al. 2016, definition 2.1: the same error rates.
        "equalized_odds_difference": ("recall", "false_positive_rate"),
        # Hardt et al. 2016, definition 2.2: the same recall.
        "equal_opportunity_difference": ("recall",),
        # Chouldechova 2017: being selected means the same.
        "predictive_parity_difference": ("precision",),
        # Calibration in the large: the mean probability errs alike.
        "calibration_difference": ("calibration_gap",),
    }
)


def fairness(
    *,
    truth: Bools,
    probability: Floats,
    threshold: float,
    labels: Texts,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
) -> dict[str, Measured]:
    """Differences between the groups of one protected field, with 95 % intervals.

    Groups under 100 rows or 10 of either class are left out, and ``method`` names them.

    Args:
        truth: the labels, ``bool [rows]``.
        probability: of the positive class, ``[rows]``, from 0 to 1.
        threshold: rows at or above it are answered with the positive class.
        labels: the protected field's value in each row, ``str [rows]``.
        generator: where the draws come from.
        resamples: how many times each group's rows are drawn.

    Returns:
        By name; empty with fewer than two groups, and without a measure that is undefined in one
        of them (no selected rows have no precision).

    Raises:
        BadData: labels, probabilities and values do not fit.
    """
    groups = part(
        truth=truth,
        probability=probability,
        threshold=threshold,
        labels=labels,
        generator=lambda _: generator,
        resamples=resamples,
        metrics=sorted({name for names in DIFFERENCES.values() for name in names}),
    )
    return differences(groups)


def differences(groups: Sequence[Group]) -> dict[str, Measured]:
    """Differences between groups that were resampled already, each independently."""
    samples = [group.sample for group in groups if group.sample is not None]
    if len(samples) < 2:
        return {}
    left_out = [f"{group.value} ({group.reason})" for group in groups if group.sample is None]
    found = {}
    for name, metrics in DIFFERENCES.items():
        if all(metric in sample.values for metric in metrics for sample in samples):
            found[name] = _largest(metrics, samples, left_out)
    return {name: one for name, one in found.items() if one is not None}


def _largest(
    metrics: Sequence[str], samples: Sequence[Resampled], left_out: Sequence[str]
) -> Measured | None:
    value = max(float(np.ptp([sample.values[name] for sample in samples])) for name in metrics)
    drawn = np.max(
        [np.ptp([sample.samples[name] for sample in samples], axis=0) for name in metrics], axis=0
    )
    widest = max(METRICS[name].bounds[1] - METRICS[name].bounds[0] for name in metrics)
    # The largest of several noisy differences is never negative, so noise alone moves it up.
    interval = percentile(drawn, value=value, bounds=(0.0, widest), biased=True)
    if interval is None:
        return None
    method = f"{method_text(samples[0].resamples, biased=True)}, {len(samples)} groups"
    if left_out:
        method += f"; left out: {', '.join(left_out)}"
    rows = sum(sample.rows for sample in samples)
    return Measured(value=value, low=interval[0], high=interval[1], rows=rows, method=method)
