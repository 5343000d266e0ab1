"""What each field makes of an answer: by taking it out, one copy of the row for each."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.kinds import labels_onnx, number_onnx, of_number, with_labels, with_number
from tests.support.releases import SCHEMA, TASK, answer, sample_dataset, sample_release
from torchyard.core.errors import BadData
from torchyard.records.dataset import FieldProfile, Profile
from torchyard.records.schema import Field, Schema
from torchyard.serve.abstaining import Abstained, JudgedScores
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.serve.engine import Engine
from torchyard.serve.explaining import MOST_FIELDS, MOST_SHOWN, UNKNOWN, Occluder, usual_value

ROW = {"carrier": "AA", "departs": "2026-02-01T09:30:00", "seat": "12A"}
MEDIAN = 1200.0  # of the sample's training distances


def decoded(engine: Engine, *distances: float | None) -> list[Any]:
    rows = [{**ROW, "distance": distance} for distance in distances]
    return engine.decoder.decode(json.dumps({"rows": rows}).encode()).rows


def explained(engine: Engine, *distances: float | None) -> list[Any]:
    rows = decoded(engine, *distances)
    occluder = Occluder(engine.schema, engine.reference)
    copies = occluder.copies(rows, most=100)
    assert len(copies) == len(rows) * len(occluder.fields)
    return occluder.explanations(engine.task, engine.score([*rows, *copies]))


def test_the_change_is_that_of_the_probability_of_the_label(engine: Engine) -> None:
    near, far = explained(engine, 300.0, 4000.0)
    usual = answer(MEDIAN)
    assert near["distance"] == pytest.approx(answer(300.0)[0] - usual[0], abs=1e-6)
    assert far["distance"] == pytest.approx(answer(4000.0)[1] - usual[1], abs=1e-6)
    assert near["distance"] > 0.2  # it is why the answer is 'on time'
    assert next(iter(near)) == "distance"
    assert near["carrier"] == far["carrier"] == near["seat"] == 0.0


def test_an_explanation_is_that_of_a_row_asked_alone(engine: Engine) -> None:
    distances = (300.0, None, 4000.0)
    assert explained(engine, *distances) == [explained(engine, one)[0] for one in distances]


def test_a_personal_field_is_emptied_and_one_without_a_usual_value_left_alone() -> None:
    occluder = Occluder(SCHEMA, sample_dataset().profile)
    # no value of a seat is in a release, and the sample says nothing of times
    assert occluder.fields == ("distance", "carrier", "seat")
    decoder = RowDecoder(SCHEMA, max_rows=1)
    body = {"rows": [{**ROW, "distance": 5.0}]}
    (row,) = decoder.decode(json.dumps(body).encode()).rows
    columns = decoder.columns(occluder.copies([row], most=10))
    assert columns["distance"][:, 0].tolist() == [MEDIAN, 5.0, 5.0]
    assert columns["carrier"][:, 0].tolist() == ["AA", "UA", "AA"]
    assert columns["seat"][:, 0].tolist() == ["12A", "12A", ""]
    assert len(set(columns["departs"][:, 0].tolist())) == 1


def test_of_a_number_it_is_the_change_of_the_value(tmp_path: Path) -> None:
    release = sample_release(tmp_path, onnx=number_onnx(), change=with_number)
    (found,) = explained(Engine(release, max_rows=9), 4000.0)
    assert found["distance"] == pytest.approx(of_number(4000.0)[0] - of_number(MEDIAN)[0])


def test_of_labels_it_is_the_change_of_each_that_is_answered(tmp_path: Path) -> None:
    release = sample_release(tmp_path, onnx=labels_onnx(), change=with_labels)
    (found,) = explained(Engine(release, max_rows=9), 4000.0)
    assert list(found) == ["delay", "crew"]
    assert found["delay"]["distance"] > 0.3
    assert found["crew"]["distance"] == 0.0


def test_a_row_that_is_not_answered_is_not_explained(engine: Engine) -> None:
    rows = decoded(engine, 300.0, 4000.0)
    occluder = Occluder(engine.schema, engine.reference)
    scores = list(engine.score([*rows, *occluder.copies(rows, most=100)]))
    why = Abstained("unsure", "The probability of the answer is below 0.9.")
    judged = JudgedScores(scores, [why, None, *[why] * 6])
    silent, said = occluder.explanations(engine.task, judged)
    assert silent is None
    assert said == explained(engine, 4000.0)[0]


def test_the_largest_ten_are_shown() -> None:
    fields = tuple(Field(name=f"x{n}", kind="number") for n in range(14))
    profiles = tuple(
        FieldProfile(name=field.name, kind="number", rows=9, missing=0, quantiles=(0.0,) * 9)
        for field in fields
    )
    occluder = Occluder(Schema(fields=fields), Profile(rows=9, fields=profiles))
    scores = [[0.4, 0.6], *([0.4 + n / 100, 0.6 - n / 100] for n in range(14))]
    (found,) = occluder.explanations(TASK, scores)
    assert found is not None
    assert list(found) == [f"x{n}" for n in range(13, 13 - MOST_SHOWN, -1)]
    assert found["x13"] == pytest.approx(0.13)


def test_too_much_is_refused(engine: Engine) -> None:
    rows = decoded(engine, *[1.0] * 30)
    occluder = Occluder(engine.schema, engine.reference)
    with pytest.raises(BadData, match="found 30 rows; expected at most 25 rows of 3 fields"):
        occluder.copies(rows, most=100)
    many = tuple(Field(name=f"x{n}", kind="text") for n in range(MOST_FIELDS + 1))
    profiles = tuple(FieldProfile(name=f.name, kind="text", rows=1, missing=0) for f in many)
    wide = Occluder(Schema(fields=many), Profile(rows=1, fields=profiles))
    with pytest.raises(BadData, match="found 65 fields; expected a model of at most 64 fields"):
        wide.copies(rows[:1], most=10_000)


NUMBERS = (1.0, 2.0, 3.0, 4.0, 5.5, 6.0, 7.0, 8.0, 9.0)
DAY_S = 86_400.0


@pytest.mark.parametrize(
    ("field", "told", "usual"),
    [
        (Field(name="x", kind="number"), {"quantiles": NUMBERS}, 5.5),
        (Field(name="x", kind="integer"), {"quantiles": NUMBERS}, 5),
        (Field(name="x", kind="boolean"), {"counts": (2, 7)}, True),
        (Field(name="x", kind="category"), {"values": ("b", "a"), "counts": (5, 4)}, "b"),
        (Field(name="x", kind="text"), {}, ""),
        (Field(name="x", kind="id"), {"values": ("b",), "counts": (5,)}, ""),
        (
            Field(name="x", kind="timestamp"),
            {"minimum": 0.0, "maximum": 20 * DAY_S, "counts": (0,) * 8 + (3,) + (0,) * 15},
            datetime(1970, 1, 11, 8),
        ),
        (Field(name="x", kind="image"), {}, UNKNOWN),
        (Field(name="x", kind="number"), {}, UNKNOWN),
        (Field(name="x", kind="number", optional=True), {}, None),
        (Field(name="x", kind="number", optional=True), {"quantiles": NUMBERS, "missing": 5}, None),
        (Field(name="x", kind="number", optional=True), {"quantiles": NUMBERS, "missing": 4}, 5.5),
        (Field(name="x", kind="category", personal=True), {"values": ("b",)}, UNKNOWN),
        (Field(name="x", kind="category", personal=True, optional=True), {"values": ("b",)}, None),
    ],
)
def test_what_is_usual(field: Field, told: dict[str, Any], usual: object) -> None:
    made = {"name": "x", "kind": field.kind, "rows": 9, "missing": 0, **told}
    assert usual_value(field, FieldProfile(**made)) == usual


def test_a_tensor_is_filled_with_its_mean() -> None:
    field = Field(name="x", kind="tensor", shape=(2, 2), dtype="int64")
    found = usual_value(field, FieldProfile(name="x", kind="tensor", rows=9, missing=0, mean=3.7))
    assert (found.dtype, found.tolist()) == (np.int64, [[3, 3], [3, 3]])
