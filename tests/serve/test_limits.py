"""Limits of connections: how many, how slow, how silent; and whose they are behind a proxy."""

from __future__ import annotations

import resource
from typing import Any

import pytest

from tests.serve.test_http import GET, Transport
from torchyard.core.errors import BadUsage
from torchyard.serve.admission import crowd
from torchyard.serve.admission.crowd import SPARE, Crowd, room_for
from torchyard.serve.admission.proxies import Proxies
from torchyard.serve.http.answers import Answer
from torchyard.serve.http.connection import BODY_GRACE_S, LINGER_S, Exchange, Limits, Listener

POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"


class Peer(Transport):
    """A recorded transport of a client with an address."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (self._address, 1234) if name == "peername" else default


class Bench:
    def __init__(self, crowd: Crowd | None = None, proxies: Proxies | None = None) -> None:
        self.now = 0.0
        self.exchanges: list[Exchange] = []
        self.listener = Listener(
            handle=self.exchanges.append,
            observe=lambda *_: None,
            limits=Limits(
                head_bytes=4000,
                body_bytes=1 << 20,
                head_s=10,
                body_s=60,
                idle_s=75,
                first_byte_s=3,
                body_bytes_per_s=1000,
                headers=20,
            ),
            clock=lambda: self.now,
            connections=set(),
            crowd=crowd or Crowd(),
            proxies=proxies or Proxies(),
        )

    def connect(self, address: str = "192.0.2.1") -> tuple[Any, Peer]:
        connection, peer = self.listener.connect(), Peer(address)
        connection.connection_made(peer)
        return connection, peer

    def sweep(self, after_s: float) -> None:
        self.now += after_s
        self.listener.sweep()


def test_a_connection_too_many_is_told_so_and_closed() -> None:
    bench = Bench(Crowd(most=2, most_per_client=9))
    first, _ = bench.connect()
    bench.connect()
    third, refused = bench.connect("192.0.2.2")

    assert refused.written.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"retry-after: 1\r\n" in refused.written
    assert b"connection: close\r\n" in refused.written
    assert b'"found":"2 connections"' in refused.written
    third.data_received(GET % 1)  # what it sends meanwhile is read and passed over
    assert bench.exchanges == []
    bench.sweep(LINGER_S + 0.1)
    assert refused.ended == "aborted"

    third.connection_lost(None)
    first.connection_lost(None)
    _, again = bench.connect("192.0.2.2")
    assert again.written == b""


def test_one_client_does_not_take_all_connections() -> None:
    bench = Bench(Crowd(most=100, most_per_client=2))
    for _ in range(2):
        bench.connect()
    _, refused = bench.connect()
    _, other = bench.connect("192.0.2.2")

    assert b'"found":"2 connections of this client"' in refused.written
    assert b"Use connections again" in refused.written
    assert other.written == b""


def test_a_trusted_proxy_may_have_more_connections_but_not_all_there_are() -> None:
    bench = Bench(Crowd(most=3, most_per_client=1), Proxies(["10.0.0.0/8"]))
    peers = [bench.connect("10.1.1.1")[1] for _ in range(4)]

    assert [peer.written == b"" for peer in peers] == [True, True, True, False]


def test_far_beyond_the_limit_nobody_is_told_anything() -> None:
    bench = Bench(Crowd(most=1, most_per_client=10_000))
    for _ in range(1 + SPARE):
        bench.connect()
    _, last = bench.connect()

    assert (last.written, last.ended) == (b"", "aborted")


def test_losing_a_connection_twice_counts_once() -> None:
    bench = Bench(Crowd(most=10, most_per_client=10))
    connection, _ = bench.connect()
    connection.connection_lost(None)
    connection.connection_lost(None)

    assert bench.listener.crowd.count == 0


def test_a_connection_that_never_says_anything_is_closed_early() -> None:
    bench = Bench()
    _, silent = bench.connect()
    speaking, spoke = bench.connect()
    speaking.data_received(GET % 1)
    bench.exchanges[0].answer(Answer(200, b""))
    bench.sweep(2.9)
    assert silent.ended == ""
    bench.sweep(0.2)
    assert (silent.ended, silent.written) == ("closed", b"")
    assert spoke.ended == ""
    bench.sweep(75)
    assert spoke.ended == "closed"


def test_a_body_that_drips_is_refused_long_before_its_time_is_over() -> None:
    bench = Bench()
    connection, peer = bench.connect()
    connection.data_received(POST)
    for _ in range(int(BODY_GRACE_S)):
        bench.sweep(1.0)
        connection.data_received(b"x")
    assert peer.written == b""
    bench.sweep(1.0)
    assert peer.written.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b'"expected":"the rest of it in time"' in peer.written


def test_a_body_at_the_least_pace_is_taken() -> None:
    bench = Bench()
    connection, peer = bench.connect()
    connection.data_received(POST)
    for _ in range(50):
        connection.data_received(b"x" * 2000)
        bench.sweep(1.0)

    assert peer.written == b""
    assert len(bench.exchanges) == 1


def test_too_many_headers_are_refused() -> None:
    bench = Bench()
    connection, peer = bench.connect()
    headers = b"".join(b"x-%d: y\r\n" % place for place in range(21))
    connection.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")

    assert peer.written.startswith(b"HTTP/1.1 431 ")
    assert b'"found":"over 20 headers"' in peer.written
    assert b'"remedy":"Send fewer headers."' in peer.written


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", b"198.51.100.9", "198.51.100.9"),
        ("10.0.0.1", b"6.6.6.6, 198.51.100.9", "198.51.100.9"),  # the proxy adds at the end
        ("10.0.0.1", b"198.51.100.9, 10.0.0.2", "198.51.100.9"),  # two proxies of ours
        ("10.0.0.1", b"2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", b"198.51.100.9, unknown", "10.0.0.1"),
        ("10.0.0.1", b"10.0.0.3", "10.0.0.1"),
        ("10.0.0.1", b"x" * 3000, "10.0.0.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("192.0.2.1", b"198.51.100.9", "192.0.2.1"),  # nobody's proxy
    ],
)
def test_whose_request_it_is_behind_a_proxy(
    peer: str, forwarded: bytes | None, client: str
) -> None:
    bench = Bench(proxies=Proxies(["10.0.0.0/8"]))
    connection, _ = bench.connect(peer)
    header = b"" if forwarded is None else b"X-Forwarded-For: %b\r\n" % forwarded
    connection.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n")

    assert bench.exchanges[0].client == client


@pytest.mark.parametrize("text", ["proxy.example", "10.0.0.0/99", ""])
def test_what_is_no_network_is_no_proxy(text: str) -> None:
    with pytest.raises(BadUsage, match="expected an address or a network") as caught:
        Proxies([text])
    assert caught.value.where == "serve setting trusted_proxies"
    assert caught.value.found == repr(text)


def test_the_limit_of_open_files_is_raised_or_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(1024, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, found: limits.append(found))

    assert room_for(500) == 500
    assert limits == [(1024, 4096)]
    assert room_for(1000) == 1000
    assert limits[-1] == (1000 + SPARE + crowd._OTHER_FILES, 4096)
    assert room_for(10_000) == 4096 - SPARE - crowd._OTHER_FILES
    assert limits[-1] == (4096, 4096)
