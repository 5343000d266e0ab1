"""What a description says about: plain values, so that one is made again only if they change."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from torchyard.records.schema import Schema, Task
from torchyard.serve.app import Application

LARGEST_EXAMPLE_BYTES = 20_000  # beyond it, pictures and large tensors, no example is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A model that is served.

    Attributes:
        name: the model's.
        release: its champion's id.
        schema: the fields of a row.
        task: what is predicted.
        abstains: whether a row may be left without an answer.
        max_rows: most rows of one request.
        example: a golden request as JSON, in which stand-ins are in the place of personal values;
            empty where it is large.
    """

    name: str
    release: str
    schema: Schema
    task: Task
    abstains: bool
    max_rows: int
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A server as its clients see it.

    Attributes:
        project: the project's name.
        models: what is served.
        needs_keys: whether requests need a key.
        has_control: whether what operates the server is answered on this port as well.
        address: where it can be asked, as far as it knows itself.
    """

    project: str
    models: tuple[Deployed, ...]
    needs_keys: bool
    has_control: bool
    address: str


def described(app: Application) -> Described:
    """What the worker serves now; of a model with a canary, its champion."""
    settings = app.settings
    scheme = "https" if settings.tls_certificate else "http"
    return Described(
        project=settings.project_name,
        models=tuple(
            Deployed(
                name=name,
                release=served.champion.release,
                schema=served.champion.schema,
                task=served.champion.task,
                abstains=served.champion.abstains,
                max_rows=served.champion.max_rows,
                example=_example(served.champion.example),
            )
            for name, served in sorted(app.table.models.items())
        ),
        needs_keys=app.keyring.is_needed,
        has_control=not settings.control_apart,
        address=f"{scheme}://{settings.host}:{settings.port}",
    )


def _example(row: bytes) -> str:
    return "" if len(row) > LARGEST_EXAMPLE_BYTES else row.decode()


def example_row(model: Deployed) -> dict[str, object] | None:
    """The example as Python values, or None."""
    return msgspec.json.decode(model.example, type=dict[str, object]) if model.example else None
