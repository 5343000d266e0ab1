"""Number transforms: from numbers to numbers, in double precision, element by element."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from onnx import TensorProto

from torchyard.features.edges import count_reached
from torchyard.features.graph import Array, Numbers, Path, Place
from torchyard.features.learn import FromNumbers, Learner, Moments, Sample
from torchyard.features.operation import Operation
from torchyard.records.schema import Schema
from torchyard.records.training import Transform

_INSIDE_FLOAT32 = 3.4e38


@dataclass(frozen=True, slots=True)
class Scale:
    """Per column: what is subtracted, and what is divided by."""

    centre: Array
    spread: Array


@dataclass(frozen=True, slots=True)
class Curve:
    """Straight pieces, one list per column: from ``left[k]`` on, ``base[k] + slope[k] * (x -
    left[k])``; below the first, ``base[0]``.
    """

    left: list[Array]
    base: list[Array]
    slope: list[Array]


def _numbers(place: Place) -> Numbers:
    made = place.numbers()
    return replace(made, value=place.hold(made.value))


def _scale(place: Place) -> Numbers:
    made, scale = place.numbers(), place.learnt
    centred = place.node("Sub", [made.value, place.row("centre", scale.centre)], "centred")
    scaled = place.node("Div", [centred, place.row("spread", scale.spread)], "scaled")
    return replace(made, value=place.hold(scaled))


def _learn_standardize(transform: Transform, path: Path, schema: Schema) -> Learner[Scale]:
    return FromNumbers(path, Moments(), lambda found: _scale_of(*found))


def _learn_robust_scale(transform: Transform, path: Path, schema: Schema) -> Learner[Scale]:
    def conclude(columns: list[Array]) -> Scale:
        low, middle, high = (quantiles(columns, share) for share in (0.25, 0.5, 0.75))
        return _scale_of(middle, high - low)

    return FromNumbers(path, Sample(), conclude)


def _scale_of(centre: Array, spread: Array) -> Scale:
    """A constant carries nothing: it becomes 0 instead of a division by zero.

    ONNX Runtime drops a subtraction of what float32 calls 0 and a division by what it calls 1, if
    it is asked to optimize: here they are so to the last bit, and nothing changes.
    """
    with np.errstate(over="ignore"):
        no_step = centre.astype(np.float32) == 0
        no_stretch = (spread == 0) | (spread.astype(np.float32) == 1)
    return Scale(np.where(no_step, 0.0, centre), np.where(no_stretch, 1.0, spread))


def _log(place: Place) -> Numbers:
    """ONNX Runtime reduces one logarithm at a time, by the C library's: alike in every batch."""
    made = place.numbers()
    size = place.node("Abs", [made.value], "size")
    above = place.node("Add", [size, place.constant("one", np.float64(1))], "above_one")
    apart = place.node("Unsqueeze", [above, place.constant("last", [2], np.int64)], "apart")
    axis = place.constant("axis", [2], np.int64)
    large = place.node("ReduceLogSum", [apart, axis], "logarithm", keepdims=0)
    # 1 + x loses the digits of a small x, whose logarithm is x itself to nine digits
    tiny = place.node("Less", [size, place.constant("small", np.float64(1e-9))], "tiny")
    logarithm = place.node("Where", [tiny, size, large], "whole")
    sign = place.node("Sign", [made.value], "sign")
    return replace(made, value=place.node("Mul", [sign, logarithm], "signed"))


def _clip(place: Place) -> Numbers:
    made = place.numbers()
    value, inside = made.value, True
    for word in ("low", "high"):
        bounds = _bounds(place, word, made.width)
        inside = inside and bounds is not None and bool(np.all(np.abs(bounds) < _INSIDE_FLOAT32))
        if bounds is not None:
            value = _bounded(place, value, word, bounds)
    return replace(made, value=value if inside else place.hold(value))


def _bounded(place: Place, value: str, word: str, bounds: Array) -> str:
    """Numbers at least (``low``) or at most (``high``) as large as one bound per column.

    Not by ONNX's Max and Min: which of 0.0 and -0.0 they give depends on the place in the batch.
    """
    bound = place.row(f"{word}_bounds", bounds)
    outside = place.node("Less" if word == "low" else "Greater", [value, bound], f"{word}_outside")
    return place.node("Where", [outside, bound, value], word)


def _bounds(place: Place, word: str, width: int) -> Array | None:
    options = place.transform.options
    if options[f"{word}_share"] is not None:
        return np.asarray(place.learnt[word])
    return None if options[word] is None else np.full(width, float(options[word]))


