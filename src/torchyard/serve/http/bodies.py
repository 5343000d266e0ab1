"""The plain JSON answer, encoded in one go: one compiled type per release instead of dicts.

``predictions`` says in plain Python what stands in an answer; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from torchyard.records.schema import Task
from torchyard.serve.abstaining import Abstained
from torchyard.serve.decoding.rows import UNNAMEABLE
from torchyard.serve.engine import Scores
from torchyard.serve.predictions import answered_as, labels_of, predictions

Encode = Callable[[Sequence[str], Scores], bytes]

_MOST_COMPILED = 256  # classes; with more, a dict costs little beside its contents
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


class _JudgedNumber(msgspec.Struct, gc=False):
    id: str
    value: float | None
    low: float | None
    high: float | None
    unit: str | None
    abstained: str | None
    reason: str | None


class _JudgedLabelled(msgspec.Struct, gc=False):
    id: str
    label: str | None
    confidence: float | None
    probabilities: Any
    abstained: str | None
    reason: str | None


class _JudgedLabels(msgspec.Struct, gc=False):
    id: str
    labels: list[str] | None
    probabilities: Any
    abstained: str | None
    reason: str | None


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
    if len(task.classes) > _MOST_COMPILED or any(map(UNNAMEABLE.search, task.classes)):
        return lambda ids, scores: _ENCODE(
            {"predictions": predictions(task, ids, scores), "release": release, "variant": variant}
        )
    named = _probabilities(task.classes)
    say = _saying_judged(task, named) if abstains else _saying(task, named)
    return lambda ids, scores: _ENCODE(_Body(say(ids, scores), release, variant))


def _saying(task: Task, named: Any) -> Callable[[Sequence[str], Scores], list[Any]]:
    """Makes the predictions of a release that answers every row."""
    if task.is_regression:
        unit = task.unit
        return lambda ids, scores: [
            _Number(i, value, low, high, unit)
            for i, (value, low, high) in zip(ids, scores, strict=True)
        ]
    if task.is_multilabel:
        return lambda ids, scores: [
            _Labels(i, labels_of(task, row), named(*row))
            for i, row in zip(ids, scores, strict=True)
        ]
    return lambda ids, scores: [
        _Labelled(i, *answered_as(task, row), named(*row))
        for i, row in zip(ids, scores, strict=True)
    ]


def _saying_judged(task: Task, named: Any) -> Callable[[Sequence[str], Any], list[Any]]:
    """Makes the predictions of a release that may leave rows without an answer."""

    def number(i: str, row: list[float], why: Abstained | None) -> _JudgedNumber:
        if why is not None:
            return _JudgedNumber(i, None, None, None, task.unit, *why)
        return _JudgedNumber(i, row[0], row[1], row[2], task.unit, None, None)

    def labels(i: str, row: list[float], why: Abstained | None) -> _JudgedLabels:
        if why is not None:
            return _JudgedLabels(i, None, None, *why)
        return _JudgedLabels(i, labels_of(task, row), named(*row), None, None)

    def labelled(i: str, row: list[float], why: Abstained | None) -> _JudgedLabelled:
        label, confidence = answered_as(task, row)
        if why is not None:
            kept = confidence if why.code == "unsure" else None
            return _JudgedLabelled(i, None, kept, None, *why)
        return _JudgedLabelled(i, label, confidence, named(*row), None, None)

    say: Any = number if task.is_regression else labels if task.is_multilabel else labelled
    return lambda ids, judged: [
        say(i, row, why) for i, row, why in zip(ids, judged.scores, judged.abstained, strict=True)
    ]


def _probabilities(classes: Sequence[str]) -> type[msgspec.Struct]:
    """A type whose JSON is an object with a number for every class."""
    names = [f"p{place}" for place in range(len(classes))]
    return msgspec.defstruct(
        "Probabilities",
        [(name, float) for name in names],
        rename=dict(zip(names, classes, strict=True)),
        gc=False,
    )
