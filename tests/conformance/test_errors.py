"""Errors: a status of the client's fault and a text; the next request is answered as ever."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.conformance.asking import Asking
from tests.conformance.checking import check_answer, check_refused, content_of
from tests.conformance.conftest import PATIENCE_S

Body = dict[str, Any]


@pytest.fixture(name="path", scope="session")
def _path(model: str) -> str:
    return f"/v2/models/{model}/infer"


@pytest.fixture(name="still_answers")
def _still_answers(
    client: httpx.Client, path: str, asking: Asking, metadata: dict[str, Any]
) -> Callable[[], None]:
    def check() -> None:
        content = content_of(client.post(path, json={"inputs": asking.inputs()}))
        check_answer(content, metadata, rows=None)

    return check


def without_data(body: Body) -> None:
    del body["inputs"][0]["data"]


def without_a_shape(body: Body) -> None:
    del body["inputs"][0]["shape"]


def without_a_name(body: Body) -> None:
    del body["inputs"][0]["name"]


def without_a_datatype(body: Body) -> None:
    del body["inputs"][0]["datatype"]


def without_inputs(body: Body) -> None:
    del body["inputs"]


def with_no_input(body: Body) -> None:
    body["inputs"] = []


def with_inputs_that_are_none(body: Body) -> None:
    body["inputs"] = "none"


def with_too_few_elements(body: Body) -> None:
    body["inputs"][0]["data"] = body["inputs"][0]["data"][:-1]


def with_too_many_elements(body: Body) -> None:
    body["inputs"][0]["data"] = body["inputs"][0]["data"] * 3


def with_a_negative_shape(body: Body) -> None:
    body["inputs"][0]["shape"] = [-1] * len(body["inputs"][0]["shape"])


def with_a_huge_shape(body: Body) -> None:
    body["inputs"][0]["shape"] = [2**62] * len(body["inputs"][0]["shape"])


def with_more_dimensions(body: Body) -> None:
    body["inputs"][0]["shape"] = [*body["inputs"][0]["shape"], 3, 5]


def with_a_shape_of_texts(body: Body) -> None:
    body["inputs"][0]["shape"] = ["1"]


def with_an_unknown_datatype(body: Body) -> None:
    body["inputs"][0]["datatype"] = "FP1"


def with_another_datatype(body: Body) -> None:
    is_text = body["inputs"][0]["datatype"] == "BYTES"
    count = len(body["inputs"][0]["data"])
    body["inputs"][0].update(
        {"datatype": "FP32", "data": [1.5] * count}
        if is_text
        else {"datatype": "BYTES", "data": ["text"] * count}
    )


def with_objects_for_elements(body: Body) -> None:
    body["inputs"][0]["data"] = [{}] * len(body["inputs"][0]["data"])


def with_an_unknown_output(body: Body) -> None:
    body["outputs"] = [{"name": "no such output"}]


def with_parameters_that_are_a_list(body: Body) -> None:
    body["parameters"] = [1]


@pytest.mark.parametrize(
    "spoil",
    [
        without_data, without_a_shape, without_a_name, without_a_datatype, without_inputs,
        with_no_input, with_inputs_that_are_none, with_too_few_elements, with_too_many_elements,
        with_a_negative_shape, with_a_huge_shape, with_more_dimensions, with_a_shape_of_texts,
        with_an_unknown_datatype, with_another_datatype, with_objects_for_elements,
        with_an_unknown_output, with_parameters_that_are_a_list,
    ],
)  # fmt: skip
def test_a_request_that_does_not_fit(
    client: httpx.Client,
    path: str,
    asking: Asking,
    spoil: Callable[[Body], None],
    still_answers: Callable[[], None],
) -> None:
    """REST, Inference Request and its Error Object: required parts, shapes, datatypes, names."""
    body = {"inputs": asking.inputs()}
    spoil(body)

    check_refused(client.post(path, json=body))
    still_answers()


def test_a_missing_input(
    client: httpx.Client, path: str, asking: Asking, still_answers: Callable[[], None]
) -> None:
    """REST, Model Metadata: inputs are those that the model requires."""
    required = [spec.name for spec in asking.specs if not spec.parameters.get("optional")]
    for name in required:
        inputs = [one for one in asking.inputs() if one["name"] != name]
        check_refused(client.post(path, json={"inputs": inputs}))
    still_answers()


@pytest.mark.beyond
def test_an_input_that_the_model_does_not_have(
    client: httpx.Client, path: str, asking: Asking, still_answers: Callable[[], None]
) -> None:
    """A misspelt name is told, not passed over."""
    inputs = asking.inputs()

    check_refused(client.post(path, json={"inputs": [*inputs, {**inputs[0], "name": "no such"}]}))
    still_answers()


@pytest.mark.beyond
def test_two_inputs_of_one_name(
    client: httpx.Client, path: str, asking: Asking, still_answers: Callable[[], None]
) -> None:
    """Which of two would count is nobody's guess."""
    inputs = asking.inputs()

    check_refused(client.post(path, json={"inputs": [*inputs, inputs[0]]}))
    still_answers()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"null", b"[]", b"3", b'"inputs"', b"\xff\xfe", b'{"inputs": [}', b"NaN",
        b'{"inputs": ' + b"[" * 50_000, b'{"inputs": [' + b'{"a":' * 20_000, b"\x00" * 100,
    ],
)  # fmt: skip
def test_a_body_that_is_no_request(
    client: httpx.Client, path: str, content: bytes, still_answers: Callable[[], None]
) -> None:
    """REST, Inference: the body contains the request object, in JSON."""
    check_refused(client.post(path, content=content))
    still_answers()


def test_a_model_that_is_not_there(client: httpx.Client, asking: Asking) -> None:
    """REST, Inference, Error Object."""
    check_refused(client.post("/v2/models/no-such-model/infer", json={"inputs": asking.inputs()}))


def test_a_version_that_is_not_there(
    client: httpx.Client, asking: Asking, metadata: dict[str, Any], model: str
) -> None:
    """REST, Inference: a version that is not there is not another one's place."""
    if metadata.get("versions"):
        path = f"/v2/models/{model}/versions/987654321987654321/infer"
        check_refused(client.post(path, json={"inputs": asking.inputs()}))


def test_methods(client: httpx.Client, path: str) -> None:
    """REST, the table of paths and verbs."""
    assert 400 <= client.get(path).status_code < 500
    assert 400 <= client.post("/v2", json={}).status_code < 500


@pytest.mark.parametrize("difference", [-7, 40])
def test_a_wrong_content_length(
    base_url: str, path: str, asking: Asking, difference: int, still_answers: Callable[[], None]
) -> None:
    """HTTP (RFC 9112, section 6): half a request is no request, and costs nobody else anything."""
    url = httpx.URL(base_url)
    if url.scheme != "http":
        pytest.skip("asked over a plain connection alone")
    body = json.dumps({"inputs": asking.inputs()}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body) + difference}\r\n\r\n"
    with socket.create_connection((url.host, url.port or 80), timeout=PATIENCE_S) as connection:
        connection.sendall(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece

    assert b" 200 " not in answer.partition(b"\r\n")[0]
    still_answers()
