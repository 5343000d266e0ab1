"""Attempts, one for each way in which rows were changed, and the result that they amount to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from torchyard.behaviours.trial import Bools, Floats, Trial
from torchyard.core.record import Json
from torchyard.data.rows import request_rows
from torchyard.evaluate.resampling.intervals import as_share
from torchyard.records.behaviours import Behaviour, BehaviourExample, BehaviourResult
from torchyard.records.schema import Schema

if TYPE_CHECKING:
    import polars as pl

_SHOWN = 5
_LONGEST_TEXT = 200


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What came of each row, changed in one way; every array has one element per row.

    Attributes:
        tried: whether the row was asked.
        failed: whether it was, and failed.
        after: answers ``[rows, outputs]``; of rows that were not tried, anything.
        broken: whether the row, changed, would break the schema.
        moved: how far the answer moved; None where nothing was changed.
        changed: the changed fields; None where nothing was changed.
    """

    tried: Bools
    failed: Bools
    after: Floats
    broken: Bools
    moved: Floats | None = None
    changed: pl.DataFrame | None = None


def result_of(
    behaviour: Behaviour, trial: Trial, before: Floats, attempts: Sequence[Attempt]
) -> BehaviourResult:
    """A row is tried when one attempt tries it, and fails when one fails.

    Args:
        behaviour: what was tried.
        trial: with the rows as they were.
        before: the answers to them.
        attempts: at least one.
    """
    tried = np.any([one.tried for one in attempts], axis=0)
    failed = np.any([one.failed for one in attempts], axis=0)
    broken = np.any([one.broken for one in attempts], axis=0)
    rows, failures = int(tried.sum()), int(failed.sum())
    moves = [one.moved[one.tried] for one in attempts if one.moved is not None]
    most = np.concatenate(moves) if moves else np.empty(0)
    return BehaviourResult(
        name=behaviour.name,
        kind=behaviour.kind,
        says=behaviour.says,
        rows=rows,
        failed=failures,
        failure_rate=as_share(failures / rows, trials=rows, rows=rows) if rows else None,
        left_out=int((broken & ~tried).sum()),
        worst=float(most.max()) if most.size else None,
        examples=_examples(trial, before, attempts, failed),
        finding="" if rows else "It applies to no row that was looked at.",
    )


def _examples(
    trial: Trial, before: Floats, attempts: Sequence[Attempt], failed: Bools
) -> tuple[BehaviourExample, ...]:
    """Some rows that fail, those whose answers moved furthest first, each by its worst attempt."""
    if not failed.any():
        return ()
    moves = np.stack([
        np.where(one.failed, 0.0 if one.moved is None else one.moved, -1.0) for one in attempts
    ])  # fmt: skip
    worst = moves.max(axis=0)
    places = np.flatnonzero(failed)
    shown = places[np.argsort(-worst[places], kind="stable")][:_SHOWN]
    return tuple(
        _example(trial, int(place), before, attempts[int(moves[:, place].argmax())])
        for place in shown
    )


def _example(trial: Trial, place: int, before: Floats, attempt: Attempt) -> BehaviourExample:
    changed = attempt.changed
    return BehaviourExample(
        row=_shown(trial.rows[place : place + 1], trial.schema),
        changed={} if changed is None else _shown(changed[place : place + 1], trial.schema),
        before=tuple(before[place].tolist()),
        after=tuple(attempt.after[place].tolist()),
    )


def _shown(row: pl.DataFrame, schema: Schema) -> dict[str, Json]:
    """A row's fields as a request sends them, None where one is missing or withheld.

    Pictures and tensors are left out, long texts are cut.
    """
    fields = tuple(
        one for one in schema.fields
        if one.name in row.columns and one.kind not in ("image", "tensor")
    )  # fmt: skip
    told = [one for one in fields if not one.is_withheld]
    sent = request_rows(row, Schema(fields=tuple(told)))[0]
    return {one.name: _cut(sent.get(one.name)) for one in fields}


def _cut(value: Json) -> Json:
    is_long = isinstance(value, str) and len(value) > _LONGEST_TEXT
    return f"{str(value)[: _LONGEST_TEXT - 1]}…" if is_long else value
