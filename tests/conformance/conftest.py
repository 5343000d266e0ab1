"""Which server is asked, by option, and what is known of it: its own metadata and nothing else.

Without ``--base-url`` a server of this project is started over a small model; that is the one place
here that knows of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conformance.asking import Asking, Tensor, TensorSpec

PATIENCE_S = 30.0


@dataclass(frozen=True)
class Target:
    """What the suite is pointed at; ``grpc`` is None where only REST is to be asked."""

    base_url: str
    grpc: str | None
    model: str


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance", "Open Inference Protocol")
    group.addoption("--base-url", metavar="URL", help="the server's REST address, without /v2")
    group.addoption("--grpc", metavar="HOST:PORT", help="the server's gRPC address")
    group.addoption("--model", metavar="NAME", help="a model that the server has loaded")
    group.addoption(
        "--inputs",
        metavar="FILE",
        help="an infer request as JSON to take rows from, for a model whose metadata is not enough",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "beyond: good behaviour that the specification leaves open; -m 'not beyond'"
    )


@pytest.fixture(scope="session")
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """The server: the one that the options name, else one that is started for the tests."""
    base_url = request.config.getoption("--base-url", default=None)
    if base_url is None:
        with _own_server(tmp_path_factory.mktemp("server")) as own:
            yield own
    else:
        model = request.config.getoption("--model", default=None)
        if model is None:
            raise pytest.UsageError("--base-url needs --model NAME as well")
        yield Target(base_url.rstrip("/"), request.config.getoption("--grpc", default=None), model)


@pytest.fixture(scope="session")
def base_url(target: Target) -> str:
    """The server's REST address, without a slash at its end."""
    return target.base_url


@pytest.fixture(scope="session")
def grpc_target(target: Target) -> str:
    """The server's gRPC address, ``HOST:PORT``; a test that asks for it is skipped without one."""
    if target.grpc is None:
        pytest.skip("no gRPC address: --grpc HOST:PORT")
    return target.grpc


@pytest.fixture(scope="session")
def model(target: Target) -> str:
    """The name of a loaded model."""
    return target.model


@pytest.fixture(name="client")
def _client(base_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base_url, timeout=PATIENCE_S) as client:
        yield client


@pytest.fixture(scope="session")
def server_metadata(base_url: str) -> dict[str, Any]:
    """What ``GET /v2`` answers."""
    return _got(f"{base_url}/v2")


@pytest.fixture(scope="session")
def metadata(base_url: str, model: str) -> dict[str, Any]:
    """What ``GET /v2/models/{model}`` answers."""
    return _got(f"{base_url}/v2/models/{model}")


@pytest.fixture(scope="session")
def asking(request: pytest.FixtureRequest, metadata: dict[str, Any]) -> Asking:
    """Makes requests for the model."""
    file = request.config.getoption("--inputs", default=None)
    samples = _samples(Path(file)) if file else ()
    return Asking(tuple(map(TensorSpec.of, metadata["inputs"])), samples)


@pytest.fixture(scope="session")
def needs_extension(server_metadata: dict[str, Any]) -> Callable[[str], None]:
    """Skips a test unless the server says that it has an extension."""

    def check(name: str) -> None:
        if name not in server_metadata.get("extensions", []):
            pytest.skip(f"the server does not advertise the extension '{name}'")

    return check


def _got(url: str) -> dict[str, Any]:
    response = httpx.get(url, timeout=PATIENCE_S)
    assert response.status_code == 200, f"GET {url} answered {response.status_code}"
    content: dict[str, Any] = response.json()
    return content


def _samples(file: Path) -> tuple[Tensor, ...]:
    told = json.loads(file.read_text())["inputs"]
    samples = tuple(
        Tensor(one["name"], one["datatype"], one["shape"], _flat(one["data"])) for one in told
    )
    for sample in samples:
        assert len(sample.values) == math.prod(sample.shape), f"{file}: {sample.name}"
    return samples


def _flat(data: list[Any]) -> list[Any]:
    return [value for one in data for value in (_flat(one) if isinstance(one, list) else [one])]


@contextmanager
def _own_server(folder: Path) -> Iterator[Target]:
    from tests.serve.running import MODEL, Place, serving

    place = Place(folder)
    place.post("deploy", place.seal())
    with serving(place, grpc_port=0) as server:
        port = getattr(server.state, "grpc_port", None)
        yield Target(server.url, f"127.0.0.1:{port}" if port else None, MODEL)
