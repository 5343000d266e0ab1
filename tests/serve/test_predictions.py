"""Predictions of every kind of task: plain JSON, tensors, and what releases may differ by."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.kinds import (
    ABOUT,
    DELAY,
    labels_onnx,
    number_onnx,
    of_number,
    with_labels,
    with_number,
)
from tests.support.releases import TASK, sample_release
from torchyard.core.errors import BadModel, BadRecord, NotReady
from torchyard.records.schema import Task
from torchyard.release import Contents
from torchyard.serve import replay
from torchyard.serve.engine import Engine, open_engine
from torchyard.serve.predictions import (
    label_of,
    labels_of,
    outputs_of,
    predictions,
    tensor_data,
)

PETS = Task(kind="multiclass_classification", label="pet", classes=("cat", "dog", "owl"))
SCORES = {
    TASK: [[0.5, 0.5], [0.6, 0.4], [0.1, 0.9]],
    PETS: [[0.2, 0.4, 0.4], [0.5, 0.25, 0.25], [0.1, 0.2, 0.7]],
    ABOUT: [[0.4, 0.39, 0.9], [0.1, 0.2, 0.3], [1.0, 1.0, 1.0]],
    DELAY: [[12.5, 3.0, 30.0], [0.0, -9.5, 17.5], [-4.0, -13.5, 13.5]],
}
ROW = {"carrier": "DL", "departs": "2026-02-01T09:30:00"}


def test_of_two_classes_the_second_is_answered_from_the_threshold_on() -> None:
    assert [label_of(TASK, row) for row in SCORES[TASK]] == ["late", "on time", "late"]


def test_of_many_classes_the_first_of_the_most_probable_is_answered() -> None:
    assert [label_of(PETS, row) for row in SCORES[PETS]] == ["dog", "cat", "owl"]


def test_of_labels_all_are_answered_from_the_threshold_on() -> None:
    assert [labels_of(ABOUT, row) for row in SCORES[ABOUT]] == [
        ["delay", "crew"], [], ["delay", "price", "crew"]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        (
            TASK,
            {"label": "late", "confidence": 0.5, "probabilities": {"on time": 0.5, "late": 0.5}},
        ),
        (
            PETS,
            {
                "label": "dog",
                "confidence": 0.4,
                "probabilities": {"cat": 0.2, "dog": 0.4, "owl": 0.4},
            },
        ),
        (
            ABOUT,
            {
                "labels": ["delay", "crew"],
                "probabilities": {"delay": 0.4, "price": 0.39, "crew": 0.9},
            },
        ),
        (DELAY, {"value": 12.5, "low": 3.0, "high": 30.0, "unit": "minutes"}),
        (replace(DELAY, unit=None), {"value": 12.5, "low": 3.0, "high": 30.0, "unit": None}),
    ],
)
def test_a_prediction_says_what_its_task_asks(task: Task, answer: dict[str, Any]) -> None:
    scores = SCORES.get(task, SCORES[DELAY])
    first, *others = predictions(task, ["a", "b", "c"], scores)
    assert first == {"id": "a", **answer}
    assert list(first) == ["id", *answer]
    assert [one["id"] for one in others] == ["b", "c"]


@pytest.mark.parametrize(
    ("task", "forms"),
    [
        (TASK, [("probabilities", "FP32", (2,)), ("label", "BYTES", ())]),
        (PETS, [("probabilities", "FP32", (3,)), ("label", "BYTES", ())]),
        (ABOUT, [("probabilities", "FP32", (3,)), ("labels", "BOOL", (3,))]),
        (DELAY, [("predictions", "FP32", (3,))]),
    ],
)
def test_tensors_have_as_many_elements_as_their_shapes_say(task: Task, forms: list[Any]) -> None:
    outputs = outputs_of(task)
    assert [tuple(output) for output in outputs] == forms
    for output in outputs:
        data = tensor_data(task, output, SCORES[task])
        assert len(data) == 3 * int(np.prod(output.shape))
    assert tensor_data(task, outputs[0], SCORES[task])[: len(task.outputs)] == SCORES[task][0]


def test_labels_are_true_or_false_for_each_class() -> None:
    data = tensor_data(ABOUT, outputs_of(ABOUT)[1], SCORES[ABOUT])
    assert data == [True, False, True, False, False, False, True, True, True]


# an engine over each kind of release


def score(engine: Engine, *distances: float | None) -> Sequence[list[float]]:
    rows = [{**ROW, "distance": distance} for distance in distances]
    return engine.score(engine.decoder.decode(json.dumps({"rows": rows}).encode()).rows)


@pytest.mark.parametrize(
    ("onnx", "change"), [(labels_onnx, with_labels), (number_onnx, with_number)]
)
def test_an_engine_answers_and_replays(tmp_path: Path, onnx: Any, change: Any) -> None:
    release = sample_release(tmp_path, onnx=onnx(), change=change)
    engine = open_engine(release, max_rows=10)
    distances = [row["distance"] for row in release.golden_requests()]
    given = score(engine, *map(_as_number, distances))
    for answer, golden in zip(given, release.golden_answers(), strict=True):
        assert answer == pytest.approx(golden, rel=1e-6, abs=1e-5)
    assert 0 <= replay(release) < 1e-6


def _as_number(value: object) -> float | None:
    return None if value is None else float(str(value))


def shifted(contents: Contents, *, place: int, by: tuple[float, ...]) -> Contents:
    """Golden answers of a number, of which one differs."""
    answers = [of_number(_as_number(row["distance"])) for row in contents.golden_requests]
    answers[place] = tuple(one + more for one, more in zip(answers[place], by, strict=True))
    return replace(with_number(contents), golden_answers=tuple(answers))


def test_numbers_are_replayed_in_proportion_to_their_size(tmp_path: Path) -> None:
    """Golden values are -60, 0, -60 and 239.97, so a middling row has the size 80."""
    for place, by, fits in (
        (3, (0.02, 0.0, 0.0), True),
        (3, (0.04, 0.0, 0.0), False),
        (0, (0.0, 0.007, 0.0), True),
        (0, (0.0, 0.009, 0.0), False),
        (1, (0.007, 0.0, 0.0), True),  # 0, held against the middling row
        (1, (0.009, 0.0, 0.0), False),
    ):
        release = sample_release(
            tmp_path / f"{place}-{by}",
            onnx=number_onnx(),
            change=partial(shifted, place=place, by=by),
        )
        if fits:
            assert 5e-5 < replay(release) < 1e-4
        else:
            with pytest.raises(NotReady, match=f"golden request {place} answered"):
                replay(release)


def test_a_file_that_answers_otherwise_than_the_task_is_refused(tmp_path: Path) -> None:
    release = sample_release(tmp_path, onnx=labels_onnx(), change=with_number)
    with pytest.raises(BadRecord, match="found a file that answers with probabilities") as caught:
        Engine(release, max_rows=1)
    assert caught.value.expected == "predictions, as its task is a regression"


def test_a_number_beyond_float32_is_no_answer(tmp_path: Path) -> None:
    release = sample_release(tmp_path, onnx=number_onnx(), change=with_number)
    engine = Engine(release, max_rows=2)
    columns = {
        "distance": np.array([[1e300]]),
        "carrier": np.array([["DL"]], dtype=object),
        "departs": np.array([[0]]),
        "seat": np.array([[""]], dtype=object),
    }
    engine.decoder.columns = lambda rows: columns
    with pytest.raises(BadModel, match="1 of 1 rows with numbers that are not finite"):
        engine.score([object()])
