"""JSON Schema of requests: what the decoder accepts, in the words of its own types.

``msgspec.json.schema_components`` writes the schema of the types that decode requests, so the two
cannot part ways. Added is what those types cannot say: how a time is written, units, descriptions.
Where a rule has no form in JSON Schema the schema is wider than the decoder, never narrower.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from torchyard.records.schema import Field, Task
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.serve.describing.deployed import Deployed
from torchyard.serve.inference.bodies import InferBody, Parameters
from torchyard.serve.inference.tensors import Tensor, datatypes_of

Json = dict[str, Any]


class Input(Tensor, forbid_unknown_fields=True, omit_defaults=True):
    """An input: its elements under data, or after the JSON if binary_data_size says how many."""

    data: Any = None
    parameters: Parameters | None = None


class InferRequest(InferBody):
    """An infer request of the Open Inference Protocol."""

    inputs: Annotated[list[Input], Meta(min_length=1)]  # type: ignore[assignment]


COMPONENTS = "#/components/schemas/"
TIME = (
    r"^(?!0000)\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"[Tt ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?$"
)
_WHOLE = re.compile(r"0|-?[1-9][0-9]*")  # a class that a whole number names, too
# what Python's patterns have and those of JSON Schema (ECMA-262) lack or read otherwise
_OWN_TO_PYTHON = re.compile(r"\(\?(?![:=!])|\\[AZbBdDsSwW]|[*+?}]\+|\{,|\\N|\(\?#")


def request_schemas(model: Deployed) -> dict[str, Json]:
    """``<model>.Row`` and ``<model>.Predict``: what ``POST /v1/models/{}/predict`` takes."""
    body = RowDecoder(model.schema, max_rows=model.max_rows).body_type
    _, made = msgspec.json.schema_components(
        [body], ref_template=f"{COMPONENTS}{model.name}.{{name}}"
    )
    row = made["Row"]
    row["title"] = f"{model.name}, a row"
    for field in model.schema.fields:
        row["properties"][field.name] = _remarked(row["properties"][field.name], field)
    predict = made["Predict"]
    predict["title"] = f"{model.name}, a request"
    for name, said in _SAID_OF_REQUESTS.items():
        predict["properties"][name]["description"] = said
    return {f"{model.name}.Row": row, f"{model.name}.Predict": predict}


def infer_schemas() -> dict[str, Json]:
    """What the routes of the Open Inference Protocol take, whatever the model."""
    _, made = msgspec.json.schema_components(
        [InferRequest], ref_template=f"{COMPONENTS}Inference.{{name}}"
    )
    return {f"Inference.{name}": schema for name, schema in made.items()}


def label_schema(task: Task) -> Json:
    """What ``POST /v1/models/{}/labels`` takes."""
    body: Json = {
        "type": "object",
        "properties": {
            "labels": {
                "type": "array",
                "minItems": 1,
                "maxItems": 10_000,
                "items": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string", "minLength": 1, "maxLength": 256},
                        "label": _label(task),
                    },
                    "required": ["id", "label"],
                    "additionalProperties": False,
                },
            }
        },
        "required": ["labels"],
        "additionalProperties": False,
    }
    return body


def infer_example(schema_fields: tuple[Field, ...], row: dict[str, object]) -> Json:
    """An infer request of one row."""
    return {
        "inputs": [
            {
                "name": field.name,
                "datatype": datatypes_of(field)[0],
                "shape": [1, *field.shape],
                "data": [row[field.name]],
            }
            for field in schema_fields
            if row.get(field.name) is not None
        ]
    }


def kind_in_words(field: Field) -> str:
    """What JSON a field takes, in a few words.

    Example:
        >>> kind_in_words(Field(name="x", kind="tensor", shape=(3, 2)))
        'lists of numbers, 3 x 2'
        >>> kind_in_words(Field(name="x", kind="timestamp"))
        'time without an offset, 2026-02-01T09:30:00'
    """
    if field.kind == "tensor":
        kind = "whole numbers" if field.dtype == "int64" else "numbers"
        return f"lists of {kind}, {' x '.join(map(str, field.shape))}"
    return {
        "number": "number",
        "integer": "whole number",
        "boolean": "true or false",
        "timestamp": "time without an offset, 2026-02-01T09:30:00",
        "image": "picture file as base64",
    }.get(field.kind, "text")


def _remarked(schema: Json, field: Field) -> Json:
    """A field's schema with what its decoding type does not tell."""
    said = ". ".join(filter(None, (field.description.rstrip("."), _unit(field))))
    for part in schema.get("anyOf", [schema]):
        if part.get("type") == "string":
            _correct_text(part, field)
    return schema | ({"description": f"{said}."} if said else {})


def _correct_text(part: Json, field: Field) -> None:
    if field.kind == "timestamp":
        part |= {"format": "date-time-local", "pattern": TIME}
    elif (pattern := part.pop("pattern", None)) is not None and field.pattern is not None:
        if not _OWN_TO_PYTHON.search(field.pattern):
            part["pattern"] = f"^(?:{field.pattern}){'?' * field.optional}$"
        else:
            part["x-pattern"] = pattern


def _unit(field: Field) -> str:
    return f"In {field.unit}" if field.unit else ""


def _label(task: Task) -> Json:
    if task.is_regression:
        return {"type": "number", **({"description": f"In {task.unit}."} if task.unit else {})}
    numbers = [int(name) for name in task.classes if _WHOLE.fullmatch(name)]
    name: Json = {"enum": [*task.classes, *numbers]}
    if task.is_multilabel:
        return {"type": "array", "items": name}
    if task.is_binary:
        return {"anyOf": [name, {"type": "boolean"}]}
    return name


_SAID_OF_REQUESTS = {
    "rows": "They are answered in this order; if one does not fit, none is answered.",
    "ids": "One per row, to match labels later. The server makes them if there are none.",
    "key": "Decides between champion and canary: one customer always meets the same one.",
    "explain": "Whether the answer is to say what each field makes of it.",
}
