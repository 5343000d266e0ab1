"""The plain JSON answer, encoded in one go: one compiled type per release instead of dicts.

``predictions`` says in plain Python what stands in an answer; a test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from torchyard.records.schema import Task
from torchyard.serve.engine import Scores
from torchyard.serve.predictions import answered_as, labels_of, predictions

Encode = Callable[[Sequence[str], Scores], bytes]

_MOST_COMPILED = 256  # classes; with more, a dict costs little beside its contents
_UNNAMEABLE = re.compile(r'["\\\x00-\x1f]')  # msgspec cannot rename to them
_ENCODE = msgspec.json.Encoder().encode


class _Number(msgspec.Struct, gc=False):
    id: str
    value: float
    low: float
    high: float
    unit: str | None


class _Labelled(msgspec.Struct, gc=False):
    id: str
    label: str
    confidence: float
    probabilities: Any


class _Labels(msgspec.Struct, gc=False):
    id: str
    labels: list[str]
    probabilities: Any


class _Body(msgspec.Struct, gc=False):
    predictions: list[Any]
    release: str
    variant: str


def body_encoder(task: Task, *, release: str, variant: str, abstains: bool = False) -> Encode:
    """A function from the ids and scores of some rows to the body of their answer.

    Args:
        task: what is predicted.
        release: the release's id.
        variant: who answers.
        abstains: whether rows may be left without an answer.
    """
    if abstains or len(task.classes) > _MOST_COMPILED or any(map(_UNNAMEABLE.search, task.classes)):
        return lambda ids, scores: _ENCODE(
            {"predictions": predictions(task, ids, scores), "release": release, "variant": variant}
        )
    if task.is_regression:
        unit = task.unit
        return lambda ids, scores: _ENCODE(
            _Body([_Number(i, value, low, high, unit)
                   for i, (value, low, high) in zip(ids, scores, strict=True)], release, variant)
        )  # fmt: skip
    named = _probabilities(task.classes)
    if task.is_multilabel:
        return lambda ids, scores: _ENCODE(
            _Body([_Labels(i, labels_of(task, row), named(*row))
                   for i, row in zip(ids, scores, strict=True)], release, variant)
        )  # fmt: skip
    return lambda ids, scores: _ENCODE(
        _Body([_Labelled(i, *answered_as(task, row), named(*row))
               for i, row in zip(ids, scores, strict=True)], release, variant)
    )  # fmt: skip


def _probabilities(classes: Sequence[str]) -> type[msgspec.Struct]:
    """A type whose JSON is an object with a number for every class."""
    names = [f"p{place}" for place in range(len(classes))]
    return msgspec.defstruct(
        "Probabilities",
        [(name, float) for name in names],
        rename=dict(zip(names, classes, strict=True)),
        gc=False,
    )
