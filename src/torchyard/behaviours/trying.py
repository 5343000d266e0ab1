"""A behaviour tried: rows changed, the model asked, answers judged.

What cannot be tried (a function that fails, a model that raises) becomes a finding on the result,
so that one bad behaviour hides no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.behaviours.asking import given_by, judged_by, selected_by
from torchyard.behaviours.attempts import Attempt, result_of
from torchyard.behaviours.changes import changed_columns
from torchyard.behaviours.outcomes import fails, is_known, moved
from torchyard.behaviours.search import search
from torchyard.behaviours.trial import Floats, Trial
from torchyard.core.digest import digest_json
from torchyard.core.errors import BadData, YardError
from torchyard.records.behaviours import Behaviour, BehaviourResult

if TYPE_CHECKING:
    import polars as pl


def try_behaviour(
    behaviour: Behaviour, trial: Trial, function: Callable[..., Any] | None = None
) -> BehaviourResult:
    """Try one behaviour on a trial's rows.

    Args:
        behaviour: as the project declares it.
        trial: the rows and the model. Of a ``where`` behaviour, the rows to select from.
        function: the one that belongs to the behaviour.
    """
    try:
        return _tried(behaviour, trial, function)
    except YardError as error:
        return BehaviourResult(
            name=behaviour.name, kind=behaviour.kind, says=behaviour.says, rows=0, failed=0,
            failure_rate=None, finding=str(error),
        )  # fmt: skip


def _tried(
    behaviour: Behaviour, trial: Trial, function: Callable[..., Any] | None
) -> BehaviourResult:
    if behaviour.kind == "minimum":
        trial = replace(trial, rows=_known_rows(behaviour, trial, function))
    before = trial.answer(trial.rows)
    return result_of(behaviour, trial, before, _attempts(behaviour, trial, before, function))


def _attempts(
    behaviour: Behaviour, trial: Trial, before: Floats, function: Callable[..., Any] | None
) -> list[Attempt]:
    # each behaviour draws its own numbers, whatever others are declared beside it
    purpose = digest_json([trial.seed, behaviour.name])
    draw = np.random.default_rng(int(purpose.removeprefix("sha256:"), 16))
    if behaviour.kind == "minimum":
        every = np.ones(len(before), dtype=np.bool_)
        failed = ~is_known(behaviour, trial.task, before)
        return [Attempt(tried=every, failed=failed, after=before, broken=~every)]
    if behaviour.kind == "function":
        assert function is not None
        return [judged_by(function, behaviour, trial, before)]
    if behaviour.kind == "adversarial":
        return [search(behaviour, trial, before, draw)]
    return [
        _attempt(behaviour, trial, before, column)
        for column in changed_columns(behaviour, trial.rows, trial.schema, draw)
    ]


def _attempt(behaviour: Behaviour, trial: Trial, before: Floats, column: pl.Series) -> Attempt:
    """Rows with another column in a field's place, where it differs and keeps the schema."""
    differs = trial.rows[column.name].ne_missing(column).to_numpy()
    changed = trial.rows.with_columns(column)
    fits = trial.fits(changed, [column.name])
    tried = differs & fits
    after = before.copy()
    after[tried] = trial.answer(changed.filter(tried))
    movement = moved(trial.task, before, after)
    return Attempt(
        tried=tried, failed=tried & fails(behaviour, trial.task, before, after), after=after,
        broken=differs & ~fits, moved=movement, changed=changed.select(column.name),
    )  # fmt: skip


def _known_rows(
    behaviour: Behaviour, trial: Trial, function: Callable[..., Any] | None
) -> pl.DataFrame:
    """The rows of a minimum functionality test, in the schema's types.

    Raises:
        BadData: one breaks the schema.
    """
    import polars as pl

    most = int(str(behaviour.options["rows"]))
    if behaviour.options["from"] == "where":
        assert function is not None
        return trial.rows.filter(selected_by(function, behaviour, trial.rows)).head(most)
    if function is not None:
        given = given_by(function, behaviour)
    else:
        listed = behaviour.options["rows_given"]
        assert isinstance(listed, list)
        given = _frame(listed, trial)
    blank = [pl.lit(None).alias(n) for n in trial.schema.names if n not in given.columns]
    return _typed(behaviour, given.with_columns(blank), trial).head(most)


def _frame(listed: list[Any], trial: Trial) -> pl.DataFrame:
    """Rows as a request sends them, as columns."""
    import base64

    import polars as pl

    columns: dict[str, pl.Series] = {}
    for field in trial.schema.fields:
        values = [row.get(field.name) for row in listed]
        if field.kind == "timestamp":
            columns[field.name] = pl.Series(values, dtype=pl.String).str.to_datetime(strict=False)
        elif field.kind == "image":
            columns[field.name] = pl.Series([v and base64.b64decode(v) for v in values])
        else:
            columns[field.name] = pl.Series(values, strict=False)
    return pl.DataFrame(columns)


def _typed(behaviour: Behaviour, given: pl.DataFrame, trial: Trial) -> pl.DataFrame:
    from torchyard.data.check import Checker

    parted = Checker(trial.schema, source=f"behaviour '{behaviour.name}'").update(given)
    if parted.aside is not None:
        raise BadData(
            where=f"behaviour '{behaviour.name}'",
            found=f"{int(parted.aside.sum())} rows that break the schema: {parted.broke[0][0]}",
            expected="rows that a request could send",
            remedy="Mend the rows in the project file.",
        )
    return parted.rows
