"""Clients that others wrote, unchanged: Triton's over HTTP, KServe's, curl."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.serve.running import MODEL, Server
from tests.support.releases import answer
from torchyard.release import Release

triton = pytest.importorskip("tritonclient.http")
exceptions = pytest.importorskip("tritonclient.utils")

DISTANCES = np.array([[0.0], [2000.0], [4000.0]])
CARRIERS = np.array([["DL"], ["AA"], ["UA"]], dtype=object)
DEPARTS = np.zeros((3, 1), dtype=np.int64)


@pytest.fixture(name="client")
def _client(server: Server) -> Iterator[Any]:
    client = triton.InferenceServerClient(server.url.removeprefix("http://"))
    yield client
    client.close()


def inputs(*, binary: bool) -> list[Any]:
    made = []
    columns = {
        "distance": ("FP64", DISTANCES),
        "carrier": ("BYTES", CARRIERS),
        "departs": ("INT64", DEPARTS),
    }
    for name, (datatype, values) in columns.items():
        tensor = triton.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values, binary_data=binary)
        made.append(tensor)
    return made


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_triton_infers(client: Any, binary_in: bool, binary_out: bool | None) -> None:
    outputs = (
        None
        if binary_out is None
        else [
            triton.InferRequestedOutput(name, binary_data=binary_out)
            for name in ("label", "probabilities")
        ]
    )
    result = client.infer(MODEL, inputs(binary=binary_in), outputs=outputs, request_id="mine")

    expected = [answer(float(distance)) for distance in DISTANCES.ravel()]
    np.testing.assert_allclose(result.as_numpy("probabilities"), expected, atol=1e-6)
    labels = result.as_numpy("label").tolist()
    assert [one.decode() if isinstance(one, bytes) else one for one in labels] == [
        "on time",
        "late",
        "late",
    ]
    assert result.get_response()["id"] == "mine"


def test_triton_asks_for_classes(client: Any) -> None:
    wanted = [triton.InferRequestedOutput("probabilities", class_count=1)]
    result = client.infer(MODEL, inputs(binary=True), outputs=wanted)

    named = [one.decode().split(":") for one in result.as_numpy("probabilities").ravel()]
    assert [(index, label) for _, index, label in named] == [
        ("0", "on time"),
        ("1", "late"),
        ("1", "late"),
    ]


def test_triton_asks_what_there_is(client: Any, sealed: Release) -> None:
    version = sealed.id[7:19]
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, version)
    assert not client.is_model_ready("no-such-model")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    assert client.get_model_metadata(MODEL, version)["versions"] == [version]
    states = {entry["version"]: entry["state"] for entry in client.get_model_repository_index()}
    assert states[version] == "READY"


def test_triton_asks_what_was_counted(client: Any, sealed: Release) -> None:
    def counted(version: str = "") -> Any:
        (told,) = client.get_inference_statistics(MODEL, version)["model_stats"]
        return told

    before = counted()
    client.infer(MODEL, inputs(binary=True))
    after = counted(sealed.id[7:19])

    assert after["inference_count"] == before["inference_count"] + len(DISTANCES)
    assert after["execution_count"] == before["execution_count"] + 1
    succeeded, took = after["inference_stats"]["success"], after["inference_stats"]["compute_infer"]
    assert succeeded["ns"] > took["ns"] > 0
    assert after["last_inference"] >= before["last_inference"]
    assert len(client.get_inference_statistics()["model_stats"]) == 1
    with pytest.raises(exceptions.InferenceServerException, match="no deployed model"):
        client.get_inference_statistics("no-such-model")


def test_triton_shows_our_refusals(client: Any) -> None:
    refused = exceptions.InferenceServerException
    with pytest.raises(refused, match="no such version; expected the first 12 digits"):
        client.get_model_metadata(MODEL, "1")
    with pytest.raises(refused, match="Did you mean 'distance'"):
        client.infer(MODEL, [_input("distanc", DISTANCES), *inputs(binary=True)[1:]])
    with pytest.raises(refused, match="no input 'carrier'"):
        client.infer(MODEL, inputs(binary=True)[::2])
    with pytest.raises(refused, match="a number above 5000; expected a number from 0 to 5000 km"):
        client.infer(MODEL, [_input("distance", DISTANCES + 4500), *inputs(binary=True)[1:]])


def _input(name: str, values: Any) -> Any:
    tensor = triton.InferInput(name, list(values.shape), "FP64")
    tensor.set_data_from_numpy(values)
    return tensor


def test_curl(server: Server) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    tensors = [
        {"name": "distance", "datatype": "FP64", "shape": [1], "data": [1000]},
        {"name": "carrier", "datatype": "BYTES", "shape": [1], "data": ["DL"]},
        {"name": "departs", "datatype": "INT64", "shape": [1], "data": [0]},
    ]
    path = f"{server.url}/v2/models/{MODEL}/infer"
    done = subprocess.run(
        [curl, "-sS", "-d", json.dumps({"inputs": tensors}), path],
        capture_output=True, check=True, timeout=20,
    )  # fmt: skip

    probabilities, label = json.loads(done.stdout)["outputs"]
    assert probabilities["data"] == pytest.approx(answer(1000), abs=1e-6)
    assert label["data"] == ["late"]


@pytest.mark.slow
def test_kserve(server: Server) -> None:
    """In an environment that has it: it asks for other versions of what this project pins."""
    kserve = pytest.importorskip("kserve")
    asyncio.run(ask_by_kserve(kserve, server.url))


async def ask_by_kserve(kserve: Any, url: str) -> None:
    client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2"))
    try:
        assert await client.is_server_ready(url)
        assert await client.is_server_live(url)
        assert await client.is_model_ready(url, MODEL)
        for binary in (True, False):
            columns = (
                ("distance", "FP64", DISTANCES),
                ("carrier", "BYTES", CARRIERS),
                ("departs", "INT64", DEPARTS),
            )
            tensors = []
            for name, datatype, values in columns:
                tensor = kserve.InferInput(name, list(values.shape), datatype)
                tensor.set_data_from_numpy(values, binary_data=binary)
                tensors.append(tensor)
            result = await client.infer(
                url, kserve.InferRequest(MODEL, tensors, request_id="mine"), model_name=MODEL
            )
            found = {output.name: output.as_numpy() for output in result.outputs}
            expected = [answer(float(distance)) for distance in DISTANCES.ravel()]
            np.testing.assert_allclose(found["probabilities"], expected, atol=1e-6)
            assert result.id == "mine"
        tensors[0].set_data_from_numpy(DISTANCES + 4500, binary_data=True)
        with pytest.raises(Exception, match="a number above 5000"):
            await client.infer(url, kserve.InferRequest(MODEL, tensors), model_name=MODEL)
    finally:
        await client.close()
