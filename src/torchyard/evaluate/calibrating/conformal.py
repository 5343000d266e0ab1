"""An interval around a predicted number that holds the truth as often as it says.

Split conformal prediction (Vovk et al. 2005, section 4.1; Lei et al. 2018, section 2.2): errors on
rows that the model did not learn from say how far off the next one is. What it promises holds for
rows that are exchangeable with those: rows of another time or place may be missed more often.
"""

from __future__ import annotations

from math import ceil

import numpy as np

from torchyard.core.errors import BadData
from torchyard.evaluate.calibrating.choosing import FOLDS, choose, folds
from torchyard.evaluate.calibrating.isotonic import read_curve
from torchyard.evaluate.counting.sample import Floats
from torchyard.records.calibration import Calibration, Curve, Interval, Scale

# Below, all rows go into the one interval that nothing has to be chosen for.
LEAST_ROWS_TO_CHOOSE = 400
_BINS = 10
_LEAST_SPREAD = 0.05  # of the mean spread: where errors were small by luck


def fit_interval(
    truth: Floats, numbers: Floats, *, scale: Scale, coverage: float, seed: int
) -> Calibration:
    """The interval around each value, as narrow as the errors on these rows allow.

    With 400 rows or more, half of them choose its kind by the interval score (Gneiting and Raftery
    2007, section 6.2), cross-validated, the simplest within one standard error of the best:
    ``symmetric``, of one width; ``asymmetric``, where errors are larger to one side; or
    ``normalised``, its width following how large errors are at such a prediction (Lei et al. 2018,
    section 5.2). The other half, which took no part in that, gives the factors, so that the
    promise of ``coverage`` is that of split conformal prediction, at any number of rows.

    Args:
        truth: in the label's unit, ``[rows]``.
        numbers: the module's, ``[rows]``.
        scale: from the module's numbers to the unit.
        coverage: the share of rows whose truth the interval is to hold, above 0 and below 1.
        seed: of the halves and folds.

    Raises:
        BadData: there are too few rows for such a coverage.
    """
    errors = truth - (scale.mean + scale.deviation * numbers)
    least = _least_rows(coverage)
    if errors.size < least:
        raise BadData(
            where="calibration, validation split",
            found=f"{errors.size} rows",
            expected=f"at least {least}, for an interval that holds {coverage:.0%} of truths",
            remedy="Make the validation split larger, or lower the task's coverage.",
        )
    if errors.size < max(LEAST_ROWS_TO_CHOOSE, 4 * _least_rows((1.0 + coverage) / 2.0)):
        interval = _symmetric(errors, numbers, coverage)
        return Calibration(method="conformal", rows=errors.size, scale=scale, interval=interval)
    generator = np.random.default_rng(seed)
    order = generator.permutation(errors.size)
    first, second = order[: errors.size // 2], order[errors.size // 2 :]
    kind, tried = choose(_held_out(errors[first], numbers[first], coverage, generator))
    width = _spread(errors[first], numbers[first]) if kind == "normalised" else None
    factors = _asymmetric if kind == "asymmetric" else _symmetric
    interval = factors(errors[second], numbers[second], coverage, width)
    return Calibration(
        method="conformal", rows=errors.size, scale=scale, interval=interval, tried=tried
    )


def apply_interval(numbers: Floats, calibration: Calibration) -> Floats:
    """Value, low and high in the label's unit, ``float64 [rows, 3]``.

    Without an interval, as of a module that is only trained, all three are the value.
    """
    scale, interval = calibration.scale, calibration.interval
    value = scale.mean + scale.deviation * numbers
    if interval is None:
        return np.stack([value, value, value], axis=1)
    low, high = _ends(value, numbers, interval)
    return np.stack([value, low, high], axis=1)


def interval_score(error: Floats, low: Floats, high: Floats, *, coverage: float) -> Floats:
    """Width plus what misses cost, per row: least for the true quantiles.

    Gneiting and Raftery 2007, equation 43, of an error and the ends of its interval.
    """
    missed = np.maximum(low - error, 0.0) + np.maximum(error - high, 0.0)
    return high - low + 2.0 / (1.0 - coverage) * missed


def _ends(value: Floats, numbers: Floats, interval: Interval) -> tuple[Floats, Floats]:
    width = 1.0 if interval.width is None else read_curve(interval.width, numbers)
    return value - interval.lower * width, value + interval.upper * width


def _least_rows(coverage: float) -> int:
    """How many errors it takes until one of them is far enough out."""
    return ceil(coverage / (1.0 - coverage) - 1e-9)


def _held_out(
    errors: Floats, numbers: Floats, coverage: float, generator: np.random.Generator
) -> dict[str, Floats]:
    """The interval score of each row by each kind fitted without its fold."""
    fold = folds(np.zeros(errors.size, dtype=np.intp), generator)
    losses = {kind: np.zeros(errors.size) for kind in ("symmetric", "asymmetric", "normalised")}
    for one in range(FOLDS):
        inside, outside = fold != one, fold == one
        e, x = errors[inside], numbers[inside]
        fitted = (
            _symmetric(e, x, coverage),
            _asymmetric(e, x, coverage),
            _symmetric(e, x, coverage, _spread(e, x)),
        )
        for interval in fitted:
            low, high = _ends(np.zeros(1), numbers[outside], interval)
            losses[interval.kind][outside] = interval_score(
                errors[outside], low, high, coverage=coverage
            )
    return losses


def _symmetric(
    errors: Floats, numbers: Floats, coverage: float, width: Curve | None = None
) -> Interval:
    relative = np.abs(errors) / (1.0 if width is None else read_curve(width, numbers))
    far = _outer(relative, coverage)
    return Interval(
        kind="symmetric" if width is None else "normalised",
        coverage=coverage,
        lower=far,
        upper=far,
        rows=errors.size,
        width=width,
    )


def _asymmetric(
    errors: Floats, numbers: Floats, coverage: float, width: Curve | None = None
) -> Interval:
    """Each end misses half of what may be missed; neither crosses the value."""
    side = (1.0 + coverage) / 2.0
    return Interval(
        kind="asymmetric",
        coverage=coverage,
        lower=max(_outer(-errors, side), 0.0),
        upper=max(_outer(errors, side), 0.0),
        rows=errors.size,
        width=width,
    )


def _outer(values: Floats, share: float) -> float:
    """The least of the values that a next one stays within with a chance of ``share`` or more.

    The ``ceil((rows + 1) * share)``-th smallest, because the next one is a row too.
    """
    place = ceil((values.size + 1) * share - 1e-9)
    return float(np.partition(values, place - 1)[place - 1])


def _spread(errors: Floats, numbers: Floats) -> Curve:
    """How large errors are at a prediction: their mean size over tenths of the rows."""
    order = np.argsort(numbers, kind="stable")
    parts = np.array_split(order, _BINS)
    places = np.array([numbers[part].mean() for part in parts])
    sizes = np.array([np.abs(errors[part]).mean() for part in parts])
    distinct, first = np.unique(places, return_index=True)
    mean = float(np.abs(errors).mean())
    least = _LEAST_SPREAD * mean if mean > 0.0 else 1.0
    heights = np.maximum(sizes[first], least)
    return Curve(x=tuple(distinct.tolist()), y=tuple(heights.tolist()))
