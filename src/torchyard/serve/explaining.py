"""What each field of a row makes of its answer: occlusion against what is usual.

A field is exchanged for what training had most of, and the answer is asked for again: the change is
what the field makes of it. Zeiler and Fergus 2014 (section 4.2) do it with patches of a picture;
among removal-based explanations (Covert, Lundberg and Lee 2021) it is the one that removes features
one by one and puts a default in their place. It says what the model does, not what causes what; and
of two fields that say the same, it may show neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, final

import msgspec
import numpy as np

from torchyard.core.errors import BadData
from torchyard.records.dataset import FieldProfile, Profile
from torchyard.records.schema import Field, FieldKind, Schema, Task
from torchyard.serve.abstaining import JudgedScores
from torchyard.serve.engine import Engine, Scores

if TYPE_CHECKING:
    from torchyard.serve.app import Application
    from torchyard.serve.calls import Call

METHOD = "occlusion"
MOST_FIELDS = 64
MOST_SHOWN = 10

Changes = dict[str, float]
Explanation = Changes | dict[str, Changes] | None


@final
class _Unknown:
    """There is no usual value of a field, and nothing that stands for a missing one."""


UNKNOWN: Final = _Unknown()


def explain(
    app: Application,
    call: Call,
    engine: Engine,
    rows: list[object],
    ids: list[str],
    answer: Callable[[Scores, list[Explanation]], None],
) -> None:
    """Answer a call with scores and explanations: one batch of the rows and their occluded copies.

    Admission counts every copy as a row; the log has the rows alone.

    Args:
        app: of this worker.
        call: whom to answer.
        engine: the release that answers.
        rows: decoded by that engine's decoder.
        ids: one for each row.
        answer: puts both into the protocol's words and sends them.

    Raises:
        BadData: the rows have too many fields, or there are too many rows.
        Overloaded: there is no room or no time.
    """
    occluder = Occluder(engine.schema, engine.reference)
    copies = occluder.copies(rows, most=engine.max_rows)

    def finish(scores: Scores) -> None:
        answer(scores[: len(rows)], occluder.explanations(engine.task, scores))

    app.score(call, engine, rows, ids, finish, beside=copies)


def explain_tensors(
    app: Application,
    call: Call,
    engine: Engine,
    rows: list[object],
    ids: list[str],
    answer: Callable[[Scores], None],
) -> None:
    """Answer a call as ``explain`` does, its explanations among the scores, for their tensor."""

    def finish(scores: Scores, explanations: list[Explanation]) -> None:
        silent = scores.abstained if isinstance(scores, JudgedScores) else [None] * len(scores)
        named = [None if one is None else {METHOD: one} for one in explanations]
        answer(JudgedScores(list(scores), silent, named))

    explain(app, call, engine, rows, ids, finish)


@final
class Occluder:
    """Makes copies of rows, a field usual in each, and reads what became of their answers.

    Pictures are left alone, and so are personal fields that a row must have: what is usual of them
    does not leave the project.

    Args:
        schema: the fields of a row.
        reference: what training had in each field.
    """

    def __init__(self, schema: Schema, reference: Profile) -> None:
        profiles = {one.name: one for one in reference.fields}
        usual = {field.name: usual_value(field, profiles[field.name]) for field in schema.fields}
        self._usual = {name: value for name, value in usual.items() if value is not UNKNOWN}

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are exchanged."""
        return tuple(self._usual)

    def copies(self, rows: Sequence[object], *, most: int) -> list[object]:
        """A copy of every row for each field, row after row.

        Args:
            rows: decoded.
            most: rows that may be scored at once, those given included.

        Raises:
            BadData: that would be more, or there are more fields than ``MOST_FIELDS``.
        """
        count = len(self._usual)
        if count > MOST_FIELDS:
            raise _too_many(f"{count} fields", f"a model of at most {MOST_FIELDS} fields")
        if len(rows) * (count + 1) > most:
            expected = f"at most {most // (count + 1)} rows of {count} fields at once"
            raise _too_many(f"{len(rows)} rows", expected)
        places = _attributes(rows[0])
        exchanged = [(places[name], value) for name, value in self._usual.items()]
        return [_with(row, attribute, value) for row in rows for attribute, value in exchanged]

    def explanations(self, task: Task, scores: Scores) -> list[Explanation]:
        """For each row what its fields make of its answer, the most first; at most ``MOST_SHOWN``.

        Of a class the change of its probability, of a number that of the value: above 0 the field
        as it is raises it. Of several labels a row those of each one. None where the row is not
        answered.

        Args:
            task: what is predicted.
            scores: of the rows, then of all copies.
        """
        count = len(self._usual)
        rows = len(scores) // (count + 1)
        table = np.array(list(scores), dtype=np.float64)
        copies = table[rows:].reshape(rows, count, -1)
        changes = table[:rows, None] - copies
        silent = scores.abstained if isinstance(scores, JudgedScores) else [None] * rows
        return [
            None if silent[row] else self._explanation(task, table[row], changes[row])
            for row in range(rows)
        ]

    def _explanation(
        self, task: Task, answer: np.ndarray[Any, Any], changes: np.ndarray[Any, Any]
    ) -> Explanation:
        """Of one row; ``changes`` is ``[fields, outputs]``."""
        if task.is_regression:
            return self._largest(changes[:, 0])
        if task.is_multilabel:
            answered = np.flatnonzero(answer >= task.threshold).tolist()
            return {task.classes[place]: self._largest(changes[:, place]) for place in answered}
        if task.is_binary:
            return self._largest(changes[:, int(answer[1] >= task.threshold)])
        return self._largest(changes[:, int(answer.argmax())])

    def _largest(self, changes: np.ndarray[Any, Any]) -> Changes:
        order = np.argsort(-np.abs(changes), kind="stable")[:MOST_SHOWN].tolist()
        names = self.fields
        return {names[place]: float(changes[place]) for place in order}


