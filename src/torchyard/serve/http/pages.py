"""The routes that say what the server is and how it does: index, models, health, metrics."""

from __future__ import annotations

from contextlib import suppress

from torchyard.core.errors import BadRecord
from torchyard.core.record import read_record, to_json
from torchyard.records.live import WorkerState
from torchyard.serve.app import Application
from torchyard.serve.follow import Served
from torchyard.serve.http.answers import Answer, answer_html, answer_json, answer_text
from torchyard.serve.http.connection import Exchange
from torchyard.serve.telemetry.exposition import render
from torchyard.serve.telemetry.metrics import add_up
from torchyard.version import __version__


def index(app: Application, exchange: Exchange) -> None:
    """``GET /``."""
    exchange.answer(
        answer_json(
            {
                "name": app.settings.project_name,
                "torchyard": __version__,
                "models": {name: f"/v1/models/{name}" for name in app.table.models},
                "health": "/health/ready",
                **({} if app.settings.control_apart else {"metrics": "/metrics"}),
                "open_inference": "/v2",
                "openapi": "/openapi.json",
                "docs": "/docs",
            }
        )
    )


def live(app: Application, exchange: Exchange) -> None:
    """``GET /health/live``: the worker's loop turns."""
    exchange.answer(answer_json({"live": True}))


def ready(app: Application, exchange: Exchange) -> None:
    """``GET /health/ready``: every deployed model is served."""
    app.check_ready()
    exchange.answer(answer_json({"ready": True}))


def show_openapi(app: Application, exchange: Exchange) -> None:
    """``GET /openapi.json``: the routes of this server, for programs."""
    from torchyard.serve.describing.deployed import described
    from torchyard.serve.describing.openapi import openapi

    app.check_ready()
    exchange.answer(Answer(200, openapi(described(app))))


def show_docs(app: Application, exchange: Exchange) -> None:
    """``GET /docs``: how to ask this server's models, for people."""
    from torchyard.serve.describing.deployed import described
    from torchyard.serve.describing.page import docs_page

    app.check_ready()
    exchange.answer(answer_html(docs_page(described(app))))


def list_models(app: Application, exchange: Exchange) -> None:
    """``GET /v1/models``."""
    app.check_ready()
    models = [
        {"name": name, "release": served.champion.release, "routes": served.state.routes}
        for name, served in app.table.models.items()
    ]
    exchange.answer(answer_json({"models": models}))


def show_model(app: Application, exchange: Exchange, model: str) -> None:
    """``GET /v1/models/{model}``: what serves it and what a row looks like."""
    served = app.served(model)
    exchange.model = model
    exchange.answer(answer_json(_described(app, model, served)))


def show_metrics(app: Application, exchange: Exchange) -> None:
    """``GET /metrics``: the numbers of all workers, in Prometheus' text format."""
    settings = app.settings
    total = add_up(app.metrics, settings.state, worker=app.worker, workers=settings.workers)
    exchange.answer(answer_text(render(total)))


def show_server(app: Application, exchange: Exchange) -> None:
    """``GET /v1/server``: what every worker says of itself, its problem included."""
    workers = []
    for path in sorted(app.settings.state.glob("worker-*.json")):
        with suppress(BadRecord):  # it starts or stops just now
            workers.append(to_json(read_record(WorkerState, path)))
    exchange.answer(answer_json({"workers": workers}))


def _described(app: Application, model: str, served: Served) -> dict[str, object]:
    engine = served.champion
    return {
        "name": model,
        "release": engine.release,
        "variant": engine.variant,
        "device": engine.device,
        "deadline_ms": app.default_deadline_ms(engine),
        "routes": served.state.routes,
        "challenger": served.state.challenger,
        "task": to_json(engine.task),
        "schema": to_json(engine.schema),
    }
