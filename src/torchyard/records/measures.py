"""A number and how sure it is: the word in which everything about a model is told."""

from __future__ import annotations

from dataclasses import dataclass

# metrics of which less is better: of the others more is, or neither
LESS_IS_BETTER = frozenset(
    {
        "log_loss",
        "brier",
        "expected_calibration_error",
        "maximum_calibration_error",
        "classwise_calibration_error",
        "false_positive_rate",
        "hamming_loss",
        "mae",
        "rmse",
        "median_absolute_error",
        "mape",
        "pinball_loss",
        "mean_interval_width",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A number with its 95 % interval, the rows behind it and the method of the interval.

    ``low`` and ``high`` are None where no interval exists (a file's size).
    """

    value: float
    low: float | None
    high: float | None
    rows: int
    method: str
