"""What makes a module's raw outputs honest: fitted on validation, a part of every served graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CalibrationMethod = Literal[
    "none", "temperature", "vector", "platt", "beta", "isotonic", "conformal"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Straight lines through the points ``(x, y)``, flat beyond the first and the last.

    ``x`` rises strictly; there is at least one point.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Puts a module's number into the label's unit: ``mean + deviation * number``."""

    mean: float = 0.0
    deviation: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One method on rows that it was not fitted on.

    ``loss`` is its mean there: log loss in nats, of an interval the interval score in the label's
    unit. ``excess`` is by how much that is above the best one's on the same rows, ``error`` the
    standard error of the excess. ``why`` says why it was not tried; then ``loss`` is None.
    """

    method: str
    loss: float | None
    excess: float = 0.0
    error: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """From a value to the interval around it: ``value - lower * width, value + upper * width``.

    ``width`` is read at the module's own number, and is 1 when it is None. ``rows`` gave the two
    factors and took no part in anything else.
    """

    kind: Literal["symmetric", "asymmetric", "normalised"]
    coverage: float
    lower: float
    upper: float
    rows: int
    width: Curve | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """From a module's raw outputs to answers, fitted on ``rows`` of the validation split.

    By method, with ``z`` a logit of a class, or in a task with many classes under ``beta`` and
    ``isotonic`` the logarithm of its odds against all others, after which answers are divided by
    their sum:

    - ``none``: as trained; ``temperature``: ``z / temperature``, in a task of several labels
      ``slopes * z``;
    - ``platt``, ``vector``: ``slopes * z + shifts``, a number of each per class (``platt`` of a
      binary task: one);
    - ``beta``: ``slopes_above * softplus(z) - slopes * softplus(-z) + shifts``;
    - ``isotonic``: a probability read off the class's curve among ``curves``;
    - ``conformal``: a value in the label's unit by ``scale``, and an ``interval`` around it.

    Losses are in nats on these rows, and None for a number. ``tried`` lists what was compared,
    simplest first.
    """

    method: CalibrationMethod
    rows: int = 0
    log_loss_before: float | None = None
    log_loss_after: float | None = None
    temperature: float = 1.0
    slopes: tuple[float, ...] = ()
    slopes_above: tuple[float, ...] = ()
    shifts: tuple[float, ...] = ()
    curves: tuple[Curve, ...] = ()
    scale: Scale = Scale()
    interval: Interval | None = None
    tried: tuple[Tried, ...] = ()


AS_TRAINED = Calibration(method="none")
