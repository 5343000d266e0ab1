"""Rows that are not answered: judged as a plain reading of the limits says, told as declared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.kinds import labels_onnx, number_onnx, with_labels, with_number
from tests.support.releases import sample_release
from torchyard.records.abstaining import Abstention, KnownField
from torchyard.records.schema import Field, Schema, Task
from torchyard.release import Contents, Release
from torchyard.serve.abstaining import Abstained, Abstainer, JudgedScores, codes
from torchyard.serve.engine import Engine
from torchyard.serve.logs.predictions import encode
from torchyard.serve.predictions import (
    ABSTAINED,
    answered_as,
    outputs_of,
    predictions,
    tensor_data,
)

LATE = Task(kind="binary_classification", label="late", classes=("no", "yes"), threshold=0.3)
PETS = Task(kind="multiclass_classification", label="pet", classes=("cat", "dog", "owl"))
DELAY = Task(kind="regression", label="delay", classes=(), unit="minutes")
SCHEMA = Schema(fields=(Field(name="distance", kind="number", optional=True),))
KNOWN = (KnownField(field="distance", missing=False, minimum=100.0, maximum=2000.0),)
ROW = {"carrier": "DL", "departs": "2026-02-01T09:30:00"}
SAID = "distance lies outside of what training had."

DISTANCES = st.sampled_from([50.0, 100.0, 900.0, 2000.0, 2000.5, float("nan")])
# of float32, as answers are: a limit must not be rounded to them
YES = st.floats(0, 1, width=32) | st.sampled_from([float(np.float32(0.7)), 0.3, 0.5])


def plainly(rule: Abstention, task: Task, distance: float, answer: list[float]) -> str | None:
    """The reason by the words of the declaration, row by row."""
    if rule.known and not 100.0 <= distance <= 2000.0:
        return "outside_training"
    if rule.wider_than is not None:
        return "wide_interval" if answer[2] - answer[1] > rule.wider_than else None
    if rule.below is not None and answered_as(task, answer)[1] < rule.below:
        return "unsure"
    return None


@given(
    st.lists(st.tuples(DISTANCES, YES), min_size=1, max_size=6),
    st.sampled_from([LATE, PETS]),
    st.sampled_from([None, 0.5, 0.7, 0.9]),
    st.booleans(),
)
@settings(deadline=None, max_examples=150)
def test_reasons_are_those_of_the_plain_way(
    rows: list[tuple[float, float]], task: Task, below: float | None, is_held: bool
) -> None:
    rule = Abstention(below=below, known=KNOWN if is_held else ())
    rest = len(task.classes) - 1
    answers = np.array([[(1 - yes) / rest] * rest + [yes] for _, yes in rows], dtype=np.float32)
    columns = {"distance": np.array([[distance] for distance, _ in rows])}
    judged = Abstainer(rule, SCHEMA, task).judge(columns, answers)
    assert [None if why is None else why.code for why in judged] == [
        plainly(rule, task, distance, answer)
        for (distance, _), answer in zip(rows, answers.tolist(), strict=True)
    ]


@given(st.lists(st.tuples(DISTANCES, st.floats(0, 50), st.floats(0, 50)), min_size=1, max_size=5))
@settings(deadline=None, max_examples=60)
def test_wide_intervals_are_those_of_the_plain_way(rows: list[tuple[float, float, float]]) -> None:
    rule = Abstention(wider_than=40.0, known=KNOWN)
    answers = np.array([[0.0, -below, above] for _, below, above in rows])
    columns = {"distance": np.array([[distance] for distance, *_ in rows])}
    judged = Abstainer(rule, SCHEMA, DELAY).judge(columns, answers)
    assert [None if why is None else why.code for why in judged] == [
        plainly(rule, DELAY, distance, [0.0, -below, above]) for distance, below, above in rows
    ]


def test_a_sentence_names_fields_and_limits_and_no_value() -> None:
    rule = Abstention(below=0.6, known=(*KNOWN, KnownField(field="who", missing=False, values=())))
    schema = Schema(fields=(*SCHEMA.fields, Field(name="who", kind="category")))
    columns = {
        "distance": np.array([[7777.0], [np.nan], [900.0]]),
        "who": np.array([["Ada"], [""], ["Bob"]], dtype=object),
    }
    answers = np.array([[0.5, 0.5]] * 3)
    outside, missing, unknown = Abstainer(rule, schema, LATE).judge(columns, answers)
    assert outside == Abstained(
        "outside_training",
        "distance lies outside of what training had, who has a value that training never had.",
    )
    assert missing is not None
    assert unknown is not None
    assert missing.sentence == (
        "distance is missing, which it never was in training, "
        "who is missing, which it never was in training."
    )
    assert unknown.sentence == "who has a value that training never had."


def test_a_sentence_has_an_end() -> None:
    fields = tuple(Field(name=f"x{n}", kind="number") for n in range(8))
    known = tuple(KnownField(field=field.name, missing=False) for field in fields)
    columns = {field.name: np.array([[1.0]]) for field in fields}
    (why,) = Abstainer(Abstention(known=known), Schema(fields=fields), LATE).judge(
        columns, np.array([[0.1, 0.9]])
    )
    assert why is not None
    assert why.sentence.endswith("x4 lies outside of what training had, and 3 more.")


# a release that may abstain


def abstaining(contents: Contents) -> Contents:
    return replace(contents, abstention=Abstention(below=0.6, known=KNOWN))


@pytest.fixture(scope="module", name="quiet")
def _quiet(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    release = sample_release(tmp_path_factory.mktemp("quiet"), change=abstaining)
    return Engine(release, max_rows=10)


def score(engine: Engine, *distances: float | None) -> Any:
    rows = [{**ROW, "distance": distance} for distance in distances]
    return engine.score(engine.decoder.decode(json.dumps({"rows": rows}).encode()).rows)


def test_an_engine_says_why_and_keeps_the_scores(quiet: Engine, engine: Engine) -> None:
    judged = score(quiet, 1100.0, 2000.0, 0.0, None)
    assert quiet.abstains
    assert not engine.abstains
    assert isinstance(judged, JudgedScores)
    assert codes([judged]) == ["unsure", None, "outside_training", "outside_training"]
    plain = score(engine, 1100.0, 2000.0, 0.0, None)
    assert type(plain) is list
    assert list(judged) == judged.scores == plain
    assert codes([plain]) == [None] * 4
    part = judged[1:3]
    assert (len(part), part[0], codes([part])) == (2, plain[1], [None, "outside_training"])


def test_a_prediction_that_is_withheld_holds_nothing_to_act_on(quiet: Engine) -> None:
    unsure, sure, outside = predictions(quiet.task, "abc", score(quiet, 1100.0, 2000.0, 0.0))
    assert unsure == {
        "id": "a", "label": None, "confidence": pytest.approx(0.525, abs=1e-3),
        "probabilities": None, "abstained": "unsure",
        "reason": "The probability of the answer is below 0.6.",
    }  # fmt: skip
    assert (sure["label"], sure["abstained"], sure["reason"]) == ("late", None, None)
    assert outside == {
        "id": "c", "label": None, "confidence": None, "probabilities": None,
        "abstained": "outside_training", "reason": SAID,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("onnx", "change", "nothing"),
    [
        (number_onnx, with_number, {"value": None, "low": None, "high": None, "unit": "minutes"}),
        (labels_onnx, with_labels, {"labels": None, "probabilities": None}),
    ],
)
def test_labels_and_numbers_are_withheld_alike(
    tmp_path: Path, onnx: Any, change: Any, nothing: dict[str, object]
) -> None:
    def both(contents: Contents) -> Contents:
        changed: Contents = change(contents)
        return replace(changed, abstention=Abstention(known=KNOWN))

    engine = Engine(sample_release(tmp_path, onnx=onnx(), change=both), max_rows=4)
    (withheld,) = predictions(engine.task, "a", score(engine, 0.0))
    assert withheld == {"id": "a", **nothing, "abstained": "outside_training", "reason": SAID}
    judged = score(engine, 0.0, 900.0)
    *answers, why = outputs_of(engine.task, abstains=True)
    assert why == ABSTAINED
    assert tensor_data(engine.task, why, judged) == ["outside_training", ""]
    for output in answers:
        data = np.array(tensor_data(engine.task, output, judged), dtype=np.float64)
        nothing_said, said = data.reshape(2, -1)
        assert said.tolist() == tensor_data(engine.task, output, [judged[1]])
        assert (nothing_said == 0).all() or np.isnan(nothing_said).all()


def test_tensors_say_which_rows_are_not_answered(quiet: Engine) -> None:
    outputs = outputs_of(quiet.task, abstains=True)
    assert [output.name for output in outputs] == ["probabilities", "label", "abstained"]
    judged = score(quiet, 0.0, 2000.0)
    numbers, labels, why = (tensor_data(quiet.task, output, judged) for output in outputs)
    assert all(np.isnan(np.array(numbers[:2], dtype=np.float32)))
    assert numbers[2:] == judged[1]
    assert (labels, why) == (["", "late"], ["outside_training", ""])


def test_the_log_has_the_reason_beside_what_the_answer_would_have_been(quiet: Engine) -> None:
    body = json.dumps({"rows": [{**ROW, "distance": 0.0}, {**ROW, "distance": 2000.0}]})
    rows = quiet.decoder.decode(body.encode()).rows
    judged = quiet.score(rows)
    lines = encode(quiet, at=1.0, ids="ab", rows=rows, scores=judged, abstained=codes([judged]))
    first, second = map(json.loads, lines.splitlines())
    assert (first["abstained"], second["abstained"]) == ("outside_training", None)
    assert first["scores"] == judged[0]


def test_a_release_says_whether_it_abstains(tmp_path: Path, release: Release) -> None:
    assert release.abstention is None
    other = sample_release(tmp_path, change=abstaining)
    assert other.abstention == Abstention(below=0.6, known=KNOWN)
