"""What a server says of itself is true: held against the decoder, the routes and real answers."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import httpx
import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attacks.test_requests import FIELDS, GOOD, HOSTILE, json_values
from tests.serve.clients import ROW
from tests.serve.running import MODEL
from torchyard.core.errors import BadData, BadUsage
from torchyard.records.schema import Field, Schema, Task
from torchyard.release import Release
from torchyard.serve.abstaining import Abstained, JudgedScores
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.serve.describing.deployed import LARGEST_EXAMPLE_BYTES, Deployed, Described, _example
from torchyard.serve.describing.openapi import OPERATIONS, document
from torchyard.serve.describing.page import docs_page
from torchyard.serve.http.routes import ROUTES
from torchyard.serve.predictions import predictions

LATE = Task(kind="binary_classification", label="late", classes=("on time", "late"))
DELAY = Task(kind="regression", label="delay", classes=(), unit="minutes", ge=0)
ABOUT = Task(kind="multilabel_classification", label="about", classes=("a", "b"))
PLAIN = Deployed(
    name="every-kind",
    release="sha256:" + "0" * 64,
    schema=Schema(fields=FIELDS),
    task=LATE,
    abstains=False,
    max_rows=4,
    example=json.dumps(GOOD),
)
SERVER = Described(
    project="demo",
    models=(PLAIN,),
    needs_keys=False,
    has_control=True,
    address="http://127.0.0.1:8000",
)
DECODER = RowDecoder(PLAIN.schema, max_rows=4)
# kinds with rules that JSON Schema has no form for. (And "N1\\n": in Python's patterns, by which
# this validator goes, $ stands before a line end too, in those of JSON Schema it does not.)
WIDER = {"timestamp", "image", "floats", "wholes", "integer", "number"}


def validator(made: dict[str, Any], component: str) -> jsonschema.Draft202012Validator:
    """Holds values against a component of a document."""
    schemas = json.loads(
        json.dumps(made["components"]["schemas"]).replace("#/components/schemas/", "#/$defs/")
    )
    return jsonschema.Draft202012Validator({"$defs": schemas, "$ref": f"#/$defs/{component}"})


REQUESTS = validator(document(SERVER), "every-kind.Predict")


def is_taken(body: bytes) -> bool:
    try:
        DECODER.decode(body)
    except (BadData, BadUsage):
        return False
    return True


def refs(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(refs, value.values()))
    return set().union(*map(refs, value)) if isinstance(value, list) else set()


def test_every_route_is_described_with_its_method_and_its_need() -> None:
    assert OPERATIONS.keys() == {route.pattern for route in ROUTES}
    for route in ROUTES:
        operation = OPERATIONS[route.pattern]
        assert (operation.method.upper(), operation.needs) == (route.method, route.needs)


def test_what_is_on_another_port_is_not_described() -> None:
    paths = document(replace(SERVER, has_control=False))["paths"]
    assert "/metrics" in document(SERVER)["paths"]
    assert "/metrics" not in paths
    assert "/v1/models/every-kind/predict" in paths


def test_every_reference_leads_somewhere_and_every_schema_is_one() -> None:
    made = document(SERVER)
    for ref in refs(made):
        _, components, kind, name = ref.split("/")
        assert name in made[components][kind], ref
    for schema in made["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_keys_are_described_where_they_are_needed() -> None:
    assert "security" not in document(SERVER)
    made = document(replace(SERVER, needs_keys=True))
    assert made["security"] == [{"bearer": []}, {"header": []}]
    assert made["paths"]["/health/live"]["get"]["security"] == []
    predict = made["paths"]["/v1/models/every-kind/predict"]["post"]
    assert {"401", "403", "422", "503"} <= predict["responses"].keys()


def test_a_good_request_fits_and_is_the_example() -> None:
    REQUESTS.validate({"rows": [GOOD]})
    content = document(SERVER)["paths"]["/v1/models/every-kind/predict"]["post"]["requestBody"]
    assert content["content"]["application/json"]["example"] == {"rows": [GOOD]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name in sorted(HOSTILE.keys() - WIDER)
        for value in HOSTILE[name]
        if value != "N1\n"
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_the_decoder_refuses_the_schema_refuses(name: str, value: Any) -> None:
    body = {"rows": [{**GOOD, name: value}]}
    assert not is_taken(json.dumps(body).encode())
    assert not REQUESTS.is_valid(body)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*sorted(GOOD), "unknown"]), json_values, min_size=1, max_size=3
    )
)
def test_the_schema_refuses_nothing_that_the_decoder_takes(changes: dict[str, Any]) -> None:
    body = json.loads(json.dumps({"rows": [{**GOOD, **changes}]}))
    if not REQUESTS.is_valid(body):
        assert not is_taken(json.dumps(body).encode())


@pytest.mark.parametrize("without", GOOD)
def test_both_refuse_a_row_without_a_field(without: str) -> None:
    body = {"rows": [{name: value for name, value in GOOD.items() if name != without}]}
    assert not REQUESTS.is_valid(body)
    assert not is_taken(json.dumps(body).encode())


@pytest.mark.parametrize("pattern", ["(?i)n[0-9]+", r"\d+", "N[0-9]++", "(?P<letter>N)1"], ids=repr)
def test_a_pattern_that_is_pythons_own_is_told_beside_the_schema(pattern: str) -> None:
    field = Field(name="id", kind="id", pattern=pattern)
    model = replace(PLAIN, schema=Schema(fields=(field,)))
    row = document(replace(SERVER, models=(model,)))["components"]["schemas"]["every-kind.Row"]
    assert "pattern" not in row["properties"]["id"]
    assert pattern.removeprefix("(?i)") in row["properties"]["id"]["x-pattern"]


def test_units_and_descriptions_of_fields_are_told() -> None:
    field = Field(name="x", kind="number", unit="km", description="How far.", optional=True)
    model = replace(PLAIN, schema=Schema(fields=(field,)), example="")
    row = document(replace(SERVER, models=(model,)))["components"]["schemas"]["every-kind.Row"]
    assert row["properties"]["x"]["description"] == "How far. In km."
    assert "required" not in row or "x" not in row["required"]


@pytest.mark.parametrize(
    ("task", "scores"),
    [(LATE, [0.25, 0.75]), (DELAY, [12.0, -1.0, 30.0]), (ABOUT, [0.9, 0.1])],
    ids=lambda value: getattr(value, "kind", ""),
)
@pytest.mark.parametrize("abstains", [False, True])
def test_answers_are_as_described(task: Task, scores: list[float], abstains: bool) -> None:
    model = replace(PLAIN, task=task, abstains=abstains)
    answers = validator(document(replace(SERVER, models=(model,))), "every-kind.Answer")
    judged = [None, Abstained("unsure", "why"), Abstained("outside_training", "why")]
    said = JudgedScores([scores] * 3, judged) if abstains else [scores] * 3
    answer = {
        "predictions": predictions(task, ["a", "b", "c"], said),
        "release": PLAIN.release,
        "variant": "onnx-fp32",
    }
    answers.validate(answer)
    assert not answers.is_valid({**answer, "predictions": [{"id": "a"}]})


def test_a_large_example_is_left_out() -> None:
    assert _example(b"x" * (LARGEST_EXAMPLE_BYTES + 1)) == ""
    made = document(replace(SERVER, models=(replace(PLAIN, example=""),)))
    body = made["paths"]["/v1/models/every-kind/predict"]["post"]["requestBody"]
    assert "example" not in body["content"]["application/json"]


def test_the_page_tells_fields_answers_and_refusals_and_asks_nothing_of_the_network() -> None:
    text = docs_page(replace(SERVER, needs_keys=True))
    for field in FIELDS:
        assert f"<td>{field.name}</td>" in text
    assert "calibrated probability" in text
    assert "<td>422</td>" in text
    assert "Authorization: Bearer $KEY" in text
    assert "<script" not in text
    assert "src=" not in text
    assert "<link" not in text


def test_the_page_escapes_what_comes_from_data() -> None:
    field = Field(name="<script>", kind="category", values=("</pre>", "b"), description="<img>")
    row = json.dumps({"<script>": "</pre>"})
    text = docs_page(
        replace(SERVER, models=(replace(PLAIN, schema=Schema(fields=(field,)), example=row),))
    )
    assert "<script>" not in text
    assert "<img>" not in text
    assert text.count("</pre>") == 1


def test_a_real_server_describes_itself(client: httpx.Client, sealed: Release) -> None:
    answer = client.get("/openapi.json")
    made = answer.json()
    requests = validator(made, f"{MODEL}.Predict")
    for request in sealed.golden_requests():
        requests.validate({"rows": [request]})
    path = f"/v1/models/{MODEL}/predict"
    example = made["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
    answered = client.post(path, json={**example, "explain": True})
    assert answered.status_code == 200
    validator(made, f"{MODEL}.Answer").validate(answered.json())
    infer = f"/v2/models/{MODEL}/infer"
    content = made["paths"][infer]["post"]["requestBody"]["content"]["application/json"]
    validator(made, "Inference.InferRequest").validate(content["example"])
    assert client.post(infer, json=content["example"]).status_code == 200
    refused = client.post(path, json={"rows": [{**ROW, "distance": "far"}]})
    validator(made, "Refusal").validate(refused.json())
    validator(made, "RefusalInWords").validate(client.post(infer, json={}).json())

    page = client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "distance" in page.text


def test_a_label_is_as_described() -> None:
    labels = validator(document(SERVER), "every-kind.Labels")
    labels.validate({"labels": [{"id": "a", "label": True}, {"id": "b", "label": "late"}]})
    assert not labels.is_valid({"labels": [{"id": "a", "label": "never"}]})
    assert not labels.is_valid({"labels": [{"id": "a", "label": 7}]})


def test_classes_named_by_whole_numbers_are_labels_as_numbers_too() -> None:
    task = Task(kind="multiclass_classification", label="digit", classes=("0", "1", "x"))
    made = document(replace(SERVER, models=(replace(PLAIN, task=task),)))
    labels = validator(made, "every-kind.Labels")
    assert labels.is_valid({"labels": [{"id": "a", "label": 1}, {"id": "b", "label": "1"}]})
    assert not labels.is_valid({"labels": [{"id": "a", "label": 2}]})


@pytest.mark.parametrize(
    "time",
    ["0000-01-01T00:00:00", "2026-13-01T00:00:00", "2026-01-01T24:00:00", "2026-01-01T00:00:60"],
)
def test_times_that_are_none_are_refused_by_both(time: str) -> None:
    body = {"rows": [{**GOOD, "timestamp": time}]}
    assert not REQUESTS.is_valid(body)
    assert not is_taken(json.dumps(body).encode())


def test_a_worker_starts_without_what_describes_it() -> None:
    probe = """
import sys
import torchyard.serve.worker
import torchyard.serve.http.routes
sys.exit("torchyard.serve.describing" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
