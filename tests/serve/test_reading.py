"""The parser's bounds, and that cutting the bytes anywhere changes nothing."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchyard.serve.http.answers import Answer
from torchyard.serve.http.reading import Head, KnownHeads, RequestReader

HEAD_BYTES, BODY_BYTES = 1000, 100


class Request(NamedTuple):
    method: str
    path: bytes
    headers: dict[bytes, bytes]
    keeps_alive: bool
    body: bytes


class Bench:
    def __init__(self, heads: KnownHeads | None = None) -> None:
        self.taken: list[Request] = []
        self.refused: list[Answer] = []
        self.goes = 0
        self.reader = RequestReader(
            take=self._take,
            refuse=self.refused.append,
            go_on=self._go,
            head_bytes=HEAD_BYTES,
            body_bytes=BODY_BYTES,
            heads=heads,
        )

    def _take(self, head: Head, body: bytes) -> None:
        self.taken.append(Request(head.method, head.path, head.headers, head.keeps_alive, body))

    def _go(self) -> None:
        self.goes += 1

    def feed(self, *pieces: bytes) -> Bench:
        for piece in pieces:
            self.reader.feed(piece)
        return self

    def refusal(self) -> tuple[int, str, str]:
        assert len(self.refused) == 1
        assert self.reader.is_closed
        parts = json.loads(self.refused[0].body)
        assert set(parts) == {"error", "where", "found", "expected", "remedy"}
        return self.refused[0].status, parts["found"], parts["expected"]


def post(body: bytes, *headers: bytes, path: bytes = b"/p?q=1") -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    head = b"POST %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n"
    return head % (path, lines, len(body)) + body


CHUNKED = (
    b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n2;name=value\r\nde\r\n0\r\nTrailer: ignored\r\n\r\n"
)


def test_a_request_is_taken_apart() -> None:
    (request,) = Bench().feed(post(b"hello", b"X-Name: A Value", b"ACCEPT: here")).taken

    assert (request.method, request.path, request.body) == ("POST", b"/p", b"hello")
    assert request.headers[b"x-name"] == b"A Value"
    assert request.headers[b"accept"] == b"here"
    assert request.keeps_alive


@given(st.lists(st.integers(1, 40), max_size=30))
def test_cutting_the_bytes_changes_nothing(cuts: list[int]) -> None:
    stream = post(b"first", b"A: b") + CHUNKED + b"GET /g HTTP/1.1\r\nHost: x\r\n\r\n"
    bench = Bench()
    for cut in cuts:
        bench.feed(stream[:cut])
        stream = stream[cut:]
    bench.feed(*(stream[place : place + 1] for place in range(len(stream))))

    assert [(request.path, request.body) for request in bench.taken] == [
        (b"/p", b"first"),
        (b"/c", b"abcde"),
        (b"/g", b""),
    ]
    assert b"trailer" not in bench.taken[1].headers
    assert not bench.refused


@pytest.mark.parametrize(
    "line", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"]
)
def test_a_client_may_mean_to_close(line: bytes) -> None:
    assert not Bench().feed(line).taken[0].keeps_alive


@pytest.mark.parametrize(
    "bad",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_is_refused(bad: bytes) -> None:
    bench = Bench().feed(bad, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    status, _, expected = bench.refusal()

    assert (status, expected) == (400, "HTTP/1.1")
    assert not bench.taken


@pytest.mark.parametrize("size", [1, 50, 5000])
def test_a_head_without_end_is_refused(size: int) -> None:
    bench = Bench()
    bench.feed(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
    for _ in range(3 * HEAD_BYTES // size + 2):
        bench.feed(b"x" * size)

    assert bench.refusal() == (431, "over 1000 bytes of headers", "at most 1000")


def test_a_large_head_in_one_piece_is_refused() -> None:
    headers = [b"X-%d: %b" % (number, b"y" * 90) for number in range(12)]

    assert Bench().feed(post(b"", *headers)).refusal()[0] == 431


def test_trailers_without_end_are_refused() -> None:
    bench = Bench().feed(CHUNKED.partition(b"Trailer")[0])
    bench.feed(b"Trailer: ", *[b"x" * 100] * 30)

    assert bench.refusal()[0] == 431


def test_a_body_that_announces_too_much_is_refused_at_once() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n"

    assert Bench().feed(head).refusal() == (413, "a longer body", "at most 100 bytes")


def test_chunks_that_add_up_to_too_much_are_refused() -> None:
    bench = Bench().feed(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    bench.feed(*[b"a\r\n0123456789\r\n"] * 11)

    assert bench.refusal() == (413, "a longer body", "at most 100 bytes")
    assert not bench.taken


def test_a_body_of_the_largest_size_is_taken() -> None:
    assert len(Bench().feed(post(b"x" * BODY_BYTES)).taken[0].body) == BODY_BYTES


def test_expect_continue_is_answered_before_the_body() -> None:
    bench = Bench().feed(post(b"", b"Expect: 100-Continue").replace(b"h: 0", b"h: 5"))
    assert (bench.goes, bench.taken) == (1, [])
    assert bench.feed(b"hello").taken[0].body == b"hello"


def test_expect_continue_is_not_answered_for_a_body_too_large() -> None:
    bench = Bench().feed(post(b"", b"Expect: 100-continue").replace(b"h: 0", b"h: 500"))

    assert (bench.refusal()[0], bench.goes) == (413, 0)


def test_another_expectation_is_refused() -> None:
    bench = Bench().feed(post(b"hello", b"Expect: a miracle"))

    assert bench.refusal() == (417, "an unknown Expect header", "100-continue")


@pytest.mark.parametrize("cut", [20, 60, 130, 1000])
def test_an_offer_to_switch_protocols_is_passed_over(cut: int) -> None:
    offer = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA")
    stream = post(b"hello", *offer, b"X: kept") + post(b"next")
    bench = Bench().feed(stream[:cut], stream[cut:])

    assert [request.body for request in bench.taken] == [b"hello", b"next"]
    assert bench.taken[0].path == b"/p"
    assert bench.taken[0].headers[b"x"] == b"kept"
    assert bench.taken[0].keeps_alive


def test_connect_is_refused() -> None:
    bench = Bench().feed(b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n")

    assert bench.refusal() == (501, "CONNECT", "a request for this server")


def test_half_a_request_can_be_given_up() -> None:
    bench = Bench().feed(post(b"hello")[:-2])
    assert bench.reader.is_inside
    bench.reader.give_up()

    assert bench.refusal() == (408, "half a request", "the rest of it in time")
    assert not bench.feed(b"lo").taken


@given(st.binary(max_size=300))
def test_any_bytes_are_taken_or_refused(content: bytes) -> None:
    bench = Bench().feed(b"GET / HTTP/1.1\r\nHost: x\r\n" + content, b"\r\n\r\n" * 3)

    assert len(bench.refused) <= 1


HEADS = (
    b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n",
    b"POST /p?q HTTP/1.1\r\nHost: x\r\ncontent-length: %d\r\nX-A: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n"
    b"Content-Length: %d\r\n\r\n",
    b"POST /p HTTP/1.0\r\nContent-Length: %d\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n",
    b"POST /p HTTP/1.1\nContent-Length: %d\n\n",
    b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"nonsense\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n\r\n",
    b"",
)
BODIES = (
    b"",
    b"hello",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"a\r\n\r\nb",
    b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
)


def _message(head: bytes, body: bytes, length: int) -> bytes:
    return (head % length if b"%d" in head else head) + body


MESSAGES = st.builds(
    _message, st.sampled_from(HEADS), st.sampled_from(BODIES), st.sampled_from((0, 4, 5, 19, 200))
)


@given(st.lists(st.lists(MESSAGES, min_size=1, max_size=3), min_size=1, max_size=6))
def test_known_heads_change_nothing(chunks: list[list[bytes]]) -> None:
    """Whatever came before, on this connection or another one, is read as if it had not."""
    heads = KnownHeads()
    pieces = [b"".join(chunk) for chunk in chunks]
    for _ in range(2):  # the second time what can be known is
        plain, quick = Bench().feed(*pieces), Bench(heads).feed(*pieces)
        assert quick.taken == plain.taken
        assert quick.refused == plain.refused
        assert (quick.goes, quick.reader.is_closed) == (plain.goes, plain.reader.is_closed)
        assert quick.reader.is_inside == plain.reader.is_inside


def test_a_head_that_was_read_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = KnownHeads()
    Bench(heads).feed(post(b"hello"))
    bench = Bench(heads)
    monkeypatch.setattr(bench.reader, "_parser", None)  # so parsing anything would fail

    bench.feed(post(b"other"), post(b"again"))

    assert [request.body for request in bench.taken] == [b"other", b"again"]


def test_known_heads_are_bounded() -> None:
    heads = KnownHeads(most=2, most_bytes=60)
    for path in (b"/a", b"/b", b"/c", b"/" + b"long" * 20):
        Bench(heads).feed(post(b"x", path=path))

    assert heads.find(post(b"x", path=b"/a")) is None  # forgotten with the third
    assert heads.find(post(b"x", path=b"/c")) is not None
    assert heads.find(post(b"x", path=b"/" + b"long" * 20)) is None  # too long to keep