def _learn_clip(
    transform: Transform, path: Path, schema: Schema
) -> Learner[dict[str, Array]] | None:
    shares = {
        word: float(transform.options[f"{word}_share"])
        for word in ("low", "high")
        if transform.options[f"{word}_share"] is not None
    }
    if not shares:
        return None
    return FromNumbers(
        path,
        Sample(),
        lambda columns: {word: quantiles(columns, share) for word, share in shares.items()},
    )


def _impute(place: Place) -> Numbers:
    made = place.numbers()
    if made.missing is None:
        return replace(made, value=place.hold(made.value))
    value = place.transform.options["value"]
    fill = place.learnt if isinstance(value, str) else [float(value)]
    filled = place.node("Where", [made.missing, place.row("fill", fill), made.value], "filled")
    held = place.hold(filled)
    if place.transform.options["flag"]:
        return replace(made, value=held, missing=None)
    return Numbers(held, made.width)


def _learn_impute(transform: Transform, path: Path, schema: Schema) -> Learner[Array] | None:
    value = transform.options["value"]
    if value == "mean":
        return FromNumbers(path, Moments(), lambda found: found[0])
    if value == "median":
        return FromNumbers(path, Sample(), lambda columns: quantiles(columns, 0.5))
    return None


def _quantile(place: Place) -> Numbers:
    made, curve = place.numbers(), place.learnt
    piece = count_reached(place, made.value, [left[1:] for left in curve.left])
    # every column's pieces in one table, one after the other
    starts = np.cumsum([0, *(len(left) for left in curve.left[:-1])])
    whole = place.node("Cast", [piece], "piece/whole", to=TensorProto.INT64)
    at = place.node("Add", [whole, place.constant("starts", starts[None], np.int64)], "at")
    left, base, slope = (
        place.node("Gather", [place.constant(f"{word}s", np.concatenate(lists)), at], word)
        for word, lists in (("left", curve.left), ("base", curve.base), ("slope", curve.slope))
    )
    held = _bounded(place, made.value, "low", np.array([column[0] for column in curve.left]))
    held = _bounded(place, held, "high", np.array([column[-1] for column in curve.left]))
    along = place.node("Mul", [place.node("Sub", [held, left], "past"), slope], "along")
    return replace(made, value=place.node("Add", [base, along], "share"))


def _learn_quantile(transform: Transform, path: Path, schema: Schema) -> Learner[Curve]:
    shares = np.linspace(0, 1, int(transform.options["points"]))

    def conclude(columns: list[Array]) -> Curve:
        pieces = [_pieces(np.quantile(column, shares), shares) for column in columns]
        return Curve(*([piece[k] for piece in pieces] for k in range(3)))

    return FromNumbers(path, Sample(), conclude)


def _pieces(points: Array, shares: Array) -> tuple[Array, Array, Array]:
    """Left ends, values there and slopes of the straight pieces through quantiles.

    A value that several quantiles share has a piece of its own, one double wide, in the middle of
    their shares; the curve goes on from the highest of them. Below all of them it is 0, above 1.
    """
    # rounding may put one quantile a bit below the one before it
    values, first = np.unique(np.maximum.accumulate(points), return_index=True)
    last = np.append(first[1:], len(points)) - 1
    left, base, slope = [], [], []
    for k, value in enumerate(values):
        low, high = shares[first[k]], shares[last[k]]
        start = value
        if high > low:
            if k == 0:
                left.append(np.nextafter(value, -np.inf))
                base.append(0.0)
                slope.append(0.0)
            left.append(value)
            base.append((low + high) / 2)
            slope.append(0.0)
            start = np.nextafter(value, np.inf)
        if k + 1 < len(values) and values[k + 1] > start:
            left.append(start)
            base.append(high)
            slope.append(_slope(shares[first[k + 1]] - high, values[k + 1] - start))
    left.append(start)
    base.append(1.0)
    slope.append(0.0)
    return np.array(left), np.array(base), np.array(slope)


def _slope(rise: float, run: float) -> float:
    """Finite, however close two quantiles lie: an infinite slope times no distance is no number."""
    with np.errstate(over="ignore"):
        return float(min(np.float64(rise) / run, 1e300))


def quantiles(columns: list[Array], share: float) -> Array:
    """A quantile of each ascending column, linear between two values."""
    return np.array([np.quantile(column, share) for column in columns])


NUMERIC = {
    "numbers": Operation(_numbers),
    "standardize": Operation(_scale, _learn_standardize),
    "robust_scale": Operation(_scale, _learn_robust_scale),
    "quantile": Operation(_quantile, _learn_quantile, neutral=0.5),
    "log": Operation(_log),
    "clip": Operation(_clip, _learn_clip),
    "impute": Operation(_impute, _learn_impute),
}
