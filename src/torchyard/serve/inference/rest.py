"""The routes of the Open Inference Protocol, version 2, over REST. Versions are releases."""

from __future__ import annotations

from functools import partial

from torchyard.serve.app import Application
from torchyard.serve.engine import Engine, Scores
from torchyard.serve.explaining import explain_tensors
from torchyard.serve.follow import Served
from torchyard.serve.http.answers import answer_json
from torchyard.serve.http.connection import Exchange
from torchyard.serve.http.predict import routing_key
from torchyard.serve.inference import binary, choosing
from torchyard.serve.inference.bodies import InferBody, decode_infer
from torchyard.serve.inference.outputs import Reply, reply_of
from torchyard.serve.inference.shortcuts import shortcuts_of
from torchyard.serve.inference.tensors import rows_of, rules_of
from torchyard.serve.inference.wishes import explanation_of, wishes_of
from torchyard.serve.predictions import EXPLANATION
from torchyard.version import __version__

EXTENSIONS = ("binary_tensor_data", "classification", "model_repository", "statistics")


def server(app: Application, exchange: Exchange) -> None:
    """``GET /v2``."""
    name = app.settings.project_name
    told = {"name": name, "version": __version__, "extensions": EXTENSIONS}
    exchange.answer(answer_json(told))


def live(app: Application, exchange: Exchange) -> None:
    """``GET /v2/health/live``."""
    exchange.answer(answer_json({"live": True}))


def ready(app: Application, exchange: Exchange) -> None:
    """``GET /v2/health/ready``: every deployed model is served."""
    app.check_ready()
    exchange.answer(answer_json({"live": True, "ready": True}))


def metadata(app: Application, exchange: Exchange, model: str, version: str = "") -> None:
    """``GET /v2/models/{model}`` and ``/v2/models/{model}/versions/{version}``.

    Beyond the protocol an input may have ``parameters`` that say what its field accepts.
    """
    served = app.served(model)
    exchange.model = model
    engine = choosing.engine_of(served, version)
    inputs = [
        {**each._asdict(), **({"parameters": rules} if (rules := rules_of(field)) else {})}
        for each, field in zip(choosing.inputs_of(engine), engine.schema.fields, strict=True)
    ]
    told = {
        "name": model,
        "versions": choosing.versions_of(served),
        "platform": choosing.PLATFORM,
        "inputs": inputs,
        "outputs": [each._asdict() for each in choosing.described_outputs(engine)],
    }
    exchange.answer(answer_json(told))


def model_ready(app: Application, exchange: Exchange, model: str, version: str = "") -> None:
    """``GET /v2/models/{model}/ready`` and ``.../versions/{version}/ready``."""
    served = app.served(model)
    exchange.model = model
    choosing.engine_of(served, version)
    exchange.answer(answer_json({"name": model, "ready": True}))


def infer(app: Application, exchange: Exchange, model: str, version: str = "") -> None:
    """``POST /v2/models/{model}/infer`` and ``.../versions/{version}/infer``.

    A single row has the request's ``id`` as its id; row ``i`` of several has ``id-i``. The split
    goes by ``parameters.key``, else by the header ``X-Routing-Key``, else by the id. With
    ``parameters.explain`` the answer also says what each field makes of it.
    """
    served = app.served(model)
    exchange.model = model
    if not version and len(served.engines) > 1:
        _infer_plainly(app, exchange, None, served)
        return
    engine = choosing.engine_of(served, version)
    app.check_room(exchange, engine)
    asked = shortcuts_of(engine).read(engine, exchange.body, exchange.header(binary.HEADER))
    if asked is None:
        _infer_plainly(app, exchange, engine, served)
        return
    row, name, reply = asked
    name = name or app.ids.make(1)[0]
    app.score(exchange, engine, [row], [name], partial(_answer, exchange, reply, name))


def _infer_plainly(
    app: Application, exchange: Exchange, engine: Engine | None, served: Served
) -> None:
    body, header = exchange.body, exchange.header(binary.HEADER)
    request = decode_infer(body, header)
    name = request.id or app.ids.make(1)[0]
    if engine is None:
        engine = _split(exchange, served, request, name)
        app.check_room(exchange, engine)
    wishes = wishes_of(engine, request.parameters, request.outputs)
    wishes += explanation_of(request.parameters)
    rows = rows_of(request.inputs, engine.decoder, max_rows=app.settings.max_rows)
    ids = choosing.ids_of(name, len(rows))
    reply = reply_of(engine, wishes)
    answer = partial(_answer, exchange, reply, name)
    if any(wish.output is EXPLANATION for wish in wishes):
        explain_tensors(app, exchange, engine, rows, ids, answer)
    else:
        shortcuts_of(engine).keep(body, header, request, reply)
        app.score(exchange, engine, rows, ids, answer)


def _split(exchange: Exchange, served: Served, request: InferBody, name: str) -> Engine:
    key = (request.parameters or {}).get("key")
    return choosing.split_engine(
        served, str(key) if key is not None else routing_key(exchange) or name
    )


def _answer(exchange: Exchange, reply: Reply, name: str, scores: Scores) -> None:
    exchange.answer(reply(name, scores))
