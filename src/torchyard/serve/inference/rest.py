"""The routes of the Open Inference Protocol, version 2, over REST. Versions are releases."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torchyard.core.digest import short
from torchyard.core.errors import BadData, BadUsage, NotFound, nearest
from torchyard.serve.app import Application
from torchyard.serve.engine import Engine, Scores
from torchyard.serve.follow import Served
from torchyard.serve.http.answers import answer_json
from torchyard.serve.http.connection import Exchange
from torchyard.serve.http.predict import routing_key
from torchyard.serve.inference.tensors import (
    InferBody,
    datatypes_of,
    decode_infer,
    rows_of,
    shape_of,
)
from torchyard.serve.predictions import Output, outputs_of, tensor_data
from torchyard.version import __version__


def server(app: Application, exchange: Exchange) -> None:
    """``GET /v2``."""
    name = app.settings.project_name
    exchange.answer(answer_json({"name": name, "version": __version__, "extensions": []}))


def metadata(app: Application, exchange: Exchange, model: str, version: str = "") -> None:
    """``GET /v2/models/{model}`` and ``/v2/models/{model}/versions/{version}``."""
    served = app.served(model)
    exchange.model = model
    engine = _version(served, version) if version else served.champion
    exchange.answer(answer_json(_described(model, served, engine)))


def model_ready(app: Application, exchange: Exchange, model: str, version: str = "") -> None:
    """``GET /v2/models/{model}/ready`` and ``.../versions/{version}/ready``."""
    served = app.served(model)
    exchange.model = model
    if version:
        _version(served, version)
    exchange.answer(answer_json({"name": model, "ready": True}))


def infer(app: Application, exchange: Exchange, model: str, version: str = "") -> None:
    """``POST /v2/models/{model}/infer`` and ``.../versions/{version}/infer``.

    A single row has the request's ``id`` as its id; row ``i`` of several has ``id-i``. The split
    goes by ``parameters.key``, else by the header ``X-Routing-Key``, else by the id.
    """
    served = app.served(model)
    exchange.model = model
    if b"inference-header-content-length" in exchange.headers:
        raise BadUsage(
            where="header Inference-Header-Content-Length",
            found="binary tensor data",
            expected="tensors as JSON",
            remedy="Ask your client for JSON tensors: binary_data=False.",
        )
    request = decode_infer(exchange.body)
    name = request.id or app.ids.make(1)[0]
    engine = _version(served, version) if version else _split(exchange, served, request, name)
    wanted = _wanted(request, engine)
    rows = rows_of(request.inputs, engine.decoder, max_rows=app.settings.max_rows)
    ids = [name] if len(rows) == 1 else [f"{name}-{row}" for row in range(len(rows))]
    app.score(exchange, engine, rows, ids, partial(_answer, exchange, engine, name, wanted))


def _split(exchange: Exchange, served: Served, request: InferBody, name: str) -> Engine:
    key = (request.parameters or {}).get("key")
    routed = str(key) if key is not None else routing_key(exchange) or name
    return served.engines[served.split.pick(routed)]


def _version(served: Served, version: str) -> Engine:
    engines = {engine.version: engine for engine in served.engines.values()}
    if version not in engines:
        raise NotFound(
            where=f"model {served.state.model}",
            found="no such version",
            expected="the first 12 digits of a release that is served",
            remedy=nearest(version, engines),
        )
    return engines[version]


def _wanted(request: InferBody, engine: Engine) -> Sequence[Output]:
    """The outputs that a client asks for, in its order; all of them when it names none."""
    known = {output.name: output for output in outputs_of(engine.task, abstains=engine.abstains)}
    names = [wanted.name for wanted in request.outputs or ()]
    for place, name in enumerate(names):
        if name not in known:
            raise BadData(
                where=f"$.outputs[{place}].name",
                found="no such output",
                expected=" or ".join(known),
                remedy=nearest(name, known),
            )
    return [known[name] for name in names or known]


def _answer(
    exchange: Exchange, engine: Engine, name: str, wanted: Sequence[Output], scores: Scores
) -> None:
    parameters = {"release": engine.release, "variant": engine.variant}
    if engine.task.unit:
        parameters["unit"] = engine.task.unit
    tensors = [
        {
            "name": output.name,
            "datatype": output.datatype,
            "shape": [len(scores), *output.shape],
            "data": tensor_data(engine.task, output, scores),
        }
        for output in wanted
    ]
    exchange.answer(
        answer_json(
            {
                "model_name": engine.model,
                "model_version": engine.version,
                "id": name,
                "parameters": parameters,
                "outputs": tensors,
            }
        )
    )


def _described(model: str, served: Served, engine: Engine) -> dict[str, object]:
    inputs = [
        {"name": field.name, "datatype": datatypes_of(field)[0], "shape": shape_of(field)}
        for field in engine.schema.fields
    ]
    return {
        "name": model,
        "versions": [short(release) for release in reversed(served.split.releases)],
        "platform": "onnx_onnxruntime",
        "inputs": inputs,
        "outputs": [
            {"name": output.name, "datatype": output.datatype, "shape": [-1, *output.shape]}
            for output in outputs_of(engine.task, abstains=engine.abstains)
        ],
    }
