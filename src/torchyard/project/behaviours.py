"""The words of a project file for behaviours: what a model must do when a row is changed.

Invariance and directional expectation are of CheckList (Ribeiro et al. 2020, section 2.2), whose
minimum functionality is in ``known_answers.py``; beside them robustness and a search within bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torchyard.core.errors import BadProject
from torchyard.project.changes import need_one_of, one_change
from torchyard.project.expectations import Expectation, expectation, need_tolerance
from torchyard.project.needs import need_between, need_numbers, need_texts

_MOST_STEPS = 1_000
_CORRUPTIONS = (
    "gaussian_noise", "shot_noise", "impulse_noise", "gaussian_blur", "brightness", "contrast",
    "pixelate", "jpeg_compression",
)  # fmt: skip


def invariant(
    field: str,
    *,
    change: float | None = None,
    factor: float | None = None,
    swap: Sequence[str] | None = None,
    typos: int | None = None,
    noise: float | None = None,
    rotate: float | None = None,
    brightness: float | None = None,
    blur: float | None = None,
    jpeg: int | None = None,
    tolerance: float | None = None,
    name: str | None = None,
    rows: int = 1_000,
) -> Expectation:
    """The answer must stay: it moves by at most ``tolerance``, and the decision is the same.

    Args:
        field: what is changed, in exactly one of the ways below.
        change: added to a number.
        factor: a number is multiplied by it.
        swap: categories, or words of a text, each of which becomes the next one, the last the
            first.
        typos: so many neighbouring letters of a text change places.
        noise: standard deviation of normal noise: of a picture as a share of its full range, of a
            number in standard deviations of the field.
        rotate: degrees by which a picture is turned, counter-clockwise.
        brightness: share of the full range that is added to a picture, -1 to 1.
        blur: radius in pixels of a Gaussian blur.
        jpeg: quality, 1 to 95, at which a picture is compressed.
        tolerance: in probability, 0.1 when left out; in the label's unit for a number, where it
            must be given.
        name: what gates call it; ``"invariant wind_speed +0.1"`` and the like when left out.
        rows: how many test rows are tried at most.

    Raises:
        BadProject: not exactly one change is given, or a value is out of range.

    Example:
        >>> invariant("wind_speed", change=+0.1).behaviour.name
        'invariant wind_speed +0.1'
    """
    where = f"ty.invariant({field!r}, ...)"
    need_tolerance(where, tolerance)
    made = one_change(
        where, field, change=change, factor=factor, swap=swap, typos=typos, noise=noise,
        rotate=rotate, brightness=brightness, blur=blur, jpeg=jpeg,
    )  # fmt: skip
    allowed = 0.1 if tolerance is None else tolerance
    return expectation(
        where, "invariance", name or f"invariant {field} {made.short}",
        f"When {made.says}, the answer moves by at most {allowed:g} and the decision stays.",
        (field,), made.options | {"tolerance": tolerance}, rows,
    )  # fmt: skip


def directional(
    field: str,
    *,
    expect: Literal["up", "down", "any"],
    change: float | None = None,
    factor: float | None = None,
    swap: Sequence[str] | None = None,
    of: str | None = None,
    tolerance: float = 0.0,
    name: str | None = None,
    rows: int = 1_000,
) -> Expectation:
    """The answer must move in a direction when a field is changed, or must at least move.

    Args:
        field: what is changed, in exactly one of the ways of ``ty.invariant``.
        expect: ``"up"`` fails where the answer falls by more than ``tolerance``, ``"down"`` where
            it rises by more, ``"any"`` where it moves by no more than ``tolerance``.
        change: added to a number.
        factor: a number is multiplied by it.
        swap: categories, each of which becomes the next one; two make the change one of direction
            only together with ``expect="any"``.
        of: the class whose probability is meant; the second one of a binary task when left out. Not
            for numbers, whose value is meant.
        tolerance: in probability, or in the label's unit.
        name: what gates call it.
        rows: how many test rows are tried at most.

    Raises:
        BadProject: not exactly one change is given, or a value is out of range.

    Example:
        >>> directional("distance", change=+500, expect="any").behaviour.name
        'directional distance +500 any'
    """
    where = f"ty.directional({field!r}, ...)"
    made = one_change(where, field, change=change, factor=factor, swap=swap)
    need_one_of(where, "expect", expect, ("up", "down", "any"))
    need_tolerance(where, tolerance)
    meant = "the answer" if of is None else f"the probability of '{of}'"
    must = {
        "up": "does not fall",
        "down": "does not rise",
        "any": "moves",
    }[expect] + (f" by more than {tolerance:g}" if tolerance else "")
    return expectation(
        where, "direction", name or f"directional {field} {made.short} {expect}",
        f"When {made.says}, {meant} {must}.", (field,),
        made.options | {"expect": expect, "of": of, "tolerance": tolerance}, rows,
    )  # fmt: skip


def robust(
    field: str | None = None,
    *,
    missing: str | Sequence[str] | None = None,
    unit: str | None = None,
    sent_in: str | None = None,
    factor: float | None = None,
    typos: int | None = None,
    noise: float | None = None,
    corruption: str | None = None,
    severity: int = 3,
    tolerance: float | None = None,
    name: str | None = None,
    rows: int = 1_000,
) -> Expectation:
    """How many decisions a fault of the input turns. The report also says the largest change.

    Args:
        field: what is changed by ``factor``, ``typos``, ``noise`` or ``corruption``.
        missing: optional fields that fail to come, each alone (a row fails where one of them turns
            its decision); or ``"every optional field"``.
        unit: a field with a declared unit whose values come in another unit of the same quantity:
            in each other unit, or in the one that ``sent_in`` names.
        sent_in: see ``unit``; for example ``"m/s"``.
        factor: a number is multiplied by it.
        typos: so many neighbouring letters of a text change places.
        noise: see ``ty.invariant``.
        corruption: of a picture, one of Hendrycks and Dietterich 2019: gaussian_noise, shot_noise,
            impulse_noise, gaussian_blur, brightness, contrast, pixelate, jpeg_compression ...
        severity: ... at 1 to 5, in their settings for pictures of 224 pixels.
        tolerance: for numbers, which have no decision: by how much the value may move.
        name: what gates call it.
        rows: how many test rows are tried at most.

    Raises:
        BadProject: not exactly one fault is given, or a value is out of range.

    Example:
        >>> robust(missing="seats").behaviour.says
        'When seats is missing, the decision stays.'
    """
    where = "ty.robust(...)" if field is None else f"ty.robust({field!r}, ...)"
    _check_sent_in(where, sent_in, unit)
    if corruption is not None:
        need_one_of(where, "corruption", corruption, _CORRUPTIONS)
        need_between(severity, 1, 5, where=where, name="severity")
    need_tolerance(where, tolerance)
    made = one_change(
        where, field, factor=factor, typos=typos, noise=noise, missing=missing, unit=unit,
        corruption=corruption, sent_in=sent_in, severity=severity,
    )  # fmt: skip
    short = made.short if field is None else f"{field} {made.short}"
    stays = "the decision stays"
    if tolerance is not None:
        stays = f"the value moves by at most {tolerance:g}"
    return expectation(
        where, "robustness", name or f"robust {short}", f"When {made.says}, {stays}.",
        made.fields, made.options | {"tolerance": tolerance}, rows,
    )  # fmt: skip


def adversarial(
    *fields: str,
    within: float | Sequence[float],
    steps: int = 20,
    tolerance: float | None = None,
    name: str | None = None,
    rows: int = 200,
) -> Expectation:
    """No change within bounds may turn the decision, as far as a search finds one.

    Corners first, then random points and single fields in turn, from the best point so far; the
    model is asked ``steps`` times about each row. What is found is real; what is not found may
    still exist.

    Args:
        fields: the numbers that may be changed, all at once.
        within: how far, each way, in the field's unit: one for all, or one per field.
        steps: how often a row is asked, 1 to 1,000.
        tolerance: for numbers, which have no decision: by how much the value may move.
        name: what gates call it.
        rows: how many test rows are tried at most.

    Raises:
        BadProject: no field is named, or bounds and fields do not match.

    Example:
        >>> adversarial("distance", within=50).behaviour.name
        'adversarial distance 50'
    """
    where = f"ty.adversarial({', '.join(map(repr, fields))}, ...)"
    names = need_texts(fields, where=where, name="fields")
    several = [within] * len(names) if isinstance(within, (int, float)) else list(within)
    for bound in several:
        need_numbers(where, within=bound)
    if not names or len(several) != len(names) or min(several) <= 0 or len({*names}) < len(names):
        raise BadProject(
            where=where,
            found=f"within={within!r} for {len(names)} fields",
            expected="different fields, and a bound above 0 for all, or one for each",
            remedy="For example ty.adversarial('temp', 'humid', within=[2, 5]).",
        )
    need_between(steps, 1, _MOST_STEPS, where=where, name="steps")
    need_tolerance(where, tolerance)
    bounds = ", ".join(f"{one} by {far:g}" for one, far in zip(names, several, strict=True))
    short = " ".join(f"{one} {far:g}" for one, far in zip(names, several, strict=True))
    stays = "the decision" if tolerance is None else f"the value by more than {tolerance:g}"
    return expectation(
        where, "adversarial", name or f"adversarial {short}",
        f"No change of {bounds} or less, of those that {steps} steps of a search try, "
        f"{'turns' if tolerance is None else 'moves'} {stays}.",
        names,
        {"within": list(map(float, several)), "steps": steps,
         "tolerance": tolerance},
        rows,
    )  # fmt: skip


def _check_sent_in(where: str, sent_in: str | None, unit: str | None) -> None:
    if sent_in is not None and unit is None:
        raise BadProject(
            where=where, found=f"sent_in={sent_in!r} without unit=",
            expected="sent_in beside unit: the field that is sent so",
            remedy="For example ty.robust(unit='wind_speed', sent_in='m/s').",
        )  # fmt: skip
