"""Which request goes where: one table, and the edge at which every fault becomes an answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from torchyard.core.errors import NotFound
from torchyard.serve.app import Application
from torchyard.serve.http import pages, predict
from torchyard.serve.http.answers import refuse_method
from torchyard.serve.http.connection import Exchange
from torchyard.serve.inference import rest

Handle = Callable[..., None]  # (Application, Exchange, *names taken from the path)


class Route(NamedTuple):
    """A path pattern, the one method it answers (besides HEAD for GET), and the function."""

    pattern: str
    method: str
    handle: Handle


ROUTES = (
    Route("/v1/models/{}/predict", "POST", predict.predict),
    Route("/v1/models/{}/labels", "POST", predict.take_labels),
    Route("/v1/models/{}", "GET", pages.show_model),
    Route("/v1/models", "GET", pages.list_models),
    Route("/v2/models/{}/infer", "POST", rest.infer),
    Route("/v2/models/{}/versions/{}/infer", "POST", rest.infer),
    Route("/v2/models/{}/versions/{}/ready", "GET", rest.model_ready),
    Route("/v2/models/{}/versions/{}", "GET", rest.metadata),
    Route("/v2/models/{}/ready", "GET", rest.model_ready),
    Route("/v2/models/{}", "GET", rest.metadata),
    Route("/v2/health/live", "GET", pages.live),
    Route("/v2/health/ready", "GET", pages.ready),
    Route("/v2", "GET", rest.server),
    Route("/health/live", "GET", pages.live),
    Route("/health/ready", "GET", pages.ready),
    Route("/metrics", "GET", pages.show_metrics),
    Route("/", "GET", pages.index),
)


def dispatch(app: Application, exchange: Exchange) -> None:
    """Answer one request now, or have it answered later; never raises."""
    try:
        route, names = find_route(exchange.path)
        exchange.route = route.pattern
        if exchange.method != route.method:
            allowed = ("GET", "HEAD") if route.method == "GET" else (route.method,)
            exchange.answer(refuse_method(route.pattern, allowed))
            return
        route.handle(app, exchange, *names)
    except Exception as error:  # the edge of the process: every request is answered
        app.refuse(exchange, error)


@lru_cache(maxsize=1024)
def find_route(path: bytes) -> tuple[Route, tuple[str, ...]]:
    """The route of a path and the names in it; one slash at the end is passed over.

    Example:
        >>> route, names = find_route(b"/v2/models/flight-delay/infer")
        >>> route.pattern, names
        ('/v2/models/{}/infer', ('flight-delay',))

    Raises:
        NotFound: there is none.
    """
    segments = path.decode("latin-1").removesuffix("/").split("/")
    for route in ROUTES:
        pattern = route.pattern.removesuffix("/").split("/")
        if len(pattern) == len(segments) and all(
            wanted in ("{}", found) for wanted, found in zip(pattern, segments, strict=True)
        ):
            places = zip(pattern, segments, strict=True)
            return route, tuple(unquote(found) for wanted, found in places if wanted == "{}")
    raise NotFound(
        where="path",
        found="no route of this path",
        expected="a route of this server",
        remedy="GET / lists where to begin.",
    )
