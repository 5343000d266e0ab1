"""When a model does not answer: the rule, what rows are held against, and what it costs.

Chow 1970 calls it the reject option, El-Yaniv and Wiener 2010 selective classification: a model
that may stay silent trades coverage, the share of rows that it answers, for quality on those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torchyard.records.measures import Measured

COVERAGE = "coverage"  # what gates call the share of rows that are answered
SELECTIVE = "selective_"  # before a metric: of the answered rows alone

Reason = Literal["outside_training", "unsure", "wide_interval"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AbstainRule:
    """What a project declares with ``ty.Abstain``.

    Attributes:
        below: the calibrated probability of the answer under which there is none; None where it
            does not matter.
        wider_than: the width of an interval, in the label's unit, beyond which there is no answer.
        outside_training: whether a row that is unlike all of training gets none: false, true for
            every field that the features read, or the names of the fields that matter.
    """

    below: float | None = None
    wider_than: float | None = None
    outside_training: bool | tuple[str, ...] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownField:
    """What training had of one field.

    Attributes:
        field: its name.
        missing: whether some training row lacked it.
        minimum: the least number; None where numbers do not matter, or there were none.
        maximum: the greatest number.
        values: every text, in order; None where texts do not matter, or were too many to be kept.
    """

    field: str
    missing: bool
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """When a release does not answer: see ``AbstainRule``; ``known`` is what rows are held against.

    ``known`` is empty where it does not matter whether a row is unlike those of training.
    """

    below: float | None = None
    wider_than: float | None = None
    known: tuple[KnownField, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectiveQuality:
    """What abstaining costs and brings on the rows of a report.

    Attributes:
        abstained: rows that are not answered, by the first reason that holds.
        coverage: the share of rows that are answered.
        answered: metrics of the answered rows alone; what is undefined, or of too few rows, is
            absent.
        everything: the same metrics of all rows, abstentions answered as well.
    """

    abstained: dict[str, int]
    coverage: Measured
    answered: dict[str, Measured]
    everything: dict[str, Measured]
