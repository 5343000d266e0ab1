"""The words of a project file for rows whose answer is known, and for behaviours as functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from torchyard.core.errors import BadProject
from torchyard.core.record import Json
from torchyard.project.changes import Change
from torchyard.project.expectations import Expectation, expectation, need_tolerance
from torchyard.project.needs import need_numbers

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    Answer = Callable[[pl.DataFrame], np.ndarray[Any, np.dtype[np.float64]]]
    Fails = Callable[[pl.DataFrame, Answer], pl.Series]
    Selects = Callable[[pl.DataFrame], "pl.Series | pl.Expr"]
    GivesRows = Callable[[], pl.DataFrame]


def minimum(
    *,
    expect: str | float | None = None,
    rows: Sequence[Mapping[str, object]] | GivesRows | None = None,
    where: Selects | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    tolerance: float | None = None,
    name: str | None = None,
    most_rows: int = 1_000,
) -> Expectation:
    """Simple rows must be answered as anybody would: minimum functionality.

    Args:
        expect: the class that must be decided for; for a number its value, within ``tolerance``.
        rows: the rows, as a request would send them, or a function that gives a polars frame ...
        where: ... or which test rows are meant: a function of a frame that gives a boolean per row.
        at_least: instead of the decision, the smallest probability of that class (or the smallest
            value).
        at_most: likewise the largest.
        tolerance: how far the value of a number may be off.
        name: what gates call it; needed where two would be called alike.
        most_rows: how many rows are tried at most.

    Raises:
        BadProject: not exactly one of ``rows`` and ``where``, or nothing that must hold.

    Example:
        >>> minimum(rows=[{"wind_speed": 0.0}], expect="late", at_most=0.5).behaviour.name
        'minimum late at most 0.5'
    """
    said = "ty.minimum(...)"
    if (rows is None) == (where is None):
        raise BadProject(
            where=said,
            found="neither rows= nor where=" if rows is None else "rows= and where=",
            expected="one of them",
            remedy="List the rows, or give a function that selects test rows.",
        )
    need_numbers(said, at_least=at_least, at_most=at_most, tolerance=tolerance)
    need_tolerance(said, tolerance)
    _need_something(said, expect, at_least, at_most)
    options: dict[str, Json] = {
        "expect": expect, "at_least": at_least, "at_most": at_most, "tolerance": tolerance,
    }  # fmt: skip
    must = _minimal(expect, at_least, at_most, tolerance)
    function = where if rows is None else rows if callable(rows) else None
    if function is None:
        options |= {"from": "rows", "rows_given": _rows_as_json(said, rows)}
        told = "Each listed row"
    else:
        options["from"] = "where" if rows is None else "function"
        called = getattr(function, "__name__", "a function")
        told = f"Each row of {'a condition' if called == '<lambda>' else called}"
    made = expectation(
        said, "minimum", name or f"minimum {must.short}", f"{told} {must.says}.", (), options,
        most_rows, name_of_rows="most_rows",
    )  # fmt: skip
    return Expectation(behaviour=made.behaviour, function=function)


def behaviour(function: Fails) -> Expectation:
    """A behaviour as a plain function, whose docstring says it in one sentence.

    The function takes ``rows``, a polars frame of test rows with the schema's fields, and
    ``answer``, which gives the model's answers to any such frame, ``float64 [rows, outputs]``:
    probabilities in the order of the task's classes, or value, low, high. It returns a boolean
    Series, true for each of ``rows`` that fails and null where the behaviour does not apply.
    ``answer`` refuses rows that break the schema. Gates call the behaviour by the function's name,
    with spaces.

    Raises:
        BadProject: it is no function of two arguments, or has no docstring.

    Example:
        >>> @behaviour
        ... def night_flights_are_later(rows, answer):
        ...     '''A flight at night is no more punctual than the same at noon.'''
        ...     return answer(rows)[:, 1] < 0
        >>> night_flights_are_later.behaviour.name
        'night flights are later'
    """
    where = f"@ty.behaviour, {getattr(function, '__name__', repr(function))}"
    if not _takes_two(function):
        raise BadProject(
            where=where, found=repr(function), expected="a function of rows and answer",
            remedy="Write def holds(rows, answer): and return a boolean Series of those that fail.",
        )  # fmt: skip
    says = " ".join((function.__doc__ or "").strip().partition("\n\n")[0].split())
    if not says:
        raise BadProject(
            where=where, found="no docstring", expected="a sentence that says what must hold",
            remedy="Reports and cards show it: write it below the def.",
        )  # fmt: skip
    made = expectation(where, "function", function.__name__.replace("_", " ").strip(), says, (), {},
                   1_000)  # fmt: skip
    return Expectation(behaviour=made.behaviour, function=function)


def _minimal(
    expect: str | float | None, at_least: float | None, at_most: float | None,
    tolerance: float | None,
) -> Change:  # fmt: skip
    """What must hold, in short and in a sentence."""
    bounds = [
        f"at {word} {bound:g}" for word, bound in (("least", at_least), ("most", at_most))
        if bound is not None
    ]  # fmt: skip
    if bounds:
        limits = " and ".join(bounds)
        of = "" if expect is None else f"{expect} "
        meant = "a value" if expect is None else f"'{expect}' a probability"
        return Change(short=of + limits, says=f"gives {meant} of {limits}")
    if isinstance(expect, str):
        return Change(short=expect, says=f"is answered with '{expect}'")
    off = 0.0 if tolerance is None else tolerance
    return Change(short=f"{expect:g}", says=f"gives {expect:g}, within {off:g}")


def _rows_as_json(where: str, rows: Any) -> list[Json]:
    """Rows as JSON, times as ISO 8601."""
    several = isinstance(rows, Sequence) and not isinstance(rows, str)
    if not several or not rows or not all(isinstance(row, Mapping) for row in rows):
        raise BadProject(
            where=where, found=f"rows={rows!r}", expected="a list of one row or more, as dicts",
            remedy="For example rows=[{'distance': 200.0, 'carrier': 'UA'}].",
        )  # fmt: skip
    return [
        {name: value.isoformat() if isinstance(value, datetime) else value
         for name, value in row.items()}
        for row in rows
    ]  # fmt: skip


def _takes_two(function: object) -> bool:
    if not callable(function) or not hasattr(function, "__name__"):
        return False
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return False
    return True


def _need_something(
    said: str, expect: object, at_least: float | None, at_most: float | None
) -> None:
    if expect is None and at_least is None and at_most is None:
        raise BadProject(
            where=said,
            found="nothing that must hold",
            expected="expect=, at_least= or at_most=",
            remedy="For example expect='late', at_least=0.8.",
        )
