"""The plain JSON routes: rows in, predictions out; labels in."""

from __future__ import annotations

from functools import partial
from weakref import WeakKeyDictionary

import msgspec

from torchyard.serve.app import Application
from torchyard.serve.decoding.misfit import JsonFault
from torchyard.serve.decoding.rows import Peek
from torchyard.serve.engine import Engine, Scores
from torchyard.serve.explaining import METHOD, Explanation, explain
from torchyard.serve.follow import Served
from torchyard.serve.http.answers import Answer, accepted, answer_json
from torchyard.serve.http.bodies import Encode, body_encoder
from torchyard.serve.http.connection import Exchange
from torchyard.serve.logs.labels import decode_labels
from torchyard.serve.predictions import predictions

# of every engine that has answered; one that serves no more is not kept by it
_ENCODERS: WeakKeyDictionary[Engine, Encode] = WeakKeyDictionary()
_PEEK = msgspec.json.Decoder(Peek)


def predict(app: Application, exchange: Exchange, model: str) -> None:
    """``POST /v1/models/{model}/predict``: ``{"rows": [...], "ids": [...]?, "key": ...?}``.

    With ``"explain": true`` the answer also says what each field makes of it.
    """
    served = app.served(model)
    exchange.model = model
    engine = served.champion if len(served.engines) == 1 else _split(app, exchange, served)
    app.check_room(exchange, engine)
    request = engine.decoder.decode(exchange.body)
    rows = request.rows
    ids = request.ids or app.ids.make(len(rows))
    if request.explain:
        explain(app, exchange, engine, rows, ids, partial(_answer_explained, exchange, engine, ids))
        return
    app.score(exchange, engine, rows, ids, partial(_answer, exchange, engine, ids))


def take_labels(app: Application, exchange: Exchange, model: str) -> None:
    """``POST /v1/models/{model}/labels``: answered when they are on disk."""
    served = app.served(model)
    exchange.model = model
    labels = decode_labels(exchange.body, served.champion.task)

    def finish(problem: Exception | None) -> None:
        if problem is None:
            exchange.answer(accepted({"accepted": len(labels)}))
        else:
            app.refuse(exchange, problem)

    def done(problem: Exception | None) -> None:
        app.loop.call_soon_threadsafe(finish, problem)

    app.labels.append(model, labels, done)


def routing_key(exchange: Exchange) -> str | None:
    """The key that a header or a proxy chose for the sticky split."""
    header = exchange.headers.get(b"x-routing-key")
    return None if header is None else header.decode("latin-1")


def _split(app: Application, exchange: Exchange, served: Served) -> Engine:
    """During a canary the key decides the release, and the release's schema decodes the rows."""
    try:
        peek = _PEEK.decode(exchange.body)
    except JsonFault:
        peek = Peek()  # the release that gets it will say what is wrong
    first = peek.ids[0] if peek.ids else None
    key = peek.key or routing_key(exchange) or first or app.ids.make(1)[0]
    return served.engines[served.split.pick(key)]


def _answer(exchange: Exchange, engine: Engine, ids: list[str], scores: Scores) -> None:
    exchange.answer(Answer(200, _encoder(engine)(ids, scores)))


def _answer_explained(
    exchange: Exchange,
    engine: Engine,
    ids: list[str],
    scores: Scores,
    explanations: list[Explanation],
) -> None:
    said = predictions(engine.task, ids, scores)
    for prediction, explanation in zip(said, explanations, strict=True):
        prediction["explanation"] = explanation
    exchange.answer(
        answer_json(
            {
                "predictions": said,
                "explained_by": METHOD,
                "release": engine.release,
                "variant": engine.variant,
            }
        )
    )


def _encoder(engine: Engine) -> Encode:
    encode = _ENCODERS.get(engine)
    if encode is None:
        encode = _ENCODERS[engine] = body_encoder(
            engine.task, release=engine.release, variant=engine.variant, abstains=engine.abstains
        )
    return encode
