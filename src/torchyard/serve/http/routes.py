"""Which request goes where: one table, and the edge at which every fault becomes an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Literal, NamedTuple
from urllib.parse import unquote

from torchyard.core.errors import NotFound, YardError
from torchyard.serve.app import Application
from torchyard.serve.guarding.keyring import credentials_in
from torchyard.serve.http import pages, predict
from torchyard.serve.http.answers import Answer, refuse, refuse_method, speaks_in_words
from torchyard.serve.http.connection import Exchange
from torchyard.serve.inference import repository, rest, statistics

Handle = Callable[..., None]  # (Application, Exchange, *names taken from the path)


Need = Literal["nothing", "predict", "operate"]

SERVING = frozenset[str](("nothing", "predict"))
CONTROL = frozenset[str](("nothing", "operate"))
EVERYWHERE = SERVING | CONTROL


class Route(NamedTuple):
    """A path pattern, the one method it answers (besides HEAD for GET), and the function.

    ``needs`` is the scope of the key that opens it, and says to which door it belongs: what
    operates the server is answered on the control port, where there is one, and only there.
    """

    pattern: str
    method: str
    handle: Handle
    needs: Need = "predict"


ROUTES = (
    Route("/v1/models/{}/predict", "POST", predict.predict),
    Route("/v1/models/{}/labels", "POST", predict.take_labels),
    Route("/v1/models/{}", "GET", pages.show_model),
    Route("/v1/models", "GET", pages.list_models),
    Route("/v2/models/{}/infer", "POST", rest.infer),
    Route("/v2/models/{}/versions/{}/infer", "POST", rest.infer),
    Route("/v2/models/{}/versions/{}/ready", "GET", rest.model_ready),
    Route("/v2/models/{}/versions/{}", "GET", rest.metadata),
    Route("/v2/models/{}/versions/{}/stats", "GET", statistics.show),
    Route("/v2/models/{}/ready", "GET", rest.model_ready),
    Route("/v2/models/{}/stats", "GET", statistics.show),
    Route("/v2/models/stats", "GET", statistics.show),
    Route("/v2/models/{}", "GET", rest.metadata),
    Route("/v2/health/live", "GET", rest.live, "nothing"),
    Route("/v2/health/ready", "GET", rest.ready, "nothing"),
    Route("/v2/repository/index", "POST", repository.index),
    Route("/v2/repository/models/{}/load", "POST", repository.load, "operate"),
    Route("/v2/repository/models/{}/unload", "POST", repository.unload, "operate"),
    Route("/v2", "GET", rest.server),
    Route("/health/live", "GET", pages.live, "nothing"),
    Route("/health/ready", "GET", pages.ready, "nothing"),
    Route("/v1/server", "GET", pages.show_server, "operate"),
    Route("/metrics", "GET", pages.show_metrics, "operate"),
    Route("/openapi.json", "GET", pages.show_openapi),
    Route("/docs", "GET", pages.show_docs),
    Route("/", "GET", pages.index),
)


def dispatch(app: Application, exchange: Exchange, leads_to: frozenset[str] = EVERYWHERE) -> None:
    """Answer one request now, or have it answered later; never raises.

    Args:
        app: the worker.
        exchange: the request.
        leads_to: what the door that it came through is for: ``needs`` of routes.
    """
    try:
        route, names = find_route(exchange.path)
        exchange.route = route.pattern
        if route.needs not in leads_to:
            raise _behind_another_door(route)
        if app.keyring.is_needed and route.needs != "nothing":
            exchange.client = app.keyring.check(credentials_in(exchange.headers), route.needs)
        if exchange.method != route.method:
            allowed = ("GET", "HEAD") if route.method == "GET" else (route.method,)
            exchange.answer(refuse_method(route.pattern, allowed))
            return
        route.handle(app, exchange, *names)
    except Exception as error:  # the edge of the process: every request is answered
        app.refuse(exchange, error)


def vet(app: Application, path: bytes, headers: Mapping[bytes, bytes]) -> Answer | None:
    """What a request is refused with before its long body is read; None for one to read.

    Who has no key is not let fill the memory.
    """
    if not app.keyring.is_needed:
        return None
    try:
        route, _ = find_route(path)
        if route.needs != "nothing":
            app.keyring.check(credentials_in(headers), route.needs)
    except YardError as error:
        return refuse(error, in_words=speaks_in_words(path))
    return None


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


def _behind_another_door(route: Route) -> NotFound:
    is_control = route.needs == "operate"
    return NotFound(
        where="path",
        found="a route that this port does not have",
        expected=f"{route.pattern} on the {'control' if is_control else 'main'} port",
        remedy="Ask there: torchyard status names the server's ports.",
    )
