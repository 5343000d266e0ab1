"""The word of a project file for how a model's quality falls with its age."""

from __future__ import annotations

import re
from dataclasses import dataclass

from torchyard.core.errors import BadProject
from torchyard.project.needs import need_between
from torchyard.records.dataset import SplitRule

_EVERY = re.compile(r"(\d{1,4})([wdh])")
_DAYS = {"w": 7.0, "d": 1.0, "h": 1 / 24}
_WHERE = "ty.Staleness(...)"
_MOST_MODELS = 24


@dataclass(frozen=True, kw_only=True)
class AgeingPlan:
    """Train ``models`` models on ever shorter pasts, ``every_days`` apart; measure ``metric``.

    ``metric`` is None for the task's headline.
    """

    every_days: float
    models: int
    metric: str | None


def Staleness(  # noqa: N802 - reads as the other parts of a project do
    *, every: str, models: int = 3, metric: str | None = None
) -> AgeingPlan:
    """How fast a model grows old: trained on the past, measured on each later period.

    The data's last ``models`` periods are each answered by models that were trained on rows from
    before them: with three periods of 30 days the oldest model is measured up to an age of 90 days.
    A release carries the curve, and the age at which each gate on the metric would be missed.

    Args:
        every: the length of a period, and the time between two models: ``30d``, ``2w`` or ``12h``.
        models: how many are trained, 2 to 24; each takes as long as the run itself, or less.
        metric: of the task; its headline when left out.

    Raises:
        BadProject: the length is none, or the number is out of its range.

    Example:
        >>> Staleness(every="2w", models=4)
        AgeingPlan(every_days=14.0, models=4, metric=None)
    """
    found = _EVERY.fullmatch(every) if isinstance(every, str) else None
    if found is None or int(found[1]) == 0:
        raise BadProject(
            where=_WHERE,
            found=f"every={every!r}",
            expected="a length of time in weeks, days or hours: 2w, 30d, 12h",
            remedy="For example every='30d'.",
        )
    need_between(models, 2, _MOST_MODELS, where=_WHERE, name="models")
    if metric is not None and not isinstance(metric, str):
        raise BadProject(
            where=_WHERE,
            found=f"metric={metric!r}",
            expected="a metric's name, or nothing for the task's headline",
            remedy="For example metric='log_loss'.",
        )
    return AgeingPlan(every_days=int(found[1]) * _DAYS[found[2]], models=int(models), metric=metric)


def check_ageing(plan: object, split: SplitRule) -> None:
    """Refuse a plan that is none, or that rows without an order in time cannot answer.

    Raises:
        BadProject: it is not ``ty.Staleness(...)``, or rows are not split by time.
    """
    if plan is None:
        return
    if not isinstance(plan, AgeingPlan):
        raise BadProject(
            where="ty.Project(..., staleness=)",
            found=repr(plan),
            expected="ty.Staleness(...), or nothing",
            remedy="For example staleness=ty.Staleness(every='30d', models=3).",
        )
    if split.by != "time":
        raise BadProject(
            where="ty.Project(..., staleness=)",
            found=f"rows that are split by {split.by}",
            expected="rows that are split by time, so that some are later than others",
            remedy="Use split=ty.split_by_time(...), or leave out staleness=.",
        )
