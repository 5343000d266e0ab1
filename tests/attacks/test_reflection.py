"""A refusal repeats nothing that was sent, whatever was sent and wherever it stood.

A running server is asked with a mark in every place that a client fills; the mark must not be in a
byte of the answer, head or body. Answers that are no refusals may hold what they are about: the ids
that the client gave.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.serve.clients import ROW, RawClient
from tests.serve.running import MODEL, Place, Server, serving

SPARE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=0, max_size=12
).map(lambda text: f"q7Z{text}9kJ")
NUMBERS = st.integers(10**11, 10**17) | st.integers(-(10**17), -(10**11))
MARKS = st.one_of(WORDS, NUMBERS)
REFUSED = re.compile(rb"HTTP/1\.1 (4\d\d|501|505) ")
TOKENS = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0189-_.~", max_size=12).map(
    lambda text: f"q7Z{text}9kJ"
)
MODES = [f"/v1/models/{MODEL}/predict", f"/v1/models/{MODEL}/labels", f"/v2/models/{MODEL}/infer"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = Place(tmp_path_factory.mktemp("reflection"))
    place.post("deploy", place.seal())
    with serving(place, max_body_bytes=200_000) as server:
        yield server


def exchange(server: Server, sent: bytes) -> bytes:
    """Everything that comes back until the server closes."""
    with RawClient(server.address) as client:
        client.send(sent)
        client.end()
        received = b""
        while piece := client._socket.recv(65536):
            received += piece
    return received


def post(path: str, body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in (*headers, b"Connection: close"))
    return b"POST %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (
        path.encode("latin-1"), lines, len(body), body,
    )  # fmt: skip


def spellings(mark: object) -> list[bytes]:
    """A mark as JSON, as text and escaped for a URL; short parts of it would be met by chance."""
    text = str(mark)
    escaped = json.dumps(text)[1:-1]
    plain = json.dumps(text, ensure_ascii=False)[1:-1]
    found = {text, escaped, plain, quote(text, safe=""), repr(text)[1:-1]}
    return [one.encode() for one in found]


def hold(received: bytes, mark: object) -> None:
    """A request that never gets whole has no answer: its client has hung up."""
    assert received == b"" or REFUSED.match(received), received[:200]
    for spelling in spellings(mark):
        assert spelling not in received, (spelling, received)


def rows(mark: Any) -> list[Any]:
    """Bodies of the plain routes with a mark somewhere."""
    good = {**ROW, "distance": 100.0}
    name = str(mark)
    return [
        mark, [mark], {name: mark}, {"rows": mark}, {"rows": [mark]}, {"rows": {name: 1}},
        {"rows": [{**good, "distance": mark if isinstance(mark, str) else float(mark)}]},
        {"rows": [{**good, "carrier": [mark]}]}, {"rows": [{**good, "carrier": {name: mark}}]},
        {"rows": [{**good, "departs": mark}]}, {"rows": [{**good, name: 1}]},
        {"rows": [good], name: mark}, {"rows": [good], "ids": mark},
        {"rows": [good], "ids": [name, name]}, {"rows": [good], "key": [mark]},
        {"rows": [good], "ids": [[mark]]}, {"rows": [good], "key": {name: 1}},
    ]  # fmt: skip


def labels(mark: Any) -> list[Any]:
    name = str(mark)
    return [
        {"labels": mark}, {"labels": [mark]}, {name: []}, {"labels": [{"id": mark}]},
        {"labels": [{"id": "a", "label": mark}]}, {"labels": [{"id": "a", "label": [mark]}]},
        {"labels": [{"id": "a", "label": {name: mark}}]}, {"labels": [{"id": [mark], "label": 1}]},
        {"labels": [{"id": "a", "label": True, name: mark}]},
    ]  # fmt: skip


def tensors(mark: Any) -> list[Any]:
    name = str(mark)
    good = {"name": "distance", "datatype": "FP64", "shape": [1], "data": [100.0]}
    carrier = {"name": "carrier", "datatype": "BYTES", "shape": [1], "data": ["DL"]}
    departs = {**carrier, "name": "departs", "data": [ROW["departs"]]}
    whole = [good, carrier, departs]
    return [
        {"inputs": mark}, {"inputs": [mark]}, {name: mark}, {"inputs": whole, name: mark},
        {"inputs": [{**good, "name": name}]}, {"inputs": [{**good, "name": [mark]}]},
        {"inputs": [{**good, "datatype": name}]}, {"inputs": [{**good, "datatype": [mark]}]},
        {"inputs": [{**good, "shape": [mark]}]}, {"inputs": [{**good, "shape": [1, mark]}]},
        {"inputs": [good, {**carrier, "data": [mark, mark]}, departs]},
        {"inputs": [{**good, "data": [name]}, carrier, departs]},
        {"inputs": [{**good, "data": [[mark, mark]]}, carrier, departs]},
        {"inputs": [{**good, name: mark}, carrier, departs]},
        {"inputs": [good, carrier, {**departs, "data": [name]}]},
        {"inputs": [good, {**carrier, "data": [[name, 1]]}, departs]},
        {"inputs": whole, "outputs": [{"name": name}]}, {"inputs": whole, "outputs": [mark]},
        {"inputs": whole, "outputs": mark}, {"inputs": whole, "id": [mark]},
        {"inputs": whole, "parameters": {name: [mark]}}, {"inputs": whole, "parameters": mark},
    ]  # fmt: skip


BODIES = [
    *((MODES[0], place) for place in range(len(rows("x")))),
    *((MODES[1], place) for place in range(len(labels("x")))),
    *((MODES[2], place) for place in range(len(tensors("x")))),
]


@SPARE
@given(at=st.sampled_from(BODIES), mark=MARKS)
@example(at=BODIES[10], mark="q7Z` - at `$.rows[0].q7Z9kJ")
@example(at=BODIES[2], mark="q7Z` - at `$.q7Z9kJ")
@example(at=BODIES[11], mark="q7Z` - at `$.rows[0].distance9kJ")
def test_nothing_of_a_body_comes_back(running: Server, at: tuple[str, int], mark: Any) -> None:
    path, place = at
    bodies = dict(zip(MODES, (rows, labels, tensors), strict=True))[path](mark)
    for ensure_ascii in (True, False):
        body = json.dumps(bodies[place], ensure_ascii=ensure_ascii).encode()
        hold(exchange(running, post(path, body)), mark)


@SPARE
@given(path=st.sampled_from(MODES), mark=MARKS, cut=st.integers(1, 40))
def test_nothing_of_what_is_not_json_comes_back(
    running: Server, path: str, mark: Any, cut: int
) -> None:
    whole = json.dumps({"rows": [{"distance": mark}]}, ensure_ascii=False).encode()
    for body in (
        whole + str(mark).encode(),
        str(mark).encode(),
        b'{"%b' % str(mark).encode()[:cut],
    ):
        received = exchange(running, post(path, body))
        assert received.startswith(b"HTTP/1.1 4")
        if len(body) > 8:
            assert body not in received
        for spelling in spellings(mark):
            assert spelling not in received


@SPARE
@given(mark=TOKENS, verb=st.sampled_from(["GET", "POST", "DELETE", "PATCH", "REPORT"]))
def test_nothing_of_a_target_comes_back(running: Server, mark: str, verb: str) -> None:
    for path in (
        f"/{mark}", f"/v1/models/{mark}", f"/v1/models/{mark}/predict", f"/v2/models/{mark}/ready",
        f"/v2/models/{MODEL}/versions/{mark}", f"/v2/models/{MODEL}/versions/{mark}/infer",
        f"/v3?{mark}={mark}", f"/{mark}%0d%0a{mark}", f"http://{mark}/{mark}", f"/health/{mark}",
        f"/v2/repository/models/{mark}/load", f"/v1/models/{MODEL}/predict;{mark}",
    ):  # fmt: skip
        sent = f"{verb} {path} HTTP/1.1\r\nHost: {mark}\r\nConnection: close\r\n\r\n"
        hold(exchange(running, sent.encode()), mark)


@SPARE
@given(mark=TOKENS | NUMBERS.map(str))
def test_nothing_of_a_header_or_method_comes_back(running: Server, mark: str) -> None:
    value = mark.encode()
    for sent in (
        post(MODES[0], b"{}", b"X-Deadline-Ms: %b" % value),
        post(MODES[0], b"{}", b"Authorization: Bearer %b" % value, b"X-Api-Key: %b" % value),
        post(MODES[0], b"{}", b"Content-Type: %b" % value, b"X-%b: 1" % value.strip(b"-")),
        post(MODES[0], b"{}", b"Expect: %b" % value),
        post(MODES[0], b"{}", b"Content-Encoding: %b" % value),
        post(MODES[0], b"{}", b"Transfer-Encoding: %b" % value),
        post(MODES[2], b"{}", b"Inference-Header-Content-Length: %b" % value),
        post(MODES[0], b"{}", b"Origin: %b" % value, b"X-Forwarded-For: %b" % value),
        post(MODES[0], b"{}", b"X-Request-Id: ,%b" % value, b"traceparent: %b" % value),
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %b\r\n\r\n" % value.replace(b"q", b"9"),
        b"%b / HTTP/1.1\r\nHost: x\r\n\r\n" % value.upper(),
        b"GET / HTTP/%b\r\nHost: x\r\n\r\n" % value,
        b"GET / HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % value,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%b\r\n\r\n" % value,
    ):
        hold(exchange(running, sent), mark)
        assert mark.upper().encode() not in exchange(running, sent)
