"""Number transforms of a project file.

They take fields (number, integer, boolean) or other number transforms, so they nest:
``standardize(log("fare"), "distance")``. What they make is ``float32 [rows, width]``: one column
per input in order; where an input is missing the column holds the transform's neutral value, and
for each input that can be missing a column that is 1 where it was is appended.
"""

from __future__ import annotations

from typing import Literal

from torchyard.core.errors import BadProject
from torchyard.project.needs import (
    Numbers,
    is_number,
    need_between,
    need_numbers,
    need_parts,
    numeric,
)
from torchyard.records.sizes import MOST_EDGES
from torchyard.records.training import Transform

CALENDAR_PARTS = (
    "year", "quarter", "month", "day", "day_of_year", "weekday", "hour", "minute", "weekend",
)  # fmt: skip
UNITS_S = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86_400.0}


def numbers(*inputs: Numbers) -> Transform:
    """Numbers as they are; 0 where missing."""
    return numeric("numbers", inputs)


def standardize(*inputs: Numbers) -> Transform:
    """Numbers minus their training mean, over their training deviation; 0 where missing.

    A constant becomes 0.
    """
    return numeric("standardize", inputs)


def robust_scale(*inputs: Numbers) -> Transform:
    """Numbers minus their training median, over their interquartile range; 0 where missing.

    For heavy tails and outliers, which move a mean and a deviation.
    """
    return numeric("robust_scale", inputs)


def quantile(*inputs: Numbers, points: int = 100) -> Transform:
    """The share of training values below a number, 0 to 1, linear between ``points`` quantiles.

    Makes any distribution uniform; 0.5 where missing. ``points`` is 2 to 65,536.
    """
    need_between(points, 2, MOST_EDGES, where="ty.quantile(...)", name="points")
    return numeric("quantile", inputs, points=points)


def log(*inputs: Numbers) -> Transform:
    """``sign(x) * ln(1 + |x|)``: tames long tails, defined for every number; 0 where missing."""
    return numeric("log", inputs)


def clip(
    *inputs: Numbers,
    low: float | None = None,
    high: float | None = None,
    low_share: float | None = None,
    high_share: float | None = None,
) -> Transform:
    """Numbers held between two bounds; 0 where missing.

    Args:
        inputs: fields or number transforms.
        low: the lower bound.
        high: the upper bound.
        low_share: the lower bound as a quantile of the training values, 0 to 1, instead of ``low``.
        high_share: the upper bound as a quantile, instead of ``high``.

    Raises:
        BadProject: no bound, two for one side, or bounds in the wrong order.
    """
    where = "ty.clip(...)"
    need_numbers(where, low=low, high=high, low_share=low_share, high_share=high_share)
    both = [(low, low_share, "low"), (high, high_share, "high")]
    if any(a is not None and b is not None for a, b, _ in both) or all(
        a is None and b is None for a, b, _ in both
    ):
        raise BadProject(
            where=where,
            found=f"low={low}, low_share={low_share}, high={high}, high_share={high_share}",
            expected="at least one bound, and for each side a value or a share",
            remedy="For example ty.clip('fare', low=0, high_share=0.99).",
        )
    for least, most in ((low, high), (low_share, high_share)):
        if least is not None and most is not None and least >= most:
            raise BadProject(
                where=where,
                found=f"a lower bound {least} that is not below {most}",
                expected="the lower bound below the upper one",
                remedy="Swap the two bounds.",
            )
    for share in (low_share, high_share):
        if share is not None and not 0 <= share <= 1:
            raise BadProject(
                where=where,
                found=f"a share of {share}",
                expected="a share from 0 to 1",
                remedy="Write 0.99 for the 99th percentile.",
            )
    return numeric("clip", inputs, low=low, high=high, low_share=low_share, high_share=high_share)


def impute(
    *inputs: Numbers, value: Literal["mean", "median"] | float = "median", flag: bool = True
) -> Transform:
    """Numbers with missing ones filled in.

    Args:
        inputs: fields or number transforms.
        value: the training mean or median, or a constant.
        flag: append a column that is 1 where the value was missing, for each input.

    Raises:
        BadProject: ``value`` is something else.
    """
    is_fine = value in ("mean", "median") or is_number(value)
    if not is_fine or not isinstance(flag, bool):
        raise BadProject(
            where="ty.impute(...)",
            found=f"value={value!r}, flag={flag!r}",
            expected="'mean', 'median' or a finite number; true or false",
            remedy="Leave them out for the median and a flag.",
        )
    return numeric("impute", inputs, value=value, flag=flag)


def elapsed(
    start: str, end: str, *, unit: Literal["seconds", "minutes", "hours", "days"] = "hours"
) -> Transform:
    """The time from one timestamp to another in ``unit``, negative when ``end`` comes first."""
    if unit not in UNITS_S:
        raise BadProject(
            where="ty.elapsed(...)",
            found=f"unit={unit!r}",
            expected=f"one of {list(UNITS_S)}",
            remedy="Leave it out for hours.",
        )
    return Transform(output="", operation="elapsed", inputs=(start, end), options={"unit": unit})


def calendar_time(field: str, *parts: str) -> Transform:
    """Parts of a date as numbers: year, quarter, month, day, day_of_year, weekday, hour, minute,
    weekend.

    A number transform: nest it to scale it. Months, days and quarters count from 1, weekdays from
    Monday 0; ``weekend`` is 1 on Saturday and Sunday. Missing where the time is.
    """
    need_parts(f"ty.calendar_time({field!r}, ...)", parts, CALENDAR_PARTS)
    return Transform(
        output="", operation="calendar_time", inputs=(field,), options={"parts": list(parts)}
    )
