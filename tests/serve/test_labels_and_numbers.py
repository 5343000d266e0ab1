"""A model of several labels and one of numbers over HTTP: answers, tensors, logs, labels."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve.running import MODEL, Place, Server, serving, wait_for
from tests.support.kinds import (
    labels_onnx,
    number_onnx,
    of_labels,
    of_number,
    with_labels,
    with_number,
)
from tests.support.releases import onnx_after_logit, sample_release
from torchyard.release import Contents

ROW = {"carrier": "DL", "departs": "2026-02-01T09:30:00"}
DISTANCES = (4000.0, 0.0, 1000.0)


@pytest.fixture(scope="module", name="start")
def _start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    with ExitStack() as stack:

        def start(onnx: bytes, change: Callable[[Contents], Contents]) -> Server:
            place = Place(tmp_path_factory.mktemp("kind"))
            place.post("deploy", sample_release(place.folder, onnx=onnx, change=change))
            return stack.enter_context(serving(place))

        yield start


@pytest.fixture(scope="module", name="about")
def _about(start: Callable[..., Server]) -> Server:
    return start(labels_onnx(), with_labels)


@pytest.fixture(scope="module", name="delay")
def _delay(start: Callable[..., Server]) -> Server:
    return start(number_onnx(), with_number)


def asked(server: Server, **more: Any) -> list[dict[str, Any]]:
    rows = [{**ROW, "distance": distance} for distance in DISTANCES]
    answer = server.predict(rows, **more)
    assert answer.status_code == 200
    predictions: list[dict[str, Any]] = answer.json()["predictions"]
    return predictions


def inferred(server: Server, **more: Any) -> httpx.Response:
    inputs = [
        {"name": "distance", "datatype": "FP64", "shape": [2, 1], "data": [4000.0, 0.0]},
        {"name": "carrier", "datatype": "BYTES", "shape": [2, 1], "data": ["DL", "UA"]},
        {"name": "departs", "datatype": "BYTES", "shape": [2, 1], "data": [ROW["departs"]] * 2},
    ]
    url = f"{server.url}/v2/models/{MODEL}/infer"
    return httpx.post(url, json={"inputs": inputs, **more}, timeout=20)


def logged(folder: Path) -> list[dict[str, Any]]:
    lines = [line for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines]


def is_logged(name: str, folder: Path) -> bool:
    return any(line["id"] == name for line in logged(folder))


def test_a_row_is_answered_with_its_labels(about: Server) -> None:
    given = asked(about, ids=["a", "b", "c"])
    assert [list(one) for one in given] == [["id", "labels", "probabilities"]] * 3
    assert [one["labels"] for one in given] == [
        ["delay", "crew"], ["price", "crew"], ["delay", "price", "crew"]
    ]  # fmt: skip
    for one, distance in zip(given, DISTANCES, strict=True):
        assert list(one["probabilities"]) == ["delay", "price", "crew"]
        assert list(one["probabilities"].values()) == pytest.approx(of_labels(distance), abs=1e-6)


def test_a_row_is_answered_with_a_number_and_its_interval(delay: Server) -> None:
    given = asked(delay, ids=["a", "b", "c"])
    assert [list(one) for one in given] == [["id", "value", "low", "high", "unit"]] * 3
    for one, distance in zip(given, DISTANCES, strict=True):
        assert [one["value"], one["low"], one["high"]] == pytest.approx(of_number(distance))
        assert one["unit"] == "minutes"


def test_tensors_of_labels(about: Server) -> None:
    given = inferred(about).json()
    probabilities, labels = given["outputs"]
    assert (probabilities["name"], probabilities["shape"]) == ("probabilities", [2, 3])
    assert (labels["name"], labels["datatype"], labels["shape"]) == ("labels", "BOOL", [2, 3])
    assert labels["data"] == [True, False, True, False, True, True]
    described = httpx.get(f"{about.url}/v2/models/{MODEL}").json()
    assert described["outputs"] == [
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "labels", "datatype": "BOOL", "shape": [-1, 3]},
    ]
    (only,) = inferred(about, outputs=[{"name": "labels"}]).json()["outputs"]
    assert only == labels
    refused = inferred(about, outputs=[{"name": "label"}])
    assert (refused.status_code, refused.json()["where"]) == (422, "$.outputs[0].name")
    assert refused.json()["expected"] == "probabilities or labels"


def test_tensors_of_a_number(delay: Server) -> None:
    given = inferred(delay).json()
    (predictions,) = given["outputs"]
    assert (predictions["name"], predictions["datatype"]) == ("predictions", "FP32")
    assert predictions["shape"] == [2, 3]
    assert predictions["data"] == pytest.approx([*of_number(4000.0), *of_number(0.0)])
    assert given["parameters"]["unit"] == "minutes"
    described = httpx.get(f"{delay.url}/v2/models/{MODEL}").json()
    assert described["outputs"] == [{"name": "predictions", "datatype": "FP32", "shape": [-1, 3]}]
    refused = inferred(delay, outputs=[{"name": "probabilities"}]).json()
    assert refused["expected"] == "predictions"


def test_a_model_says_what_it_predicts(about: Server, delay: Server) -> None:
    labels, number = (
        httpx.get(f"{server.url}/v1/models/{MODEL}").json()["task"] for server in (about, delay)
    )
    assert (labels["kind"], labels["threshold"]) == ("multilabel_classification", 0.4)
    assert labels["classes"] == ["delay", "price", "crew"]
    assert (number["kind"], number["unit"], number["coverage"]) == ("regression", "minutes", 0.9)


def test_answers_are_logged_in_the_order_of_the_outputs(about: Server, delay: Server) -> None:
    for server, answer in ((about, of_labels), (delay, of_number)):
        asked(server, ids=["x", "y", "z"])
        folder = server.place.folder / "predictions" / MODEL
        wait_for(partial(is_logged, "z", folder), "a line")
        (line,) = [one for one in logged(folder) if one["id"] == "x"]
        assert line["scores"] == pytest.approx(answer(4000.0), abs=1e-4)


def test_labels_are_lists_of_names_or_numbers(about: Server, delay: Server) -> None:
    for server, right, kept, wrong, expected in (
        (about, ["crew", "delay"], ["delay", "crew"], "crew", "a list of the names of classes"),
        (delay, 12, 12.0, "12", "a finite number of minutes"),
    ):
        url = f"{server.url}/v1/models/{MODEL}/labels"
        taken = httpx.post(url, json={"labels": [{"id": "a", "label": right}]})
        assert (taken.status_code, taken.json()) == (202, {"accepted": 1})
        (line,) = logged(server.place.folder / "labels" / MODEL)
        assert line["label"] == kept
        refused = httpx.post(url, json={"labels": [{"id": "a", "label": wrong}]})
        assert refused.status_code == 422
        assert refused.json()["where"] == "$.labels[0].label"
        assert refused.json()["expected"].startswith(expected)


def pole_onnx() -> bytes:
    """A graph whose value is 1 / (logit - 1): none at a distance of 2,000."""
    from onnx import TensorProto, helper

    return onnx_after_logit(
        helper.make_node("Sub", ["logit", "one"], ["above"]),
        helper.make_node("Reciprocal", ["above"], ["value"]),
        helper.make_node("Concat", ["value", "value", "value"], ["all"], axis=1),
        helper.make_node("Cast", ["all"], ["predictions"], to=TensorProto.FLOAT),
        classes=3,
        output="predictions",
    )


def with_pole(contents: Contents) -> Contents:
    distances = [row["distance"] for row in contents.golden_requests]
    values = [1000 / (float(str(one or 0.0)) - 2000) for one in distances]
    return replace(with_number(contents), golden_answers=tuple((one,) * 3 for one in values))


def test_what_is_not_finite_leaves_as_no_number_and_costs_no_neighbour(
    start: Callable[..., Server],
) -> None:
    server = start(pole_onnx(), with_pole)
    rows = [{**ROW, "distance": distance} for distance in (2000.0, 3000.0)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: server.predict([rows[n % 2]], ids=[f"{n}"]), range(24)))
    assert [answer.status_code for answer in answers] == [500, 200] * 12
    for answer in answers[::2]:
        assert answer.json()["error"] == "internal"
        assert re.match("a fault of the server, incident [0-9a-f-]+", answer.json()["found"])
    for answer in answers[1::2]:
        assert answer.json()["predictions"][0]["value"] == pytest.approx(1.0)
    folder = server.place.folder / "predictions" / MODEL
    wait_for(partial(is_logged, "23", folder), "a line")
    assert {int(line["id"]) % 2 for line in logged(folder)} == {1}