def usual_value(field: Field, profile: FieldProfile) -> Any:
    """What stands in a field's place when it is taken out of a row.

    Nothing, where most rows of training have nothing there. Else the median of a number, the most
    frequent value of a category or boolean, for a time the middle of training's days at its most
    frequent hour, for a tensor the mean of its elements; a text is emptied.

    Returns:
        The value as a decoded row has it, None for a missing one, or ``UNKNOWN``.

    Example:
        >>> hops = FieldProfile(name="hops", kind="integer", rows=9, missing=0,
        ...                     quantiles=(0, 0, 1, 1, 2, 2, 2, 3, 3))
        >>> usual_value(Field(name="hops", kind="integer"), hops)
        2
    """
    if field.kind == "image":
        return UNKNOWN
    if field.optional and 2 * profile.missing > profile.rows:
        return None
    found = next(_USUAL[field.kind](field, profile), UNKNOWN) if not field.is_withheld else UNKNOWN
    return None if found is UNKNOWN and field.optional else found


def _number(field: Field, profile: FieldProfile) -> Iterator[Any]:
    if len(profile.quantiles) == 9:
        median = profile.quantiles[4]
        yield int(median // 1) if field.kind == "integer" else median


def _flag(field: Field, profile: FieldProfile) -> Iterator[Any]:
    if len(profile.counts) == 2:
        yield profile.counts[1] > profile.counts[0]


def _listed(field: Field, profile: FieldProfile) -> Iterator[Any]:
    yield from profile.values[:1]


def _emptied(field: Field, profile: FieldProfile) -> Iterator[Any]:
    yield ""


def _time(field: Field, profile: FieldProfile) -> Iterator[Any]:
    if profile.minimum is not None and profile.maximum is not None:
        middle = datetime.fromtimestamp((profile.minimum + profile.maximum) / 2, UTC)
        hour = max(range(len(profile.counts)), key=profile.counts.__getitem__, default=0)
        day = middle.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        yield day + timedelta(hours=hour)


def _elements(field: Field, profile: FieldProfile) -> Iterator[Any]:
    if profile.mean is not None:
        yield np.full(field.shape, profile.mean, dtype=field.dtype)


_USUAL: dict[FieldKind, Callable[[Field, FieldProfile], Iterator[Any]]] = {
    "number": _number,
    "integer": _number,
    "boolean": _flag,
    "category": _listed,
    "id": _emptied,
    "text": _emptied,
    "timestamp": _time,
    "tensor": _elements,
}


def _attributes(row: object) -> dict[str, str]:
    """A field's name to the attribute that a decoded row has it in."""
    fields = msgspec.structs.fields(type(row))  # type: ignore[arg-type]
    return {field.encode_name: field.name for field in fields}


def _with(row: object, attribute: str, value: object) -> object:
    changed = copy(row)
    setattr(changed, attribute, value)
    return changed


def _too_many(found: str, expected: str) -> BadData:
    return BadData(
        where="explain",
        found=found,
        expected=expected,
        remedy="Every field of every row is one more row to score: ask for fewer rows at once, or "
        "leave explain out.",
    )
