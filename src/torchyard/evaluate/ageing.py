"""Quality against a model's age: points pooled by age, and the age at which a gate is missed.

Not here: how models of the past are trained, see the yard.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from torchyard.core.errors import BadProject
from torchyard.evaluate.counting.sample import Sample
from torchyard.evaluate.judging.compare import Limit, decide
from torchyard.evaluate.judging.wording import describe
from torchyard.evaluate.metrics.kinds import find
from torchyard.evaluate.resampling.bootstrap import measure
from torchyard.records.ageing import AgeAt, AgePoint, Staleness
from torchyard.records.measures import Measured
from torchyard.records.schema import Task
from torchyard.records.verdicts import Gate

_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Aged:
    """What a model of the past answered in one later period.

    Attributes:
        trained_until: where the rows end that it was trained and calibrated on.
        start: where the period begins.
        end: where it ends; a row at that time is in the next one.
        sample: the period's rows.
    """

    trained_until: datetime
    start: datetime
    end: datetime
    sample: Sample

    @property
    def age_days(self) -> float:
        """The model's age in the middle of the period."""
        return ((self.start - self.trained_until) + (self.end - self.start) / 2) / _DAY


def check_ageing_metric(metric: str | None, task: Task) -> str:
    """The metric that ageing is told in: the task's headline where none is named.

    Raises:
        BadProject: the task has no such metric.
    """
    name = task.headline if metric is None else metric
    find(name, task=task, where="ty.Staleness(..., metric=)")
    return name


def cut_offs(
    first: datetime, last: datetime, *, every: timedelta, models: int, held_back: timedelta
) -> tuple[datetime, ...]:
    """Until when each model may know rows, earliest first: the last periods, one after another.

    Args:
        first: the time of the first row.
        last: of the last one.
        every: the length of a period.
        models: how many.
        held_back: the length of each past's end that training does not see, but validation.

    Raises:
        BadProject: the earliest model would have no rows to train on, or fewer days of them than
            a period has.

    Example:
        >>> cut = cut_offs(datetime(2024, 1, 1), datetime(2024, 12, 30, 23), models=2,
        ...                every=timedelta(days=30), held_back=timedelta(days=60))
        >>> [str(time.date()) for time in cut]
        ['2024-10-31', '2024-11-30']
    """
    end = last + timedelta(microseconds=1)
    cuts = tuple(end - number * every for number in range(models, 0, -1))
    if cuts[0] - held_back - first < every:
        raise BadProject(
            where="ty.Staleness(...)",
            found=f"rows from {first.isoformat()} to {last.isoformat()}, of which the earliest of "
            f"{models} models may train on those before {(cuts[0] - held_back).isoformat()}",
            expected="at least as much past to train on as one period is long",
            remedy="Ask for fewer models, shorter periods, or give more of the past.",
        )
    return cuts


def staleness(
    aged: Sequence[Aged],
    *,
    metric: str,
    field: str,
    every: timedelta,
    gates: Sequence[Gate],
    generator: np.random.Generator,
) -> Staleness:
    """The curve of a metric by age.

    Points of one age are pooled: their rows are measured together, so an age is known the better
    the more models had it. A gate is missed from the first age on whose interval does not pass it.

    Args:
        aged: each model in each later period.
        metric: of the task.
        field: the timestamp that orders rows.
        every: the length of a period.
        gates: the project's; those on the metric of all rows are held against the curve.
        generator: where the draws come from.
    """
    points = []
    for one in aged:
        found = _measured(metric, one.sample, generator)
        if found is not None:
            points.append(_point(one, found))
    curve = _pooled(aged, metric, generator)
    return Staleness(
        metric=metric,
        field=field,
        every_days=every / _DAY,
        points=tuple(points),
        curve=curve,
        limits={
            describe(gate): _missed_at(gate, curve) for gate in gates if is_about(gate, metric)
        },
    )


def is_about(gate: Gate, metric: str) -> bool:
    """Whether a gate limits a metric of all rows, and not a slice's or a comparison."""
    scoped = (gate.group, gate.per_slice, gate.against, gate.behaviour, gate.severity)
    return gate.metric == metric and all(one is None for one in scoped)


def _pooled(aged: Sequence[Aged], metric: str, generator: np.random.Generator) -> tuple[AgeAt, ...]:
    curve = []
    for age in sorted({one.age_days for one in aged}):
        alike = [one.sample for one in aged if one.age_days == age]
        together = dataclasses.replace(
            alike[0],
            truth=np.concatenate([one.truth for one in alike]),
            outputs=np.concatenate([one.outputs for one in alike]),
        )
        found = _measured(metric, together, generator)
        if found is not None:
            curve.append(AgeAt(age_days=age, models=len(alike), measured=found))
    return tuple(curve)


def _measured(metric: str, sample: Sample, generator: np.random.Generator) -> Measured | None:
    """None where the rows do not define it, as where they have one class alone."""
    return measure(sample, generator=generator, metrics=[metric]).get(metric)


def _point(one: Aged, found: Measured) -> AgePoint:
    return AgePoint(
        trained_until=one.trained_until.isoformat(),
        period_start=one.start.isoformat(),
        period_end=one.end.isoformat(),
        age_days=one.age_days,
        rows=one.sample.rows,
        measured=found,
    )


def _missed_at(gate: Gate, curve: Sequence[AgeAt]) -> float | None:
    bound = gate.at_least if gate.at_least is not None else gate.at_most
    assert bound is not None, "a gate on all rows has a limit"
    limit = Limit(bound=bound, is_floor=gate.at_least is not None)
    return next((one.age_days for one in curve if decide(one.measured, limit) != "pass"), None)
