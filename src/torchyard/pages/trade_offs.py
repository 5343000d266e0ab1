"""What cards and reports say of fairness criteria that cannot hold together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist

from torchyard.pages.numbers import shown_number
from torchyard.records.evidence import GroupResult, Report
from torchyard.records.measures import Measured

_TAIL = 0.025
_CRITERIA = {
    "demographic_parity_difference": "demographic parity",
    "equalized_odds_difference": "equalized odds",
    "predictive_parity_difference": "predictive parity",
    "calibration_difference": "calibration",
}


def trade_offs(report: Report) -> tuple[str, ...]:
    """Per protected field, which criteria can and cannot hold together, in a few sentences.

    Where groups' base rates differ, answers that mean the same in each err at different rates,
    unless they never err (Kleinberg et al. 2016, theorem 1.1; Chouldechova 2017, equation 2.6).
    Whether they differ is told by Newcombe's interval (1998, method 10), widened for all pairs of
    groups (Bonferroni).

    Args:
        report: of a binary task; others have none of this.

    Returns:
        A paragraph per field with two groups or more that are large enough to be measured.
    """
    if not report.task.is_binary:
        return ()
    alone = [field for field in report.fairness if ", " not in field]
    parted = ((field, _measured(field, report)) for field in alone)
    return tuple(
        " ".join(_sentences(field, groups, report)) for field, groups in parted if len(groups) > 1
    )


def _measured(field: str, report: Report) -> list[GroupResult]:
    groups = (one for one in report.groups if one.field == field and one.metrics)
    return sorted(groups, key=_base_rate)


def _sentences(field: str, groups: Sequence[GroupResult], report: Report) -> Iterator[str]:
    least, most = groups[0], groups[-1]
    yes = report.task.classes[1]
    rates = (
        f"Of the rows where {field} is {least.value}, {_base_rate(least):.1%} are '{yes}', where "
        f"it is {most.value}, {_base_rate(most):.1%}"
    )
    low, high = _newcombe(least, most, pairs=math.comb(len(groups), 2))
    if low <= 0.0:
        yield (
            f"{rates}: no further apart than chance explains. So nothing forbids that all criteria "
            "of fairness hold together, and a difference between these groups is the model's."
        )
    else:
        yield f"{rates}: {100 * low:.1f} to {100 * high:.1f} points apart."
        yield (
            "With such different base rates, answers that mean the same in every group (predictive "
            "parity, calibration) must err at different rates (against equalized odds) unless they "
            "never err, and answers that are right select different shares (against demographic "
            "parity): see Kleinberg et al. 2016 and Chouldechova 2017."
        )
        yield from _needed(least, most, report)
    yield from _found(report.fairness[field])


def _needed(least: GroupResult, most: GroupResult, report: Report) -> Iterator[str]:
    """The false positive rates that equal precision and recall would force."""
    known = [report.metrics.get(name) for name in ("precision", "recall")]
    if any(one is None or not 0 < one.value < 1 for one in known):
        return
    precision, recall = (one.value for one in known if one is not None)
    forced = [_odds(_base_rate(one)) / _odds(precision) * recall for one in (least, most)]
    if max(forced) <= 1.0:
        yield (
            f"With this model's precision of {shown_number(precision)} and recall of "
            f"{shown_number(recall)} in both, the false positive rate would have to be "
            f"{forced[0]:.3f} for {least.value} and {forced[1]:.3f} for {most.value}."
        )


def _found(differences: dict[str, Measured]) -> Iterator[str]:
    known = [(_CRITERIA[name], one) for name, one in differences.items() if name in _CRITERIA]
    if len(known) > 1:
        ordered = sorted(known, key=lambda pair: pair[1].value)
        (near, least), (far, most) = ordered[0], ordered[-1]
        yield (
            f"Here {near} is nearest to holding (a difference of {_shown(least)}), {far} is "
            f"furthest from it ({_shown(most)}): gate the one whose breach does harm in this use."
        )


def _shown(measured: Measured) -> str:
    value = f"{measured.value:.3f}"
    if measured.low is None or measured.high is None:
        return value
    return f"{value}, {measured.low:.3f} to {measured.high:.3f}"


def _base_rate(group: GroupResult) -> float:
    return group.classes[1] / group.rows


def _odds(rate: float) -> float:
    return rate / (1.0 - rate)


def _newcombe(least: GroupResult, most: GroupResult, *, pairs: int) -> tuple[float, float]:
    """The interval of the difference of two base rates, the larger less the smaller."""
    z = NormalDist().inv_cdf(1.0 - _TAIL / pairs)
    small, large = _base_rate(least), _base_rate(most)
    (small_low, small_high), (large_low, large_high) = (_wilson(one, z) for one in (least, most))
    gap = large - small
    below = math.hypot(large - large_low, small_high - small)
    above = math.hypot(large_high - large, small - small_low)
    return gap - below, gap + above


def _wilson(group: GroupResult, z: float) -> tuple[float, float]:
    """The score interval of a share (Wilson 1927)."""
    share, rows = _base_rate(group), group.rows
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + (z / (2 * rows)) ** 2)
    return middle - half, middle + half
