"""Health, readiness and metadata: what every client asks first."""

from __future__ import annotations

from typing import Any

import httpx

from tests.conformance.asking import DATATYPES
from tests.conformance.checking import check_refused, content_of


def test_the_server_is_live_and_ready(client: httpx.Client) -> None:
    """REST, Server Live and Server Ready: the status code says it."""
    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2/health/ready").status_code == 200


def test_server_metadata(client: httpx.Client) -> None:
    """REST, Server Metadata: name, version and extensions, all of them required."""
    content = content_of(client.get("/v2"))

    assert isinstance(content["name"], str)
    assert isinstance(content["version"], str)
    assert all(isinstance(extension, str) for extension in content["extensions"])


def test_model_metadata(client: httpx.Client, model: str) -> None:
    """REST, Model Metadata: name, platform, inputs and outputs; each with name, type, shape."""
    content = content_of(client.get(f"/v2/models/{model}"))

    assert content["name"] == model
    assert isinstance(content["platform"], str)
    assert content["inputs"]
    assert content["outputs"]
    for tensor in (*content["inputs"], *content["outputs"]):
        assert isinstance(tensor["name"], str)
        assert tensor["datatype"] in DATATYPES
        assert all(isinstance(size, int) and size >= -1 for size in tensor["shape"])
    for tensors in (content["inputs"], content["outputs"]):
        names = [tensor["name"] for tensor in tensors]
        assert len(set(names)) == len(names)


def test_a_ready_model(client: httpx.Client, model: str) -> None:
    """REST, Model Ready: name and ready."""
    response = client.get(f"/v2/models/{model}/ready")

    assert response.status_code == 200
    if response.content:  # earlier texts of the protocol have the status alone
        assert response.json() == {"name": model, "ready": True}


def test_every_version_has_metadata_and_is_ready(
    client: httpx.Client, metadata: dict[str, Any], model: str
) -> None:
    """REST, Model Metadata: versions are those that may be asked for by their own path."""
    for version in metadata.get("versions") or ():
        assert isinstance(version, str)
        path = f"/v2/models/{model}/versions/{version}"
        assert content_of(client.get(path))["name"] == model
        assert client.get(f"{path}/ready").status_code == 200


def test_a_model_that_is_not_there(client: httpx.Client) -> None:
    """REST, Model Metadata, Error Object: an error status and a text."""
    check_refused(client.get("/v2/models/no-such-model-here"))
    assert client.get("/v2/models/no-such-model-here/ready").status_code >= 400


def test_a_version_that_is_not_there(
    client: httpx.Client, metadata: dict[str, Any], model: str
) -> None:
    """REST, Model Metadata: so is a version that is not there, where there are versions."""
    if metadata.get("versions"):
        check_refused(client.get(f"/v2/models/{model}/versions/987654321987654321"))
        assert (
            client.get(f"/v2/models/{model}/versions/987654321987654321/ready").status_code >= 400
        )
