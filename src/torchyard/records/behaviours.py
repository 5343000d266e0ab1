"""What a model must do when a row is changed, and whether it does (Ribeiro et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torchyard.core.record import Json
from torchyard.records.measures import Measured

BehaviourKind = Literal[
    "invariance", "direction", "minimum", "robustness", "adversarial", "function"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """A behaviour as a project declares it; ``options`` are those of its kind.

    ``name`` tells it from the others. ``says`` is it in one sentence. ``fields`` are what it
    changes.
    """

    name: str
    kind: BehaviourKind
    says: str
    fields: tuple[str, ...] = ()
    options: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourExample:
    """A row that failed: its fields as they were, those that were changed, and both answers.

    Answers are ``[classes]`` probabilities or the predicted values. A personal field's value is
    withheld: None.
    """

    row: dict[str, Json]
    changed: dict[str, Json]
    before: tuple[float, ...]
    after: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourResult:
    """How a model passes a behaviour.

    ``rows`` were tried: those that the behaviour applies to. ``failure_rate`` is the share of them
    that fail, with its exact interval; None where it applies to no row. ``worst`` is the largest
    change of an answer, in probability or in the label's unit. ``left_out`` rows would have broken
    the schema when changed: no request can ask them.
    """

    name: str
    kind: BehaviourKind
    says: str
    rows: int
    failed: int
    failure_rate: Measured | None
    left_out: int = 0
    worst: float | None = None
    examples: tuple[BehaviourExample, ...] = ()
    finding: str = ""
