"""A real server to be fuzzed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.serve.running import Place, Server, serving

collect_ignore = ["coverage_guided.py"]  # a program of its own, over a library of its own


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = Place(tmp_path_factory.mktemp("fuzzed"))
    place.post("deploy", place.seal())
    limits: dict[str, Any] = {
        "max_body_bytes": 200_000,
        "max_rows": 500,
        "head_timeout_s": 0.5,
        "grpc_port": 0,
    }
    with serving(place, **limits) as server:
        yield server
