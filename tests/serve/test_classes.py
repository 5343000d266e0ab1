"""A model of three classes over HTTP: answers, tensors, labels by name."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from tests.serve.running import MODEL, Place, Server, serving
from tests.support.releases import GOLDEN, onnx_after_logit, sample_release
from torchyard.core.digest import digest_file
from torchyard.records.schema import Task
from torchyard.release import Contents, Release

PETS = Task(kind="multiclass_classification", label="pet", classes=("cat", "dog", "owl"))
ROW = {"carrier": "DL", "departs": "2026-02-01T09:30:00"}


def answer(distance: float | None) -> tuple[float, ...]:
    """What the model answers: the softmax of 0, the distance in thousands less 1, and 0."""
    logits = [0.0, (distance or 0.0) / 1000 - 1, 0.0]
    total = sum(math.exp(logit) for logit in logits)
    return tuple(math.exp(logit) / total for logit in logits)


def onnx_of_three() -> bytes:
    from onnx import TensorProto, helper

    return onnx_after_logit(
        helper.make_node("Mul", ["logit", "zero"], ["cat"]),
        helper.make_node("Concat", ["cat", "logit", "cat"], ["logits"], axis=1),
        helper.make_node("Cast", ["logits"], ["narrow"], to=TensorProto.FLOAT),
        helper.make_node("Softmax", ["narrow"], ["probabilities"], axis=1),
        classes=3,
    )


def of_three(contents: Contents) -> Contents:
    reports = tuple(
        replace(report, task=PETS, classes=(50, 30, 20)) for report in contents.evidence.reports
    )
    return replace(
        contents,
        task=PETS,
        evidence=replace(contents.evidence, reports=reports),
        golden_answers=tuple(answer(row["distance"]) for row in GOLDEN),
    )


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Release]]:
    place = Place(tmp_path_factory.mktemp("pets"))
    release = sample_release(place.folder, onnx=onnx_of_three(), change=of_three)
    place.post("deploy", release)
    with serving(place) as server:
        yield server, release


def test_a_row_is_answered_with_every_class(pets: tuple[Server, Release]) -> None:
    server, release = pets
    assert release.variants["onnx-fp32"].sha256 == digest_file(release.variant_path("onnx-fp32"))
    rows = [{**ROW, "distance": distance} for distance in (4000.0, 0.0, 1000.0)]
    given = server.predict(rows, ids=["a", "b", "c"]).json()
    assert [one["label"] for one in given["predictions"]] == ["dog", "cat", "cat"]
    for one, row in zip(given["predictions"], rows, strict=True):
        assert list(one["probabilities"]) == ["cat", "dog", "owl"]
        expected = answer(float(str(row["distance"])))
        assert list(one["probabilities"].values()) == pytest.approx(expected, abs=1e-6)


def test_tensors_hold_every_class(pets: tuple[Server, Release]) -> None:
    server, _ = pets
    body = {
        "inputs": [
            {"name": "distance", "datatype": "FP64", "shape": [1, 1], "data": [4000.0]},
            {"name": "carrier", "datatype": "BYTES", "shape": [1, 1], "data": ["DL"]},
            {"name": "departs", "datatype": "BYTES", "shape": [1, 1], "data": [ROW["departs"]]},
        ]
    }
    given = httpx.post(f"{server.url}/v2/models/{MODEL}/infer", json=body).json()
    outputs = {one["name"]: one for one in given["outputs"]}
    assert outputs["probabilities"]["shape"] == [1, 3]
    assert outputs["probabilities"]["data"] == pytest.approx(answer(4000.0), abs=1e-6)
    assert outputs["label"]["data"] == ["dog"]
    described = httpx.get(f"{server.url}/v2/models/{MODEL}").json()
    assert described["outputs"][0]["shape"] == [-1, 3]


def test_labels_are_class_names(pets: tuple[Server, Release]) -> None:
    server, _ = pets
    path = f"{server.url}/v1/models/{MODEL}/labels"
    taken = httpx.post(path, json={"labels": [{"id": "a", "label": "owl"}]})
    assert (taken.status_code, taken.json()) == (202, {"accepted": 1})
    (log,) = (server.place.folder / "labels" / MODEL).glob("*.jsonl")
    (line,) = log.read_text().splitlines()
    assert json.loads(line)["label"] == "owl"
    refused = httpx.post(path, json={"labels": [{"id": "a", "label": "horse"}]})
    assert refused.status_code == 422
    assert refused.json()["where"] == "$.labels[0].label"
    assert refused.json()["expected"] == "the name of a class"
