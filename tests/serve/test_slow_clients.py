"""Clients that drip, say nothing, hang up halfway or come in crowds, over real sockets."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.serve.clients import RawClient, post, predict
from tests.serve.running import Place, Server, serving
from torchyard.release import Release


@pytest.fixture(scope="module", name="strict")
def _strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = Place(tmp_path_factory.mktemp("strict"))
    release: Release = place.seal()
    place.post("deploy", release)
    with serving(
        place, first_byte_timeout_s=0.3, head_timeout_s=0.6, max_connections_per_client=4
    ) as server:
        yield server


@pytest.mark.slow
def test_a_head_that_drips_is_refused_and_others_are_served_meanwhile(strict: Server) -> None:
    with RawClient(strict.address) as slow, RawClient(strict.address) as good:
        for byte in b"GET / HT":
            slow.send(bytes([byte]))
            assert good.send(post(predict(1))).read().status == 200
            time.sleep(0.02)
        assert slow.read().status == 408
        assert slow.is_closed()
        assert good.send(post(predict(1))).read().status == 200


@pytest.mark.slow
def test_a_connection_that_says_nothing_is_closed(strict: Server) -> None:
    with RawClient(strict.address) as silent:
        assert silent.is_closed()


@pytest.mark.slow
def test_a_client_that_hangs_up_halfway_has_its_answers(strict: Server) -> None:
    with RawClient(strict.address) as half:
        half.send(post(predict(1)) + post(predict(2)))
        half.end()
        assert [half.read().status, half.read().status] == [200, 200]
        assert half.is_closed()


@pytest.mark.slow
def test_a_client_that_hangs_up_in_its_body_leaves_nothing_behind(strict: Server) -> None:
    with RawClient(strict.address) as half:
        half.send(post(predict(1))[:-5])
        half.end()
        assert half.is_closed()


@pytest.mark.slow
def test_a_crowd_of_connections_is_told_and_those_before_it_are_served(strict: Server) -> None:
    clients = [RawClient(strict.address) for _ in range(5)]
    try:
        assert [client.send(post(predict(1))).read().status for client in clients[:4]] == [200] * 4
        refusal = clients[4].read()
        assert refusal.status == 503
        assert refusal.json()["found"] == "4 connections of this client"
        assert clients[0].send(post(predict(1))).read().status == 200
    finally:
        for client in clients:
            client.__exit__()
