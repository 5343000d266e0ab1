"""A real server at the level of bytes: pipelining, bounds, timeouts, attacks, crowds."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import httpx
import pytest

from tests.serve.clients import ROW, AsyncClient, RawClient, post, predict
from tests.serve.running import MODEL, Server
from tests.support.releases import answer

PREDICT = f"/v1/models/{MODEL}/predict"
ERROR_PARTS = {"error", "where", "found", "expected", "remedy"}


def rows(*distances: float) -> dict[str, Any]:
    return {"rows": [{**ROW, "distance": distance} for distance in distances]}


def test_head_answers_like_get_without_a_body(server: Server) -> None:
    with RawClient(server.address) as client:
        client.send(b"HEAD /health/live HTTP/1.1\r\nHost: x\r\n\r\n" + post(predict(1000)))
        head = client._socket.recv(1 << 16)

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: 13\r\n\r\n" in head
    assert b"live" not in head


def test_chunked_bodies(client: httpx.Client) -> None:
    content = json.dumps(rows(1000)).encode()
    response = client.post(PREDICT, content=(content[n : n + 7] for n in range(0, 999, 7)))

    assert response.json()["predictions"][0]["label"] == "late"


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    with RawClient(server.address) as client:
        stream = b"".join(post(predict(10.0 * n, ids=[f"row {n}"])) for n in range(200))
        client.send(stream + b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n" + post(b"{"))
        for number in range(200):
            (found,) = client.read().json()["predictions"]
            assert found["id"] == f"row {number}"
            expected = answer(10.0 * number)[1]
            assert found["probabilities"]["late"] == pytest.approx(expected, abs=1e-6)
        assert client.read().json() == {"live": True}
        assert client.read().status == 400


def test_expect_continue(server: Server) -> None:
    request = post(predict(1000), "Expect: 100-continue")
    head, _, body = request.partition(b"\r\n\r\n")
    with RawClient(server.address) as client:
        assert client.send(head + b"\r\n\r\n").read().status == 100
        assert client.send(body).read().status == 200


def test_a_body_too_large_is_refused_before_it_is_sent(server: Server) -> None:
    with RawClient(server.address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nbegin")
        found = client.read()
        assert found.status == 413
        assert found.headers["connection"] == "close"
        assert found.json()["expected"] == "at most 200000 bytes"


def test_a_client_that_sends_a_huge_body_anyway_reads_why(server: Server) -> None:
    with RawClient(server.address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n")
        client.send(b"x" * 3_000_000)
        assert client.read().status == 413


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nbroken\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 10_000 + b"\r\n", 431),
        (post(b"a", "Transfer-Encoding: chunked", path="/"), 400),
    ],
)
def test_bad_http_is_refused_and_closed(server: Server, sent: bytes, status: int) -> None:
    with RawClient(server.address) as client:
        found = client.send(sent).read()
        assert (found.status, set(found.json())) == (status, ERROR_PARTS)
        assert client.is_closed()


def test_half_a_head_times_out(server: Server) -> None:
    with RawClient(server.address) as client:
        found = client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX: slow").read()
        assert (found.status, found.headers["connection"]) == (408, "close")
        assert client.is_closed()


def test_a_client_that_leaves_costs_the_others_nothing(server: Server) -> None:
    with RawClient(server.address) as stays:
        for number in range(20):
            with RawClient(server.address) as leaves:
                leaves.send(post(predict(1)) * 3)
            stays.send(post(predict(100.0 * number)))
            expected = answer(100.0 * number)[1]
            (found,) = stays.read().json()["predictions"]
            assert found["probabilities"]["late"] == pytest.approx(expected, abs=1e-6)


def test_clients_at_once_get_their_own_rows(server: Server) -> None:
    async def ask(first: int) -> int:
        client = AsyncClient(server.address)
        for number in range(first, first + 40):
            distances = [float((number * 37 + place) % 5000) for place in range(1 + number % 3)]
            body = json.dumps({**rows(*distances), "ids": [f"{d}" for d in distances]})
            found = (await client.ask(post(body.encode()))).json()["predictions"]
            assert [one["id"] for one in found] == [f"{d}" for d in distances]
            for one, distance in zip(found, distances, strict=True):
                assert math.isclose(one["probabilities"]["late"], answer(distance)[1], abs_tol=1e-6)
        client.close()
        return 40

    async def everybody() -> list[int]:
        return await asyncio.gather(*(ask(1000 * number) for number in range(32)))

    assert sum(asyncio.run(everybody())) == 32 * 40
