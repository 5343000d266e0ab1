"""A person's own words about rows: a rule's function, or the condition of a delete in SQL.

Both are true or false per row and are held to it: a predicate must give a row the same answer alone
as among others, or the answer would depend on how the data is cut into chunks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from torchyard.core.errors import BadProject, BadUsage, YardError
from torchyard.data.rules import Rule

_PROBES = 16


def broken_rows(rule: Rule, frame: pl.DataFrame, *, probe: bool) -> pl.Series:
    """Which rows break a user's rule, Boolean ``[rows]``.

    Args:
        rule: the rule; a null answer counts as kept.
        frame: the schema's fields and the label as columns.
        probe: also ask about some rows alone, and compare.

    Raises:
        BadProject: the rule fails, does not give one Boolean per row, or looks at other rows.
    """

    def refuse(found: str) -> YardError:
        return BadProject(
            where=f"checks, rule '{rule.name}'",
            found=found,
            expected="a boolean per row: a Series, or an expression over the columns",
            remedy="Mend its function; it takes a frame with the schema's fields and the label.",
        )

    def ask(rows: pl.DataFrame) -> object:
        answer = rule.check(rows)
        return rows.select(answer).to_series() if isinstance(answer, pl.Expr) else answer

    return ~_answers(ask, frame, refuse, probe=probe).fill_null(True)


def matching_rows(where: str, frame: pl.DataFrame, *, probe: bool) -> pl.Series:
    """Which rows an SQL condition over the columns holds for, Boolean ``[rows]``.

    Raises:
        BadUsage: it is no condition, names no such field, or looks at other rows.
    """

    def refuse(found: str) -> YardError:
        return BadUsage(
            where=f"--where {where!r}",
            found=found,
            expected=f"an SQL condition on one row, over {', '.join(frame.columns)}",
            remedy="For example --where \"age < 18 AND country = 'DE'\".",
        )

    def ask(rows: pl.DataFrame) -> object:
        return rows.select(pl.sql_expr(where)).to_series()

    return _answers(ask, frame, refuse, probe=probe).fill_null(False)


def _answers(
    ask: Callable[[pl.DataFrame], object],
    frame: pl.DataFrame,
    refuse: Callable[[str], YardError],
    *,
    probe: bool,
) -> pl.Series:
    answer = _boolean(ask, frame, refuse)
    if probe:
        step = max(frame.height // _PROBES, 1)
        for row in range(0, frame.height, step):
            alone = _boolean(ask, frame[row : row + 1], refuse)[0]
            if alone != answer[row]:
                raise refuse(
                    f"{answer[row]} for row {row + 1} among others but {alone} for it alone"
                )
    return answer


def _boolean(
    ask: Callable[[pl.DataFrame], object], frame: pl.DataFrame, refuse: Callable[[str], YardError]
) -> pl.Series:
    try:
        answer: Any = ask(frame)
    except Exception as error:
        # whatever a person's code raises is a fault of that code, named by its rule
        raise refuse(f"{type(error).__name__}: {_first_line(error)}") from error
    if not isinstance(answer, pl.Series):
        raise refuse(f"a {type(answer).__name__}")
    if answer.dtype not in (pl.Boolean, pl.Null):
        raise refuse(f"a Series of {answer.dtype}")
    if len(answer) != frame.height:
        raise refuse(f"{len(answer)} answers for {frame.height} rows")
    return answer.cast(pl.Boolean)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]
