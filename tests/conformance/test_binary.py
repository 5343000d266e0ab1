"""Binary tensor data, where the server says that it has the extension.

Source: the binary tensor data extension,
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.conformance.asking import Asking, Tensor, from_bytes
from tests.conformance.checking import check_answer, check_refused, content_of, is_same

HEADER = "Inference-Header-Content-Length"


@pytest.fixture(autouse=True)
def _needed(needs_extension: Callable[[str], None]) -> None:
    needs_extension("binary_tensor_data")


@pytest.fixture(name="path", scope="session")
def _path(model: str) -> str:
    return f"/v2/models/{model}/infer"


def post(
    client: httpx.Client,
    path: str,
    inputs: list[tuple[dict[str, Any], bytes]],
    *,
    rest: bytes = b"",
    length: str | None = None,
    **more: Any,
) -> httpx.Response:
    """Send a request whose inputs may have bytes after the JSON."""
    text = json.dumps({"inputs": [told for told, _ in inputs], **more}).encode()
    content = b"".join(piece for _, piece in inputs)
    headers = {HEADER: str(len(text)) if length is None else length}
    return client.post(path, content=text + content + rest, headers=headers)


def outputs_of(response: httpx.Response, metadata: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The outputs of an answer, those in bytes put back into JSON, all of them checked."""
    assert response.status_code == 200, response.text[:500]
    if HEADER not in response.headers:
        return check_answer(content_of(response), metadata, rows=None)
    length = int(response.headers[HEADER])
    content, rest = json.loads(response.content[:length]), response.content[length:]
    for output in content["outputs"]:
        size = (output.get("parameters") or {}).get("binary_data_size")
        if size is not None:
            assert "data" not in output
            output["data"], rest = from_bytes(output["datatype"], rest[:size]), rest[size:]
    assert rest == b"", "bytes that belong to no output"
    return check_answer(content, metadata, rows=None)


def tensors_of(asking: Asking, seed: int) -> list[Tensor]:
    return asking.tensors(rows=3 if asking.is_batched else 1, seed=seed)


def test_bytes_mean_what_json_means(
    client: httpx.Client, path: str, asking: Asking, metadata: dict[str, Any]
) -> None:
    """Request: all inputs as bytes, and each one alone beside the others in JSON."""
    tensors = tensors_of(asking, 5)
    plain = [(tensor.as_json(), b"") for tensor in tensors]
    binary = [tensor.as_binary() for tensor in tensors]
    told = {"inputs": [one for one, _ in plain]}
    expected = check_answer(content_of(client.post(path, json=told)), metadata, rows=None)
    mixtures = [binary] + [
        [binary[at] if at == place else plain[at] for at in range(len(tensors))]
        for place in range(len(tensors))
    ]
    for mixture in mixtures:
        assert is_same(outputs_of(post(client, path, mixture), metadata), expected)


def test_outputs_as_bytes(
    client: httpx.Client, path: str, asking: Asking, metadata: dict[str, Any]
) -> None:
    """Response: ``binary_data`` for one output, ``binary_data_output`` for all, and both."""
    names = [told["name"] for told in metadata["outputs"]]
    body = {"inputs": [tensor.as_json() for tensor in tensors_of(asking, 7)]}
    expected = check_answer(content_of(client.post(path, json=body)), metadata, rows=None)
    for wish, as_bytes in (
        ({"parameters": {"binary_data_output": True}}, set(names)),
        ({"outputs": _wanted(names, {names[0]: True})}, {names[0]}),
        (
            {
                "parameters": {"binary_data_output": True},
                "outputs": _wanted(names, {names[0]: False}),
            },
            set(names[1:]),
        ),
        ({"parameters": {"binary_data_output": False}}, set[str]()),
    ):
        response = client.post(path, json={**body, **wish})
        assert is_same(outputs_of(response, metadata), expected)
        assert _as_bytes(response) == as_bytes


def test_an_answer_in_json_has_no_header(client: httpx.Client, path: str, asking: Asking) -> None:
    """Response: the header is there if any binary data is."""
    binary = [tensor.as_binary() for tensor in tensors_of(asking, 1)]
    response = post(client, path, binary)

    content_of(response)
    assert HEADER not in response.headers


@pytest.mark.parametrize("length", ["-1", "x", "999999999", "99999999999999999999999", "1"])
def test_a_length_of_the_json_that_is_wrong(
    client: httpx.Client, path: str, asking: Asking, length: str
) -> None:
    """The header gives the length of the JSON, no more than the body has and no less."""
    binary = [tensor.as_binary() for tensor in tensors_of(asking, 1)]

    check_refused(post(client, path, binary, length=length))
    content_of(post(client, path, binary))


@pytest.mark.parametrize("change", [-1, 1, -(2**40), 2**40, 2**62])
def test_a_size_that_is_wrong(client: httpx.Client, path: str, asking: Asking, change: int) -> None:
    """``binary_data_size`` is the size of the tensor's data: not less, not more, not below 0."""
    binary = [tensor.as_binary() for tensor in tensors_of(asking, 1)]
    told, content = binary[0]
    wrong = ({**told, "parameters": {"binary_data_size": len(content) + change}}, content)

    check_refused(post(client, path, [wrong, *binary[1:]]))
    content_of(post(client, path, binary))


def test_bytes_that_belong_to_nothing(client: httpx.Client, path: str, asking: Asking) -> None:
    """The body is the JSON and the tensors' data."""
    binary = [tensor.as_binary() for tensor in tensors_of(asking, 1)]

    check_refused(post(client, path, binary, rest=b"\0"))


def test_lengths_of_texts_that_are_wrong(client: httpx.Client, path: str, asking: Asking) -> None:
    """BYTES: four bytes of length before every element, within the tensor's data."""
    tensors = tensors_of(asking, 1)
    places = [at for at, tensor in enumerate(tensors) if tensor.datatype == "BYTES"]
    if not places:
        pytest.skip("the model has no input of BYTES")
    for length in (2**32 - 1, 0, 1 << 16):
        binary = [tensor.as_binary() for tensor in tensors]
        told, content = binary[places[0]]
        binary[places[0]] = (told, struct.pack("<I", length) + content[4:])
        check_refused(post(client, path, binary))


def test_elements_fewer_than_the_shape_says(
    client: httpx.Client, path: str, asking: Asking
) -> None:
    """The data has as many elements as the shape."""
    binary = [tensor.as_binary() for tensor in tensors_of(asking, 1)]
    told, _ = binary[0]
    short = ({**told, "parameters": {"binary_data_size": 0}}, b"")

    check_refused(post(client, path, [short, *binary[1:]]))


def _wanted(names: list[str], flags: dict[str, bool]) -> list[dict[str, Any]]:
    return [
        {"name": name, **({"parameters": {"binary_data": flags[name]}} if name in flags else {})}
        for name in names
    ]


def _as_bytes(response: httpx.Response) -> set[str]:
    length = int(response.headers.get(HEADER, len(response.content)))
    return {
        output["name"]
        for output in json.loads(response.content[:length])["outputs"]
        if "binary_data_size" in (output.get("parameters") or {})
    }
