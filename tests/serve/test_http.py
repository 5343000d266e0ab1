"""One connection over a recorded transport: order, endings, timeouts, drains."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from torchyard.serve.http.answers import Answer
from torchyard.serve.http.connection import (
    DRAIN_IDLE_S,
    LINGER_S,
    MOST_PIPELINED,
    Connection,
    Exchange,
    Limits,
    Listener,
)

GET = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.pauses = 0
        self.ended = ""

    def write(self, data: Any) -> None:
        assert not self.ended
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = "half"

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def is_closing(self) -> bool:
        return self.ended in {"closed", "aborted"}

    def pause_reading(self) -> None:
        self.pauses += 1

    def resume_reading(self) -> None:
        self.pauses -= 1


class Bench:
    def __init__(self) -> None:
        self.now = 0.0
        self.exchanges: list[Exchange] = []
        self.statuses: list[str] = []
        self.listener = Listener(
            handle=self.exchanges.append,
            observe=lambda _, status: self.statuses.append(status),
            limits=Limits(head_bytes=1000, body_bytes=100, head_s=10, body_s=60, idle_s=75),
            clock=lambda: self.now,
            connections=set(),
        )
        self.transport = Transport()
        self.connection: Connection = self.listener.connect()
        self.connection.connection_made(self.transport)

    def feed(self, content: bytes) -> None:
        self.connection.data_received(content)

    def answer(self, *places: int) -> None:
        for place in places:
            self.exchanges[place].answer(Answer(200, b"<%d>" % place))

    def sweep(self, after_s: float) -> None:
        self.now += after_s
        self.listener.sweep()

    @property
    def bodies(self) -> list[bytes]:
        return [part.partition(b"\r\n\r\n")[2] for part in self.transport.written.split(b"HTTP/")]


def requests(count: int) -> bytes:
    return b"".join(GET % number for number in range(count))


def test_an_answer_on_the_wire() -> None:
    bench = Bench()
    bench.feed(GET % 1)
    bench.exchanges[0].answer(Answer(404, b"{}", headers=((b"x", b"y"),)))

    assert bench.transport.written == (
        b"HTTP/1.1 404 Not Found\r\n"
        b"x-content-type-options: nosniff\r\n"
        b"content-type: application/json\r\ncontent-length: 2\r\nx: y\r\n\r\n{}"
    )
    assert bench.statuses == ["404"]


def test_head_has_the_head_of_a_get() -> None:
    bench = Bench()
    bench.feed(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    bench.answer(0)

    assert bench.exchanges[0].method == "GET"
    assert bench.transport.written.endswith(b"content-length: 3\r\n\r\n")


def test_pipelined_answers_keep_the_order_of_the_requests() -> None:
    bench = Bench()
    bench.feed(requests(4))
    bench.answer(2, 1)
    assert bench.transport.written == b""
    bench.answer(0)
    assert bench.bodies == [b"", b"<0>", b"<1>", b"<2>"]
    bench.answer(3)
    assert bench.bodies[-1] == b"<3>"


def test_a_second_answer_is_nothing() -> None:
    bench = Bench()
    bench.feed(GET % 0)
    bench.answer(0, 0)

    assert bench.statuses == ["200"]


def test_close_is_honoured_after_everything_before_it() -> None:
    bench = Bench()
    bench.feed(GET % 0 + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + GET % 2)
    assert len(bench.exchanges) == 2
    bench.answer(1)
    assert bench.transport.ended == ""
    bench.answer(0)
    assert bench.transport.written.count(b"connection: close") == 1
    assert (bench.bodies[-1], bench.transport.ended) == (b"<1>", "closed")


def test_a_refusal_waits_for_the_answers_before_it_and_lingers() -> None:
    bench = Bench()
    bench.feed(GET % 0 + b"nonsense\r\n\r\n")
    assert bench.transport.written == b""
    bench.answer(0)
    assert bench.transport.written.count(b"HTTP/1.1 200") == 1
    assert bench.transport.written.count(b"HTTP/1.1 400 Bad Request") == 1
    assert bench.transport.ended == "half"
    bench.feed(b"more of what nobody reads")
    bench.sweep(LINGER_S + 0.1)
    assert bench.transport.ended == "aborted"


def test_a_client_that_has_gone_gets_nothing() -> None:
    bench = Bench()
    bench.feed(requests(2))
    bench.connection.connection_lost(None)
    bench.answer(1, 0)

    assert bench.transport.written == b""
    assert not bench.listener.connections


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("sent", [b"", GET % 1, b"GET / HTT", b"nonsense\r\n\r\n"])
def test_a_connection_is_freed_when_it_is_lost(no_collection: None, sent: bytes) -> None:
    """Many that come and go would else fill the memory until circles are looked for."""
    bench = Bench()
    if sent:
        bench.feed(sent)
    while bench.exchanges:
        bench.exchanges.pop().answer(Answer(200, b""))
    gone = weakref.ref(bench.connection)

    bench.connection.connection_lost(None)
    del bench.connection

    assert gone() is None


def test_a_client_that_sends_no_more_still_gets_its_answers() -> None:
    bench = Bench()
    bench.feed(requests(2))
    assert bench.connection.eof_received() is True
    bench.answer(1, 0)

    assert bench.bodies[1:] == [b"<0>", b"<1>"]
    assert bench.transport.ended == "closed"


def test_the_end_of_an_idle_connection_is_its_end() -> None:
    assert Bench().connection.eof_received() is False


def test_too_many_pipelined_requests_pause_the_reading() -> None:
    bench = Bench()
    bench.feed(requests(MOST_PIPELINED - 1))
    assert bench.transport.pauses == 0
    bench.feed(GET % 1)
    assert bench.transport.pauses == 1
    bench.answer(*range(MOST_PIPELINED))
    assert bench.transport.pauses == 0


def test_a_client_that_does_not_read_is_not_read_from_and_cut_off() -> None:
    bench = Bench()
    bench.connection.pause_writing()
    assert bench.transport.pauses == 1
    bench.sweep(59)
    assert bench.transport.ended == ""
    bench.connection.resume_writing()
    assert bench.transport.pauses == 0
    bench.connection.pause_writing()
    bench.sweep(61)
    assert bench.transport.ended == "aborted"


@pytest.mark.parametrize(
    ("sent", "longest_s"),
    [(b"GET / HT", 10), (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel", 60)],
)
def test_half_a_request_times_out(sent: bytes, longest_s: float) -> None:
    bench = Bench()
    bench.feed(sent[:1])
    for place in range(1, len(sent)):
        bench.sweep(0.001)
        bench.feed(sent[place : place + 1])  # drop by drop does not buy more time
    bench.sweep(longest_s - 1)
    assert bench.transport.written == b""
    bench.sweep(2)
    assert bench.transport.written.startswith(b"HTTP/1.1 408 Request Timeout")
    assert bench.transport.ended == "half"


def test_an_idle_connection_is_closed() -> None:
    bench = Bench()
    bench.feed(GET % 0)
    bench.answer(0)
    bench.sweep(74)
    assert bench.transport.ended == ""
    bench.sweep(2)
    assert bench.transport.ended == "closed"


def test_a_connection_that_waits_for_its_answer_is_not_idle() -> None:
    bench = Bench()
    bench.feed(GET % 0)
    bench.sweep(1000)

    assert bench.transport.ended == ""


def test_draining_answers_what_is_owed_and_then_closes() -> None:
    bench = Bench()
    bench.feed(requests(2))
    bench.listener.is_draining = True
    bench.sweep(1000)
    bench.answer(0)
    assert b"connection: close" not in bench.transport.written
    bench.answer(1)
    assert bench.transport.written.count(b"connection: close") == 1
    assert bench.transport.ended == "closed"


def test_draining_takes_a_request_that_was_under_way() -> None:
    bench = Bench()
    bench.listener.is_draining = True
    bench.sweep(DRAIN_IDLE_S / 2)
    bench.feed(GET % 0)
    bench.answer(0)

    assert bench.bodies[-1] == b"<0>"
    assert bench.transport.ended == "closed"


def test_draining_closes_connections_at_rest_soon() -> None:
    bench = Bench()
    bench.listener.is_draining = True
    bench.sweep(DRAIN_IDLE_S + 0.1)

    assert bench.transport.ended == "closed"


def test_continue_does_not_overtake_answers() -> None:
    bench = Bench()
    post = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    bench.feed(GET % 0 + post)
    assert bench.transport.written == b""
    bench.answer(0)
    assert bench.transport.written.endswith(b"<0>HTTP/1.1 100 Continue\r\n\r\n")
    bench.feed(b"hello")
    bench.answer(1)
    assert bench.exchanges[1].body == b"hello"
