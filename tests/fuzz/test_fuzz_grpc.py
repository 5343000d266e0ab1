"""Bad calls over gRPC: no fault, no other worker, no memory lost, good ones unharmed."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.fuzz.bad_messages import KINDS, BadCall, bad_calls
from tests.fuzz.driving import UNANSWERED, Tally, resident_mib, worker_pids
from tests.fuzz.driving_grpc import drive_grpc, outcome, port_of
from tests.serve.grpc_clients import channel_to
from tests.serve.running import Server

MOST_GROWN_MIB = 64


def unharmed(server: Server, count: int) -> Tally:
    """Drive bad calls at a server, which must be as it was afterwards."""
    drive_grpc(server, count=200, seed=0)  # what is made once for the first of a kind
    pids = worker_pids(server)
    before = resident_mib(pids[0])
    tally = drive_grpc(server, count=count, seed=1)
    assert tally.faults == []
    assert tally.wrong == []
    assert worker_pids(server) == pids
    assert resident_mib(pids[0]) - before < MOST_GROWN_MIB
    return tally


def test_the_same_seed_makes_the_same_calls() -> None:
    first, second = (list(islice(bad_calls(3), 300)) for _ in range(2))
    assert first == second
    assert first != list(islice(bad_calls(4), 300))


@pytest.mark.parametrize(
    ("code", "is_fault"),
    [
        *(("INTERNAL", True), ("UNKNOWN", True), ("UNAVAILABLE", True), (UNANSWERED, True)),
        *(("INVALID_ARGUMENT", False), ("DEADLINE_EXCEEDED", False)),
    ],
)
def test_faults_are_counted_by_their_codes(code: str, is_fault: bool) -> None:
    tally = Tally()
    tally.take(code, b"call")
    assert tally.faults == [b"call"] * is_fault


def test_some_hundred_bad_calls_harm_nobody(server: Server) -> None:
    tally = unharmed(server, 400)
    assert {"INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED", "CANCELLED"} <= tally.statuses.keys()
    assert tally.good > 10
    assert sum(tally.statuses.values()) == 400


@pytest.mark.slow
def test_ten_thousand_bad_calls_harm_nobody(server: Server) -> None:
    unharmed(server, 10_000)


def test_no_kind_is_good_as_a_rule(server: Server) -> None:
    """Streams are answered in their parts and end well; calls are not."""
    assert len(KINDS) > 20
    calls = [bad for bad in islice(bad_calls(7), 300) if isinstance(bad, BadCall)]
    with channel_to(port_of(server)) as channel:
        codes = [outcome(channel, bad) for bad in calls if not bad.streams]
    assert codes.count("OK") < len(codes) / 3
