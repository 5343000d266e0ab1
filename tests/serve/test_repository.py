"""The model repository over REST: what is sealed is listed; what is served no request changes."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.serve.running import MODEL, Place
from torchyard.core.digest import short
from torchyard.release import Release
from torchyard.serve.inference.repository import sealed_entries

INDEX = "/v2/repository/index"


def test_what_is_sealed_is_listed_beside_what_is_served(
    client: httpx.Client, place: Place, sealed: Release
) -> None:
    other = place.seal("not deployed")
    served = {"name": MODEL, "version": short(sealed.id), "state": "READY", "reason": ""}

    entries = client.post(INDEX).json()
    assert entries[0] == served
    assert {
        "name": MODEL, "version": short(other.id), "state": "UNAVAILABLE",
        "reason": "sealed, not deployed",
    } in entries  # fmt: skip
    assert client.post(INDEX, json={"ready": True}).json() == [served]


@pytest.mark.parametrize("body", [b"{", b'{"ready": 1}', b"[]", b"\xff"])
def test_another_body_than_the_protocols_is_refused(client: httpx.Client, body: bytes) -> None:
    response = client.post(INDEX, content=body)

    assert response.status_code == 400
    assert response.json()["expected"] == 'nothing, or {"ready": true} or {"ready": false}'


def test_loading_is_done_where_it_was_and_else_refused(
    client: httpx.Client,
) -> None:
    path = "/v2/repository/models/{}/load"
    assert client.post(path.format(MODEL)).status_code == 200
    refused = client.post(path.format("other"))
    assert refused.status_code == 400
    assert refused.json()["found"] == "a model that no release is deployed of"
    assert refused.json()["remedy"].startswith("Run: torchyard deploy RELEASE. Or let requests")


def test_unloading_is_refused(client: httpx.Client) -> None:
    refused = client.post(f"/v2/repository/models/{MODEL}/unload")

    assert refused.status_code == 400
    assert refused.json()["error"].startswith("model repository: found a request to serve a model")
    assert client.post("/v2/repository/models/other/unload").status_code == 404
    assert client.get(f"/v2/models/{MODEL}/ready").status_code == 200


def test_a_release_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / ("0" * 64)).mkdir()

    assert sealed_entries(tmp_path) == []
