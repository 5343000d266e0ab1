"""Bad requests over real sockets: no fault, no other worker, no memory lost, good ones unharmed."""

from __future__ import annotations

from itertools import islice
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.bad_requests import KINDS, bad_requests
from tests.fuzz.driving import Tally, drive, exchange, resident_mib, worker_pids
from tests.serve.clients import post, predict
from tests.serve.running import Server

MOST_GROWN_MIB = 16


def unharmed(server: Server, count: int) -> Tally:
    """Drive bad requests at a server, which must be as it was afterwards."""
    drive(server, count=400, seed=0)  # what is made once for the first of a kind
    pids = worker_pids(server)
    before = resident_mib(pids[0])
    tally = drive(server, count=count, seed=1)
    assert tally.faults == []
    assert tally.wrong == []
    assert worker_pids(server) == pids
    assert resident_mib(pids[0]) - before < MOST_GROWN_MIB
    return tally


def test_the_same_seed_makes_the_same_requests() -> None:
    first, second = (list(islice(bad_requests(3), 300)) for _ in range(2))
    assert first == second
    assert first != list(islice(bad_requests(4), 300))


@pytest.mark.parametrize(
    ("status", "is_fault"), [(500, True), (502, True), (503, False), (422, False)]
)
def test_faults_are_counted(status: int, is_fault: bool) -> None:
    tally = Tally()
    tally.take(status, b"GET /")
    assert tally.faults == [b"GET /"] * is_fault


def test_a_thousand_bad_requests_harm_nobody(server: Server) -> None:
    tally = unharmed(server, 1_200)
    assert {400, 404, 405, 413, 422, 431} <= tally.statuses.keys()
    assert tally.good > 10
    assert sum(tally.statuses.values()) >= 1_200


@pytest.mark.slow
def test_fifty_thousand_bad_requests_harm_nobody(server: Server) -> None:
    unharmed(server, 50_000)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_request_damaged_anywhere_is_answered_or_closed(
    server: Server, data: st.DataObject
) -> None:
    request = bytearray(post(predict(1000.0)))
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(request)))
        request[place : place + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    statuses = exchange(server, bytes(request) + post(predict(1000.0)))
    assert all(status < 500 or status in (501, 505) for status in statuses)
    assert exchange(server, post(predict(1000.0))) == [200]


@pytest.mark.parametrize("kind", dict.fromkeys(KINDS), ids=lambda kind: kind.__name__)
def test_no_kind_is_good_as_a_rule(server: Server, kind: object) -> None:
    assert callable(kind)
    random = Random(5)
    statuses = [status for _ in range(20) for status in exchange(server, kind(random).content)]
    assert sum(status == 200 for status in statuses) <= len(statuses) / 2
