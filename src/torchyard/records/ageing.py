"""How a model's quality falls as it grows old."""

from __future__ import annotations

from dataclasses import dataclass

from torchyard.records.measures import Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class AgePoint:
    """A model trained on rows before ``trained_until``, measured on a later period.

    Times are ISO 8601. ``age_days`` is from ``trained_until`` to the middle of the period.
    """

    trained_until: str
    period_start: str
    period_end: str
    age_days: float
    rows: int
    measured: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeAt:
    """The metric over all models of about one age, and how much worse it is than when young."""

    age_days: float
    models: int
    measured: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Staleness:
    """Quality against model age: trained on the past, measured on each later period.

    ``curve`` pools ``points`` by age. ``limits`` are the project's gates on the metric, by their
    text, with the age in days at which the gate would be missed; None where it never was within
    the ages measured.
    """

    metric: str
    field: str
    every_days: float
    points: tuple[AgePoint, ...]
    curve: tuple[AgeAt, ...]
    limits: dict[str, float | None]
