"""An OpenAPI 3.1 document of what a server answers now.

Source: OpenAPI Specification 3.1.0, https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec

from torchyard.serve.describing.answering import (
    REFUSALS,
    answer_schemas,
    refusal_responses,
    refusal_schemas,
)
from torchyard.serve.describing.deployed import Deployed, Described, example_row
from torchyard.serve.describing.fields import (
    COMPONENTS,
    infer_example,
    infer_schemas,
    label_schema,
    request_schemas,
)
from torchyard.version import __version__

Json = dict[str, Any]

_UNKEYED = frozenset({401, 403})
_ANY = {405, 408, 413, 417, 431, 500, 501, 503}


class Operation(NamedTuple):
    """What a route does, in a line; ``body`` is the end of its body's component, if it has one."""

    summary: str
    method: Literal["get", "post"] = "get"
    body: str = ""
    answer: str = ""
    needs: Literal["nothing", "predict", "operate"] = "predict"
    content_type: str = "application/json"
    status: int = 200


OPERATIONS = {
    "/v1/models/{}/predict": Operation("Answer rows", "post", ".Predict", ".Answer"),
    "/v1/models/{}/labels": Operation("Say what became of answers", "post", ".Labels", status=202),
    "/v1/models/{}": Operation("What serves a model, and its schema"),
    "/v1/models": Operation("The models"),
    "/v2/models/{}/infer": Operation("Answer tensors", "post", "Inference.InferRequest"),
    "/v2/models/{}/versions/{}/infer": Operation(
        "Answer tensors by a release", "post", "Inference.InferRequest"
    ),
    "/v2/models/{}/versions/{}/ready": Operation("Whether a release is served"),
    "/v2/models/{}/versions/{}": Operation("Inputs and outputs of a release"),
    "/v2/models/{}/versions/{}/stats": Operation("What was counted of a release"),
    "/v2/models/{}/ready": Operation("Whether a model is served"),
    "/v2/models/{}/stats": Operation("What was counted of a model's releases"),
    "/v2/models/stats": Operation("What was counted of every release"),
    "/v2/models/{}": Operation("Inputs and outputs"),
    "/v2/health/live": Operation("Whether the server lives", needs="nothing"),
    "/v2/health/ready": Operation("Whether every model is served", needs="nothing"),
    "/v2/repository/index": Operation("Releases, and which are served", "post"),
    "/v2/repository/models/{}/load": Operation("Serve a release of it", "post", needs="operate"),
    "/v2/repository/models/{}/unload": Operation("Serve it no more", "post", needs="operate"),
    "/v2": Operation("The server and its extensions"),
    "/health/live": Operation("Whether the server lives", needs="nothing"),
    "/health/ready": Operation("Whether every model is served", needs="nothing"),
    "/v1/server": Operation("What each worker says of itself", needs="operate"),
    "/metrics": Operation("Numbers for Prometheus", needs="operate", content_type="text/plain"),
    "/openapi.json": Operation("This document"),
    "/docs": Operation("How to ask the models, for people", content_type="text/html"),
    "/": Operation("Where to begin"),
}


@lru_cache(maxsize=1)
def openapi(server: Described) -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document(server))


def document(server: Described) -> Json:
    """The document: a path for every route and model, see ``OPERATIONS``."""
    made: Json = {
        "openapi": "3.1.0",
        "info": {"title": f"{server.project}: models", "version": __version__},
        "servers": [{"url": "/"}],
        "paths": _paths(server),
        "components": {
            "schemas": _schemas(server),
            "responses": refusal_responses(),
        },
    }
    if server.needs_keys:
        made["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
        }
        made["security"] = [{"bearer": []}, {"header": []}]
    return made


def _schemas(server: Described) -> dict[str, Json]:
    schemas = refusal_schemas() | infer_schemas()
    for model in server.models:
        schemas |= request_schemas(model) | answer_schemas(model)
        schemas[f"{model.name}.Labels"] = label_schema(model.task)
    return schemas


def _paths(server: Described) -> dict[str, Json]:
    paths: dict[str, Json] = {}
    for pattern, operation in OPERATIONS.items():
        if operation.needs == "operate" and not server.has_control:
            continue
        if "{}" not in pattern:
            paths[pattern] = {operation.method: _operation(server, pattern, operation, None)}
            continue
        for model in server.models:
            path = pattern.replace("{}", model.name, 1).replace("{}", "{version}")
            paths[path] = {operation.method: _operation(server, pattern, operation, model)}
            if "{version}" in path:
                paths[path]["parameters"] = [_VERSION]
    return paths


def _operation(
    server: Described, pattern: str, operation: Operation, model: Deployed | None
) -> Json:
    made: Json = {"summary": operation.summary}
    if model is not None:
        made["tags"] = [model.name]
    if operation.needs == "nothing":
        made["security"] = []
    if operation.body and model is not None:
        made["requestBody"] = _body(pattern, operation, model)
        made["parameters"] = _DEADLINES
    schema: Json = {}
    if operation.answer and model is not None:
        schema = {"$ref": f"{COMPONENTS}{model.name}{operation.answer}"}
    answered = {
        "description": "An answer",
        "content": {operation.content_type: {"schema": schema} if schema else {}},
    }
    made["responses"] = {str(operation.status): answered} | _refusals(server, pattern, operation)
    return made


def _refusals(server: Described, pattern: str, operation: Operation) -> dict[str, Json]:
    kind = "RefusalInWords" if pattern.startswith("/v2") else "Refusal"
    statuses = _ANY | ({404} if "{}" in pattern else set())
    if operation.method == "post":
        statuses |= {400, 422}
    else:
        statuses |= {400}
    if operation.method == "post" and operation.needs == "operate":
        statuses |= {403, 409}
    if server.needs_keys and operation.needs != "nothing":
        statuses |= _UNKEYED
    return {
        str(status): {"$ref": f"#/components/responses/{kind}{status}"}
        for status in sorted(statuses & REFUSALS.keys())
    }


def _body(pattern: str, operation: Operation, model: Deployed) -> Json:
    name = operation.body if operation.body[0] != "." else f"{model.name}{operation.body}"
    content: Json = {"schema": {"$ref": f"{COMPONENTS}{name}"}}
    row = example_row(model)
    if row is not None and operation.body == ".Predict":
        content["example"] = {"rows": [row]}
    elif row is not None and operation.body.startswith("Inference"):
        content["example"] = infer_example(model.schema.fields, row)
    return {"required": True, "content": {"application/json": content}}


_VERSION: Json = {
    "name": "version",
    "in": "path",
    "required": True,
    "description": "Twelve hex digits of a release that is loaded.",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{12}$"},
}
_DEADLINES: list[Json] = [
    {
        "name": "X-Deadline-Ms",
        "in": "header",
        "description": "Milliseconds within which the answer is of use.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 600_000},
    },
    {
        "name": "X-Request-Id",
        "in": "header",
        "description": "The request's own name; the answer has it again.",
        "schema": {"type": "string"},  # one of another form is passed over
    },
]
