"""Transforms of times: whole-number arithmetic on microseconds, and tables of the calendar."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from torchyard.features.columns import MISSING_TIME
from torchyard.features.graph import Array, Finished, Numbers, Place
from torchyard.features.operation import Operation

_MINUTE, _HOUR, _DAY = 60_000_000, 3_600_000_000, 86_400_000_000
_UNITS = {"seconds": 1_000_000, "minutes": _MINUTE, "hours": _HOUR, "days": _DAY}
_MONDAY_SHIFT = 3  # 1970-01-01 was a Thursday
_ERA_DAYS, _ERA_YEARS = 146_097, 400
_EPOCH_SHIFT = 719_468  # from 0000-03-01, when an era begins, to 1970-01-01


def _elapsed(place: Place) -> Numbers:
    start, end = place.raw(0), place.raw(1)
    gaps = [_missing(place, k) for k in (0, 1) if place.field(k).optional]
    between = place.node("Sub", [end, start], "microseconds")
    real = place.node("Cast", [between], "real", to=TensorProto.DOUBLE)
    unit = place.constant("unit", np.float64(_UNITS[str(place.transform.options["unit"])]))
    value = place.node("Div", [real, unit], "elapsed")
    if not gaps:
        return Numbers(value, 1)
    missing = gaps[0] if len(gaps) == 1 else place.node("Or", gaps, "missing")
    return Numbers(value, 1, missing, missing, 1)


def _calendar_time(place: Place) -> Numbers:
    parts = [str(part) for part in place.transform.options["parts"]]
    whole = [_PARTS[part](place) for part in parts]
    joined = whole[0] if len(whole) == 1 else place.node("Concat", whole, "parts", axis=1)
    value = place.node("Cast", [joined], "real", to=TensorProto.DOUBLE)
    if not place.field().optional:
        return Numbers(value, len(parts))
    flag = _missing(place, 0)
    shape = place.constant("width", [1, len(parts)], np.int64)
    every = flag if len(parts) == 1 else place.node("Expand", [flag, shape], "missing")
    return Numbers(value, len(parts), every, flag, 1)


def _cyclic_time(place: Place) -> Finished:
    parts = [str(part) for part in place.transform.options["parts"]]
    missing = _missing(place, 0) if place.field().optional else None
    points = []
    for part in parts:
        # one more row of zeros stands for a missing time
        table = np.concatenate([clock_table(part), np.zeros((1, 2), np.float32)])
        at = _CLOCK[part](place)
        if missing is not None:
            last = place.constant(f"{part}/gap", [[len(table) - 1]], np.int64)
            at = place.node("Where", [missing, last, at], f"{part}/place")
        points.append(place.node("Gather", [place.constant(f"{part}/circle", table), at], part))
    joined = points[0] if len(points) == 1 else place.node("Concat", points, "points", axis=1)
    shape = place.constant("shape", [-1, 2 * len(parts)], np.int64)
    return Finished(place.node("Reshape", [joined, shape], "flat"), "float32", (2 * len(parts),))


def clock_table(part: str) -> Array:
    """Cosine and sine for every minute of a day, day of a week or month of a year.

    Looked up rather than computed in the graph: vectorized cosines differ in the last bit between
    batch sizes, a table cannot.

    Returns:
        ``float32 [steps, 2]``: 1440 minutes for ``hour``, 7 days from Monday, 12 months.
    """
    steps = {"hour": 1440, "weekday": 7, "month": 12}[part]
    angle = 2 * np.pi * np.arange(steps) / steps
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def _missing(place: Place, input_place: int) -> str:
    what = f"gap_{input_place}"
    gap = place.constant(f"{what}/time", [[MISSING_TIME]], np.int64)
    return place.node("Equal", [place.raw(input_place), gap], what)


def _minute_of_day(place: Place) -> str:
    return _modulo(place, _divide(place, place.raw(), _MINUTE, "minutes"), 1440, "minute_of_day")


def _minute(place: Place) -> str:
    return _modulo(place, _divide(place, place.raw(), _MINUTE, "whole_minutes"), 60, "minute")


def _hour(place: Place) -> str:
    return _modulo(place, _divide(place, place.raw(), _HOUR, "hours"), 24, "hour_of_day")


def _weekday(place: Place) -> str:
    day = _divide(place, place.raw(), _DAY, "weekday/day")
    shift = place.constant("weekday/shift", [[_MONDAY_SHIFT]], np.int64)
    return _modulo(place, place.node("Add", [day, shift], "weekday/shifted"), 7, "day_of_week")


def _weekend(place: Place) -> str:
    """1 on Saturday and Sunday."""
    day = _divide(place, place.raw(), _DAY, "weekend/day")
    shift = place.constant("weekend/shift", [[_MONDAY_SHIFT]], np.int64)
    weekday = _modulo(place, place.node("Add", [day, shift], "weekend/shifted"), 7, "weekend/of")
    return _looked_up(place, weekday, np.array([0, 0, 0, 0, 0, 1, 1], np.int8), "weekend/is")


def _of_date(part: str) -> Callable[[Place], str]:
    def written(place: Place) -> str:
        _, day_of_era = _era(place, part)
        return _looked_up(place, day_of_era, _era_table(part), f"{part}/of_date")

    return written


def _year(place: Place) -> str:
    era, day_of_era = _era(place, "year")
    first = place.node(
        "Mul", [era, place.constant("year/era_years", [[_ERA_YEARS]], np.int64)], "year/era_first"
    )
    within = _looked_up(place, day_of_era, _era_table("year"), "year/of_era")
    return place.node("Add", [first, within], "year/of_date")


def _era(place: Place, part: str) -> tuple[str, str]:
    """Which span of 400 years from 0000-03-01 on, and which day of it, from 0.

    Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    """
    day = _divide(place, place.raw(), _DAY, f"{part}/day")
    shift = place.constant(f"{part}/epoch", [[_EPOCH_SHIFT]], np.int64)
    shifted = place.node("Add", [day, shift], f"{part}/since_era_0")
    era = _divide(place, shifted, _ERA_DAYS, f"{part}/era")
    return era, _modulo(place, shifted, _ERA_DAYS, f"{part}/day_of_era")


def _era_table(part: str) -> Array:
    """A part of the date for each day of an era that begins on 1 March."""
    days = np.datetime64("2000-03-01", "D") + np.arange(_ERA_DAYS)
    years, months = days.astype("datetime64[Y]"), days.astype("datetime64[M]")
    month = months.astype(np.int64) % 12 + 1
    whole: Array = {
        "year": years.astype(np.int64) + 1970 - 2000,
        "quarter": (month - 1) // 3 + 1,
        "month": month,
        "day": (days - months).astype(np.int64) + 1,
        "day_of_year": (days - years).astype(np.int64) + 1,
    }[part]
    return whole.astype(np.int16 if part in ("year", "day_of_year") else np.int8)


def _looked_up(place: Place, at: str, table: Array, what: str) -> str:
    found = place.node("Gather", [place.constant(f"{what}/table", table), at], f"{what}/small")
    return place.node("Cast", [found], what, to=TensorProto.INT64)


def _divide(place: Place, value: str, divisor: int, what: str) -> str:
    """``value // divisor`` for any sign: ONNX's Div truncates, so the remainder goes first."""
    by = place.constant(f"{what}/by", [[divisor]], np.int64)
    rest = place.node("Mod", [value, by], f"{what}/rest")
    return place.node("Div", [place.node("Sub", [value, rest], f"{what}/whole"), by], what)


def _modulo(place: Place, value: str, divisor: int, what: str) -> str:
    return place.node("Mod", [value, place.constant(f"{what}/by", [[divisor]], np.int64)], what)


def _months_before(place: Place) -> str:
    """Months of the year before this one: places on the clock count from 0."""
    one = place.constant("month/one", [[1]], np.int64)
    return place.node("Sub", [_of_date("month")(place), one], "month/before")


_PARTS: dict[str, Callable[[Place], str]] = {
    "year": _year,
    "quarter": _of_date("quarter"),
    "month": _of_date("month"),
    "day": _of_date("day"),
    "day_of_year": _of_date("day_of_year"),
    "weekday": _weekday,
    "hour": _hour,
    "minute": _minute,
    "weekend": _weekend,
}
_CLOCK: dict[str, Callable[[Place], str]] = {
    "hour": _minute_of_day,
    "weekday": _weekday,
    "month": _months_before,
}

TIMES = {
    "elapsed": Operation(_elapsed),
    "calendar_time": Operation(_calendar_time),
    "cyclic_time": Operation(_cyclic_time),
}
