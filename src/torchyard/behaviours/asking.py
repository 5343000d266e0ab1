"""Rows and verdicts that functions of the project file give: held to what they must be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.behaviours.attempts import Attempt
from torchyard.behaviours.trial import Bools, Floats, Trial, raised
from torchyard.core.errors import BadData, BadProject, YardError
from torchyard.records.behaviours import Behaviour

if TYPE_CHECKING:
    import polars as pl

Function = Callable[..., Any]


def judged_by(
    function: Function, behaviour: Behaviour, trial: Trial, before: Floats
) -> Attempt:  # fmt: skip
    """What a function of rows and answers says of each row.

    Raises:
        BadProject: it raises, or does not give one boolean per row.
        BadData: it asks about rows that break the schema.
    """

    def answer(rows: pl.DataFrame) -> Floats:
        names = list(trial.schema.names)
        wrong = int((~trial.fits(rows, names)).sum())
        if wrong:
            raise BadData(
                where=f"behaviour '{behaviour.name}'",
                found=f"{wrong} of {rows.height} rows that break the schema",
                expected="rows that a request could send",
                remedy="Clip what the function changes, or leave such rows out.",
            )
        return trial.answer(rows.select(names))

    # a frame of its own: whatever the function does to it, the rows stay as they are
    verdict = _booleans(behaviour, lambda: function(trial.rows.clone(), answer), trial.rows)
    tried = verdict.is_not_null().to_numpy()
    failed = verdict.fill_null(False).to_numpy()
    return Attempt(tried=tried, failed=failed, after=before, broken=np.zeros_like(tried))


def selected_by(function: Function, behaviour: Behaviour, rows: pl.DataFrame) -> Bools:
    """Which rows a ``where`` function selects, ``bool [rows]``.

    Raises:
        BadProject: it raises, or does not give one boolean per row.
    """
    chosen = _booleans(behaviour, lambda: function(rows.clone()), rows)
    return np.asarray(chosen.fill_null(False).to_numpy())


def given_by(function: Function, behaviour: Behaviour) -> pl.DataFrame:
    """The rows that a function gives; fields that they lack are missing.

    Raises:
        BadProject: it raises, or gives no frame of rows.
    """
    import polars as pl

    frame = _called(behaviour, function)
    if not isinstance(frame, pl.DataFrame) or not frame.height:
        raise _misfit(behaviour, f"a {type(frame).__name__}", "a polars frame of one row or more")
    return frame


def _booleans(behaviour: Behaviour, ask: Callable[[], Any], rows: pl.DataFrame) -> pl.Series:
    import polars as pl

    verdict = _called(behaviour, ask)
    if isinstance(verdict, pl.Expr):
        verdict = _called(behaviour, lambda: rows.select(verdict).to_series())
    if isinstance(verdict, np.ndarray) and verdict.dtype == np.bool_ and verdict.ndim == 1:
        verdict = pl.Series(verdict)
    expected = "a boolean per row: a Series or an expression"
    if not isinstance(verdict, pl.Series):
        raise _misfit(behaviour, f"a {type(verdict).__name__}", expected)
    if verdict.dtype not in (pl.Boolean, pl.Null):
        raise _misfit(behaviour, f"a Series of {verdict.dtype}", expected)
    if len(verdict) != rows.height:
        raise _misfit(behaviour, f"{len(verdict)} answers for {rows.height} rows", expected)
    return verdict.cast(pl.Boolean)


def _called(behaviour: Behaviour, function: Callable[[], Any]) -> Any:
    try:
        return function()
    except YardError:
        raise
    except Exception as error:
        # whatever a person's code raises is a fault of that code, named by its behaviour
        raise _misfit(behaviour, raised(error), "a function that runs") from error


def _misfit(behaviour: Behaviour, found: str, expected: str) -> BadProject:
    return BadProject(
        where=f"behaviour '{behaviour.name}'", found=found, expected=expected,
        remedy="Mend its function in the project file.",
    )  # fmt: skip
