"""A real server, asked everything a client may ask and much that it may not."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.serve.clients import ROW
from tests.serve.running import MODEL, Place, wait_for
from tests.support.releases import answer
from torchyard.release import Release

PREDICT = f"/v1/models/{MODEL}/predict"
INFER = f"/v2/models/{MODEL}/infer"
ERROR_PARTS = {"error", "where", "found", "expected", "remedy"}


def rows(*distances: float) -> dict[str, Any]:
    return {"rows": [{**ROW, "distance": distance} for distance in distances]}


def tensors(*distances: float | None) -> list[dict[str, Any]]:
    count = len(distances)
    columns = {
        "distance": ("FP64", list(distances)),
        "carrier": ("BYTES", ["DL"] * count),
        "departs": ("INT64", [0] * count),
    }
    return [
        {"name": name, "shape": [count, 1], "datatype": datatype, "data": data}
        for name, (datatype, data) in columns.items()
    ]


def refusal(response: httpx.Response, status: int) -> dict[str, str]:
    assert response.status_code == status, response.text
    parts: dict[str, str] = response.json()
    if response.url.path.startswith("/v2"):  # its clients show ``error`` to people
        words, parts["error"] = parts["error"], parts.pop("code")
        assert words == "{where}: found {found}; expected {expected}. {remedy}".format_map(parts)
    assert set(parts) == ERROR_PARTS
    return parts


def test_predictions(client: httpx.Client, sealed: Release) -> None:
    response = client.post(PREDICT, json={**rows(0, 1000, 3000), "ids": ["a", "b", "c"]})
    content = response.json()

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert (content["release"], content["variant"]) == (sealed.id, "onnx-fp32")
    assert [one["id"] for one in content["predictions"]] == ["a", "b", "c"]
    assert [one["label"] for one in content["predictions"]] == ["on time", "late", "late"]
    for one, distance in zip(content["predictions"], (0, 1000, 3000), strict=True):
        assert list(one["probabilities"].values()) == pytest.approx(answer(distance), abs=1e-6)
        assert list(one["probabilities"]) == ["on time", "late"]


def test_ids_are_made_and_never_repeat(client: httpx.Client) -> None:
    made = [
        one["id"]
        for _ in range(5)
        for one in client.post(PREDICT, json=rows(1, 2, 3)).json()["predictions"]
    ]

    assert len(set(made)) == 15


def test_a_row_that_does_not_fit_is_told_by_its_path(client: httpx.Client) -> None:
    parts = refusal(client.post(PREDICT, json=rows(1, 2, 3, 99_999)), 422)

    assert parts == {
        "error": "bad_data",
        "where": "$.rows[3].distance",
        "found": "a number above 5000",
        "expected": "a number from 0 to 5000 km, or null",
        "remedy": "Correct 'distance' in this row.",
    }


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe\x00", 400),
        (b'{"rows": [{"carrier": "\xc3\x28"}]}', 400),
        (b'{"rows": ' + b"[" * 90_000, 422),
        (b'{"rows": [{"distance": ' + b'{"a":' * 30_000, 422),
        (b"[" * 90_000, 422),
        (b'{"rows": []}', 422),
        (json.dumps({"rows": [ROW] * 501}).encode(), 422),
        (b'{"rows": [{}], "rows": 3}', 422),
        (b"9" * 100_000, 422),
    ],
)
def test_hostile_bodies(client: httpx.Client, content: bytes, status: int) -> None:
    refusal(client.post(PREDICT, content=content), status)
    assert client.post(PREDICT, json=rows(1)).status_code == 200


def test_as_many_rows_as_are_allowed(client: httpx.Client) -> None:
    response = client.post(PREDICT, json=rows(*range(500)))
    found = [one["probabilities"]["late"] for one in response.json()["predictions"]]

    assert found == pytest.approx([answer(distance)[1] for distance in range(500)], abs=1e-6)


def test_unknown_names(client: httpx.Client) -> None:
    model = refusal(client.post("/v1/models/dem/predict", json=rows(1)), 404)
    path = refusal(client.get("/v3/models"), 404)

    assert model["found"] == "no deployed model of that name"
    assert model["remedy"] == "Did you mean 'demo'?"
    assert (path["found"], path["remedy"]) == (
        "no route of this path",
        "GET / lists where to begin.",
    )


@pytest.mark.parametrize(
    ("method", "pattern", "allow"),
    [
        ("GET", "/v1/models/{}/predict", "POST"),
        ("DELETE", "/v1/models/{}", "GET, HEAD"),
        ("POST", "/metrics", "GET, HEAD"),
        ("PUT", "/v2/models/{}/infer", "POST"),
        ("OPTIONS", "/", "GET, HEAD"),
    ],
)
def test_wrong_methods(client: httpx.Client, method: str, pattern: str, allow: str) -> None:
    response = client.request(method, pattern.replace("{}", MODEL))
    parts = refusal(response, 405)

    assert response.headers["allow"] == allow
    assert (parts["where"], parts["found"]) == (pattern, "another method")


def test_pages(client: httpx.Client, sealed: Release) -> None:
    assert client.get("/").json()["models"] == {MODEL: f"/v1/models/{MODEL}"}
    assert client.get("/health/live").json() == {"live": True}
    assert client.get("/health/ready").json() == {"ready": True}
    listed = client.get("/v1/models").json()["models"]
    assert listed == [{"name": MODEL, "release": sealed.id, "routes": {sealed.id: 1.0}}]
    shown = client.get(f"/v1/models/{MODEL}/").json()
    assert shown["release"] == sealed.id
    assert shown["task"]["classes"] == ["on time", "late"]
    assert [field["name"] for field in shown["schema"]["fields"]] == list(sealed.schema.names)


def test_labels_are_on_disk_when_acknowledged(client: httpx.Client, place: Place) -> None:
    labels = [{"id": "known", "label": True}, {"id": "other", "label": False}]
    response = client.post(f"/v1/models/{MODEL}/labels", json={"labels": labels})
    logs = [path.read_text() for path in (place.folder / "labels" / MODEL).iterdir()]
    lines = [json.loads(line) for text in logs for line in text.splitlines()]

    assert (response.status_code, response.json()) == (202, {"accepted": 2})
    assert [{"id": line["id"], "label": line["label"]} for line in lines] == labels
    bad = client.post(f"/v1/models/{MODEL}/labels", json={"labels": [{"id": "a", "label": 1}]})
    assert refusal(bad, 422)["where"] == "$.labels[0].label"
    assert refusal(client.post("/v1/models/nobody/labels", json={"labels": labels}), 404)


def test_answers_are_logged_without_personal_fields(client: httpx.Client, place: Place) -> None:
    row = {**ROW, "distance": 7.0, "seat": "31F-secret"}
    client.post(PREDICT, json={"rows": [row], "ids": ["to be logged"]})
    folder = place.folder / "predictions" / MODEL

    def text() -> str:
        return "".join(path.read_text() for path in folder.glob("*.jsonl"))

    wait_for(lambda: "to be logged" in text(), "the line in the prediction log")
    (line,) = [line for line in map(json.loads, text().splitlines()) if "to be" in line["id"]]
    assert line["row"] == {**ROW, "distance": 7.0}
    assert line["scores"] == pytest.approx(answer(7.0), abs=1e-6)
    assert "secret" not in text()


def test_v2_inference(client: httpx.Client, sealed: Release) -> None:
    distances = [0.0, None, 1000.0, 4000.0]
    content = client.post(INFER, json={"id": "mine", "inputs": tensors(*distances)}).json()
    probabilities, label = content["outputs"]

    assert (content["model_name"], content["id"]) == (MODEL, "mine")
    assert content["model_version"] == sealed.id[7:19]
    assert content["parameters"] == {"release": sealed.id, "variant": "onnx-fp32"}
    assert (probabilities["name"], probabilities["datatype"]) == ("probabilities", "FP32")
    assert probabilities["shape"] == [4, 2]
    flat = [value for distance in distances for value in answer(distance)]
    assert probabilities["data"] == pytest.approx(flat, abs=1e-6)
    assert (label["shape"], label["datatype"]) == ([4], "BYTES")
    assert label["data"] == ["on time", "on time", "late", "late"]


def test_v2_outputs_can_be_chosen(client: httpx.Client) -> None:
    wanted = {"inputs": tensors(1.0), "outputs": [{"name": "label"}]}
    assert [one["name"] for one in client.post(INFER, json=wanted).json()["outputs"]] == ["label"]
    wanted["outputs"] = [{"name": "lable"}]
    parts = refusal(client.post(INFER, json=wanted), 422)
    assert (parts["where"], parts["remedy"]) == ("$.outputs[0].name", "Did you mean 'label'?")


def test_v2_versions_are_releases(client: httpx.Client, sealed: Release) -> None:
    version = f"/v2/models/{MODEL}/versions/{sealed.id[7:19]}"
    assert client.get(version).json() == client.get(f"/v2/models/{MODEL}").json()
    assert client.get(f"{version}/ready").json() == {"name": MODEL, "ready": True}
    assert client.post(f"{version}/infer", json={"inputs": tensors(1.0)}).status_code == 200
    parts = refusal(client.get(f"/v2/models/{MODEL}/versions/0"), 404)
    assert parts["found"] == "no such version"


def test_v2_metadata(client: httpx.Client, sealed: Release) -> None:
    metadata = client.get(f"/v2/models/{MODEL}").json()
    inputs = {one["name"]: (one["datatype"], one["shape"]) for one in metadata["inputs"]}

    assert metadata["versions"] == [sealed.id[7:19]]
    assert inputs["distance"] == ("FP64", [-1, 1])
    assert inputs["carrier"] == inputs["departs"] == inputs["seat"] == ("BYTES", [-1, 1])
    assert client.get("/v2").json()["name"] == MODEL
    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2/health/ready").status_code == 200
    assert client.get(f"/v2/models/{MODEL}/ready").status_code == 200


def test_v2_values_obey_the_schema(client: httpx.Client) -> None:
    parts = refusal(client.post(INFER, json={"inputs": tensors(1.0, 6000.0)}), 422)

    assert parts["where"] == "$.inputs['distance'].data[1]"
    assert parts["expected"] == "a number from 0 to 5000 km, or null"


@pytest.mark.parametrize("text", ["soon", "0", "-5", "1e3", "600001", "9" * 30])
def test_a_malformed_deadline_is_refused(client: httpx.Client, text: str) -> None:
    response = client.post(PREDICT, json=rows(1), headers={"X-Deadline-Ms": text})

    assert refusal(response, 400)["where"] == "header X-Deadline-Ms"
    patient = {"X-Deadline-Ms": "5000"}
    assert client.post(PREDICT, json=rows(1), headers=patient).status_code == 200


def test_metrics_count_what_happened(client: httpx.Client, sealed: Release) -> None:
    def count(name: str, **labels: str) -> float:
        families = text_string_to_metric_families(client.get("/metrics").text)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    route = "/v1/models/{}/predict"
    names = {"model": MODEL, "route": route}
    before = count("torchyard_requests_total", code="200", **names)
    rows_before = count("torchyard_rows_total", model=MODEL)
    for _ in range(5):
        client.post(PREDICT, json=rows(1, 2))
    client.post(PREDICT, content=b"{")

    assert count("torchyard_requests_total", code="200", **names) == before + 5
    assert count("torchyard_requests_total", code="400", **names) >= 1
    assert count("torchyard_rows_total", model=MODEL) == rows_before + 10
    total = count("torchyard_requests_total", **names)
    assert count("torchyard_request_seconds_count", **names) == total
    assert count("torchyard_batch_rows_sum", model=MODEL) >= rows_before + 10
    assert count("torchyard_release_workers", release=sealed.id) == 1
