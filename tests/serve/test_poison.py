"""A request that kills workers: refused after the second time, and nobody else pays for it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve.clients import AsyncClient, post, predict
from tests.serve.running import Place, Server, serving, wait_for
from tests.support.releases import answer

POISON = 666.0
# Python runs this at a worker's start: from then on the model dies of one value.
_DEADLY = f"""
import os, signal
from torchyard.serve.engine import Engine

real = Engine.answer

def answer(self, columns, rows):
    if (columns["distance"] == {POISON}).any():
        os.kill(os.getpid(), signal.{{signal}})
    return real(self, columns, rows)

Engine.answer = answer
"""


@pytest.fixture(name="place", params=["SIGSEGV", "SIGKILL"])
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> Place:
    folder = tmp_path / "deadly"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_DEADLY.format(signal=request.param))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    place = Place(tmp_path)
    place.post("deploy", place.seal())
    return place


def ask(server: Server, distance: float) -> httpx.Response | None:
    """An answer, or None where the worker died instead."""
    body = predict(distance)
    try:
        return httpx.post(f"{server.url}/v1/models/demo/predict", content=body, timeout=20)
    except httpx.TransportError:
        return None


def is_back(server: Server) -> bool:
    try:
        return httpx.get(f"{server.url}/health/ready", timeout=20).status_code == 200
    except httpx.TransportError:
        return False


def ask_until_answered(server: Server, distance: float) -> httpx.Response:
    found: list[httpx.Response] = []

    def answered() -> bool:
        response = ask(server, distance)
        if response is not None and response.status_code != 503:  # 503: workers are starting
            found.append(response)
        return bool(found)

    wait_for(answered, f"an answer to {distance}")
    return found[0]


def quarantined(place: Place) -> list[dict[str, Any]]:
    try:
        content = json.loads((place.state / "quarantine.json").read_bytes())
    except FileNotFoundError:
        return []
    return [case for case in content["cases"] if case["kills"] >= 2]


@pytest.mark.slow
def test_a_poison_request_is_refused_after_its_second_kill(place: Place) -> None:
    with serving(place, workers=2) as server:
        for _ in range(2):
            assert ask(server, POISON) is None
            assert ask_until_answered(server, 1000.0).status_code == 200
        wait_for(lambda: bool(quarantined(place)), "a quarantined request")
        (case,) = quarantined(place)
        for _ in range(8):  # by every worker
            refused = ask_until_answered(server, POISON)
            assert (refused.status_code, refused.json()["error"]) == (422, "quarantined")
            assert case["incident"] in refused.json()["found"]
            assert str(POISON) not in refused.text
        assert ask_until_answered(server, 2000.0).status_code == 200
        assert server.process.stdout is not None
        lines = [server.process.stdout.readline() for _ in range(3)]
        assert lines[2].startswith("quarantine: a request to demo stopped workers 2 times")
        assert case["incident"] in lines[2]
    with serving(place, workers=1) as server:  # another server knows it still
        refused = ask_until_answered(server, POISON)
        assert refused.json()["error"] == "quarantined"


@pytest.mark.slow
def test_innocents_that_shared_a_batch_with_it_are_answered(place: Place) -> None:
    innocents = [float(number) for number in range(100, 110)]

    async def together(server: Server) -> list[Any]:
        clients = [AsyncClient(server.address) for _ in (*innocents, POISON)]
        requests = [post(predict(distance)) for distance in (*innocents, POISON)]
        asked = [client.ask(one) for client, one in zip(clients, requests, strict=True)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        for client in clients:
            client.close()
        return found

    with serving(place, workers=1) as server:
        for _ in range(3):
            asyncio.run(together(server))
            wait_for(lambda: is_back(server), "the worker")
            if quarantined(place):
                break
        for distance in innocents:
            found = ask_until_answered(server, distance)
            assert found.status_code == 200
            late = found.json()["predictions"][0]["probabilities"]["late"]
            assert late == pytest.approx(answer(distance)[1], abs=1e-6)
        while not quarantined(place):
            ask(server, POISON)
            wait_for(lambda: is_back(server), "the worker")
        assert len(quarantined(place)) == 1
        last = asyncio.run(together(server))
        assert [one.status for one in last] == [*[200] * len(innocents), 422]
