"""The words of a project file for how a threshold is chosen from what errors cost."""

from __future__ import annotations

from torchyard.core.errors import BadProject
from torchyard.project.needs import need_numbers, need_types
from torchyard.records.schema import OperatingRule


def cheapest(*, false_positive: float, false_negative: float) -> OperatingRule:
    """Choose the threshold that costs least on the validation rows.

    Args:
        false_positive: what it costs to answer with the second class wrongly, in any unit.
        false_negative: what it costs to miss it, in the same unit.

    Raises:
        BadProject: a cost is not above 0.

    Example:
        >>> cheapest(false_positive=1, false_negative=5).false_negative
        5
    """
    where = "ty.cheapest(...)"
    need_numbers(where, false_positive=false_positive, false_negative=false_negative)
    if not (false_positive > 0 and false_negative > 0):
        raise BadProject(
            where=where,
            found=f"false_positive={false_positive!r}, false_negative={false_negative!r}",
            expected="two costs above 0, of one error of either kind",
            remedy="Only their ratio matters for the threshold: for example 1 and 5.",
        )
    return OperatingRule(false_positive=false_positive, false_negative=false_negative)


def best(metric: str, *, subject_to: str, at_least: float) -> OperatingRule:
    """Choose the threshold of the best ``metric`` at which another one is high enough.

    Args:
        metric: what is wanted: a metric of decisions of which more is better, ``precision``.
        subject_to: what must hold: another one, ``recall``.
        at_least: the smallest value of it on the validation rows, above 0 and at most 1.

    Raises:
        BadProject: both are the same metric, or the limit is out of its range.

    Example:
        >>> best("precision", subject_to="recall", at_least=0.8).subject_to
        'recall'
    """
    where = f"ty.best({metric!r}, ...)"
    need_numbers(where, at_least=at_least)
    if metric == subject_to:
        raise BadProject(
            where=where,
            found=f"subject_to={subject_to!r}, the metric itself",
            expected="another metric",
            remedy="For example ty.best('precision', subject_to='recall', at_least=0.8).",
        )
    if not 0 < at_least <= 1:
        raise BadProject(
            where=where,
            found=f"at_least={at_least!r}",
            expected="a share above 0 and at most 1",
            remedy="For example at_least=0.8.",
        )
    rule = OperatingRule(metric=metric, subject_to=subject_to, at_least=at_least)
    return need_types(rule, where=where)
