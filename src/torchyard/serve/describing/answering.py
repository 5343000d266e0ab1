"""JSON Schema of answers and refusals."""

from __future__ import annotations

from typing import Any

from torchyard.records.schema import Task
from torchyard.serve.describing.deployed import Deployed
from torchyard.serve.describing.fields import COMPONENTS

Json = dict[str, Any]

REASONS = {
    "outside_training": "a field is unlike all of training",
    "unsure": "the probability is below the declared one; it stays as confidence",
    "wide_interval": "the interval is wider than the declared width",
}
REFUSALS = {
    400: "The body is not JSON, or something is wrong with the HTTP itself.",
    401: "There is no key, or it is not the server's, was revoked or is over.",
    403: "The key is for something else.",
    404: "There is no such model or route.",
    405: "The route exists, for another method.",
    408: "The request took too long to arrive.",
    409: "Another decision came in between, or there is nothing to decide so.",
    413: "The body is too large.",
    417: "Of what a client expects, only 100-continue can be met.",
    422: "A row does not fit; no row of the request was answered.",
    431: "There are too many headers, or they are too large.",
    500: "A fault of the server. The incident is in its output.",
    501: "HTTP that this server does not speak.",
    503: "Not ready, or it would be too late: ask again after Retry-After seconds.",
}
_MOST_NAMED = 256  # classes; with more, the schema of an answer only says how many there are
_PARTS = {
    "error": "the code, which programs may rely on",
    "where": "what the refusal is about, for example $.rows[3].distance",
    "found": "of what kind that is which was found; never the value itself",
    "expected": "what would have been right",
    "remedy": "what to do",
}
_PROBABILITY: Json = {"type": "number", "minimum": 0, "maximum": 1}
_NULL: Json = {"type": "null"}


def answer_schemas(model: Deployed) -> dict[str, Json]:
    """``<model>.Prediction`` and ``<model>.Answer``."""
    members = _members(model.task)
    if model.abstains:
        withheld = {
            name: {"anyOf": [schema, _NULL]} for name, schema in members.items() if name != "unit"
        }
        members = members | withheld | _ABSTAINED
    prediction = _object({"id": {"type": "string"}, **members}, optional=_EXPLANATION)
    answer = _object(
        {
            "predictions": {
                "type": "array",
                "items": {"$ref": f"{COMPONENTS}{model.name}.Prediction"},
                "description": "One per row, in the rows' order.",
            },
            "release": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
            "variant": {"type": "string"},
        },
        optional={"explained_by": {"const": "occlusion"}},
    )
    return {f"{model.name}.Prediction": prediction, f"{model.name}.Answer": answer}


def refusal_schemas() -> dict[str, Json]:
    """``Refusal``, and ``RefusalInWords`` of the routes of the Open Inference Protocol."""
    parts: Json = {name: {"type": "string", "description": said} for name, said in _PARTS.items()}
    in_words = {
        **parts,
        "error": {"type": "string", "description": "all of it in a sentence"},
        "code": parts["error"],
    }
    return {"Refusal": _object(parts), "RefusalInWords": _object(in_words)}


def refusal_responses() -> dict[str, Json]:
    """A response for every status of a refusal, by the name that ``refused_with`` refers to."""
    return {
        f"{schema}{status}": {
            "description": said,
            "content": {"application/json": {"schema": {"$ref": f"{COMPONENTS}{schema}"}}},
            **({"headers": _HEADERS[status]} if status in _HEADERS else {}),
        }
        for schema in ("Refusal", "RefusalInWords")
        for status, said in REFUSALS.items()
    }


def meaning(task: Task) -> tuple[tuple[str, str], ...]:
    """What the members of an answer say, name by name."""
    if task.is_regression:
        return (
            ("value", f"the predicted {task.label}"),
            (
                "low, high",
                f"ends of an interval that holds the truth in {task.coverage:.0%} of rows",
            ),
            ("unit", task.unit or "null: the task names none"),
        )
    classes = f"one of the {len(task.classes)} classes of {task.label}"
    if task.is_multilabel:
        return (
            ("labels", f"those whose probability is at least {task.threshold:g}; may be empty"),
            ("probabilities", "of every class; each stands alone"),
        )
    rule = f"; the second from {task.threshold:g} on" if task.is_binary else "; the most probable"
    return (
        ("label", classes + rule),
        ("confidence", "the label's calibrated probability"),
        ("probabilities", "of every class; they add up to 1"),
    )


def _members(task: Task) -> dict[str, Json]:
    if task.is_regression:
        bounds = {"minimum": task.ge, "maximum": task.le}
        domain = {name: bound for name, bound in bounds.items() if bound is not None}
        number: Json = {"type": "number"}
        return {
            "value": number | domain,
            "low": number,
            "high": number,
            "unit": {"const": task.unit},
        }
    label: Json = {"enum": list(task.classes)}
    if task.is_multilabel:
        return {"labels": {"type": "array", "items": label}, "probabilities": _every(task)}
    return {"label": label, "confidence": _PROBABILITY, "probabilities": _every(task)}


def _every(task: Task) -> Json:
    if len(task.classes) <= _MOST_NAMED:
        return _object({name: _PROBABILITY for name in task.classes})
    count = len(task.classes)
    return {
        "type": "object",
        "additionalProperties": _PROBABILITY,
        "minProperties": count,
        "maxProperties": count,
    }


def _object(members: Json, *, optional: Json | None = None) -> Json:
    return {
        "type": "object",
        "properties": {**members, **(optional or {})},
        "required": list(members),
        "additionalProperties": False,
    }


_ABSTAINED: Json = {
    "abstained": {
        "enum": [*REASONS, None],
        "description": "Why the row is not answered, or null. Look here first.",
    },
    "reason": {"type": ["string", "null"], "description": "The same as a sentence."},
}
_EXPLANATION: Json = {
    "explanation": {
        "type": ["object", "null"],
        "additionalProperties": {"type": ["number", "object"]},  # of several labels, one each
        "description": "What each field makes of the answer, if the request asks for it.",
    }
}
_HEADERS: dict[int, Json] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    405: {"Allow": {"schema": {"type": "string"}}},
    503: {"Retry-After": {"schema": {"type": "integer", "minimum": 1, "maximum": 60}}},
}
