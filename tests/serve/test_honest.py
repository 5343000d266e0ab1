"""Honest answers on the wire: confidence, abstentions, explanations, incidents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.serve.test_app import Bench, run
from tests.support.releases import answer, sample_release
from torchyard.records.abstaining import Abstention, KnownField
from torchyard.release import Contents
from torchyard.serve.engine import Engine, Scores

ROW = {"carrier": "DL", "departs": "2026-02-01T09:30:00"}
KNOWN = (KnownField(field="distance", missing=True, minimum=100.0, maximum=3000.0),)
PREDICT = "/v1/models/demo/predict"
INFER = "/v2/models/demo/infer"


def post(path: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    return b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (
        path.encode(),
        len(content),
        content,
    )


def rows(*distances: float | None) -> list[dict[str, Any]]:
    return [{**ROW, "distance": distance} for distance in distances]


def asked(
    folder: Path, engine: Engine, *requests: tuple[str, object], logs: list[Any] | None = None
) -> list[tuple[int, Any]]:
    """Statuses and bodies of some requests; what was logged is put into ``logs``."""
    found: list[tuple[int, Any]] = []

    async def scenario(bench: Bench) -> None:
        for path, body in requests:
            bench.send(post(path, body))
        found.extend((status, body) for status, _, body in await bench.answers(len(requests)))
        bench.app.log_answers()
        bench.app.predictions.flush()

    run(scenario, folder, engine)
    if logs is not None:
        for path in sorted((folder / "demo").glob("*.jsonl")):
            logs += map(json.loads, path.read_text().splitlines())
    return found


@pytest.fixture(scope="module", name="quiet")
def _quiet(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    def abstaining(contents: Contents) -> Contents:
        return replace(contents, abstention=Abstention(below=0.6, known=KNOWN))

    folder = tmp_path_factory.mktemp("quiet")
    return Engine(sample_release(folder, change=abstaining), max_rows=100)


def test_an_answer_says_how_sure_it_is_and_who_gave_it(tmp_path: Path, engine: Engine) -> None:
    ((status, body),) = asked(tmp_path, engine, (PREDICT, {"rows": rows(0.0), "ids": ["a"]}))
    assert status == 200
    assert (body["release"], body["variant"]) == (engine.release, "onnx-fp32")
    (found,) = body["predictions"]
    assert list(found) == ["id", "label", "confidence", "probabilities"]
    assert found["confidence"] == found["probabilities"]["on time"]
    assert found["confidence"] == pytest.approx(answer(0.0)[0], abs=1e-6)


def test_rows_that_are_not_answered_are_told_and_logged(tmp_path: Path, quiet: Engine) -> None:
    logs: list[Any] = []
    body = {"rows": rows(1100.0, 2000.0, 4000.0), "ids": ["a", "b", "c"]}
    ((status, said),) = asked(tmp_path, quiet, (PREDICT, body), logs=logs)
    assert status == 200
    assert [one["label"] for one in said["predictions"]] == [None, "late", None]
    why = ["unsure", None, "outside_training"]
    assert [one["abstained"] for one in said["predictions"]] == why
    assert [one["abstained"] for one in logs] == why
    assert [line["scores"][1] for line in logs] == [
        pytest.approx(answer(distance)[1], abs=1e-6) for distance in (1100.0, 2000.0, 4000.0)
    ]


def infer(*distances: float, **more: Any) -> tuple[str, object]:
    shape = [len(distances), 1]
    inputs: list[dict[str, Any]] = [
        {"name": "distance", "datatype": "FP64", "shape": shape, "data": list(distances)},
        {"name": "carrier", "datatype": "BYTES", "shape": shape, "data": ["DL"] * shape[0]},
        {
            "name": "departs", "datatype": "BYTES", "shape": shape,
            "data": [ROW["departs"]] * shape[0],
        },
    ]  # fmt: skip
    return INFER, {"id": "q", "inputs": inputs, **more}


def test_tensors_have_an_output_more_where_a_release_abstains(
    tmp_path: Path, quiet: Engine, engine: Engine
) -> None:
    ((_, said),) = asked(tmp_path / "quiet", quiet, infer(2000.0, 4000.0))
    numbers, labels, why = said["outputs"]
    assert numbers["data"][2:] == [None, None]
    assert numbers["data"][1] == pytest.approx(answer(2000.0)[1], abs=1e-6)
    assert labels["data"] == ["late", ""]
    assert why == {
        "name": "abstained", "datatype": "BYTES", "shape": [2],
        "data": ["", "outside_training"],
    }  # fmt: skip
    ((_, plain),) = asked(tmp_path / "plain", engine, infer(4000.0))
    assert [output["name"] for output in plain["outputs"]] == ["probabilities", "label"]


def test_an_explanation_comes_with_the_answer_and_only_the_row_is_logged(
    tmp_path: Path, engine: Engine
) -> None:
    logs: list[Any] = []
    body = {"rows": rows(300.0, 4000.0), "ids": ["a", "b"]}
    plain, explained = asked(
        tmp_path, engine, (PREDICT, body), (PREDICT, {**body, "explain": True}), logs=logs
    )
    assert explained[1]["explained_by"] == "occlusion"
    for one, other in zip(plain[1]["predictions"], explained[1]["predictions"], strict=True):
        changes = other.pop("explanation")
        assert one == other
        assert next(iter(changes)) == "distance"
    assert [line["id"] for line in logs] == ["a", "b", "a", "b"]
    assert logs[:2] == logs[2:]


def test_tensors_are_explained_where_the_request_asks(tmp_path: Path, quiet: Engine) -> None:
    ((status, said),) = asked(tmp_path, quiet, infer(300.0, 4000.0, parameters={"explain": True}))
    assert status == 200
    explained = said["outputs"][-1]
    assert (explained["name"], explained["datatype"]) == ("explanation", "BYTES")
    first, second = explained["data"]
    assert json.loads(first)["occlusion"]["distance"] == pytest.approx(
        answer(300.0)[0] - answer(1200.0)[0], abs=1e-6
    )
    assert second == ""  # it is not answered
    ((status, refused),) = asked(tmp_path, quiet, infer(3.0, parameters={"explain": 1}))
    assert (status, refused["where"]) == (422, "$.parameters.explain")


def test_an_explanation_counts_with_all_its_rows(tmp_path: Path, engine: Engine) -> None:
    body = {"rows": rows(*[1.0] * 30), "explain": True}
    ((status, refused),) = asked(tmp_path, engine, (PREDICT, body))
    assert (status, refused["where"]) == (422, "explain")
    assert refused["expected"] == "at most 25 rows of 3 fields at once"


def test_an_unsound_answer_is_an_incident_and_costs_no_neighbour(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = engine._model.run

    class Odd:
        """Says 0.9 and 0.9 of every row that goes beyond 3,000."""

        def run(self, columns: Any) -> Any:
            answers = honest(columns)
            return np.where(columns["distance"] > 3000, np.float32(0.9), answers)

    monkeypatch.setattr(engine, "_model", Odd())
    logs: list[Any] = []
    found = asked(
        tmp_path, engine,
        *((PREDICT, {"rows": rows(d), "ids": [f"{d:g}"]}) for d in (1.0, 4000.0, 2.0)),
        logs=logs,
    )  # fmt: skip
    assert [status for status, _ in found] == [200, 500, 200]
    failed = found[1][1]
    assert failed["error"] == "internal"
    assert "incident" in failed["found"]
    assert "0.9" not in json.dumps(failed)
    assert [line["id"] for line in logs] == ["1", "2"]


def test_scores_of_plain_releases_stay_plain_lists(engine: Engine) -> None:
    body = json.dumps({"rows": rows(1.0)}).encode()
    given: Scores = engine.score(engine.decoder.decode(body).rows)
    assert type(given) is list
    assert isinstance(given[0], Sequence)
