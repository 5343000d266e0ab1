"""A sealed release, an engine over it and a server that serves it, each made once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.serve.running import Place, Server, serving
from tests.support.releases import sample_release
from torchyard.release import Release
from torchyard.serve.engine import Engine, open_engine


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return sample_release(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="session")
def engine(release: Release) -> Engine:
    return open_engine(release, max_rows=100)


@pytest.fixture(scope="session", name="place")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="session", name="sealed")
def _sealed(place: Place) -> Release:
    return place.seal()


@pytest.fixture(scope="session", name="server")
def _server(place: Place, sealed: Release) -> Iterator[Server]:
    place.post("deploy", sealed)
    limits: dict[str, Any] = {
        "max_body_bytes": 200_000,
        "max_rows": 500,
        "head_timeout_s": 0.5,
        "grpc_port": 0,
    }
    with serving(place, **limits) as server:
        yield server


@pytest.fixture(name="client")
def _client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=20) as client:
        yield client
