"""Requests that two servers could read differently: refused, closed, and nothing of them is run.

Shapes from RFC 9112, sections 2.2 to 7.1, and from what made proxies and servers disagree: Linhart
et al. 2005, "HTTP Request Smuggling"; Kettle 2019, "HTTP Desync Attacks". Each one ends with a
whole second request, which must not be answered.
"""

from __future__ import annotations

import json

import pytest

from torchyard.serve.http.answers import Answer
from torchyard.serve.http.reading import Head, KnownHeads, RequestReader

SECOND = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: x\r\n"
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"

SHAPES = {
    "two equal lengths": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 0\r\n\r\nabc",
    "lengths in a list": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "a length with a sign": POST + b"Content-Length: +3\r\n\r\nabc",
    "a length below zero": POST + b"Content-Length: -3\r\n\r\nabc",
    "a length in hexadecimal": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "a length of two numbers": POST + b"Content-Length: 3 0\r\n\r\nabc",
    "no length": POST + b"Content-Length:\r\n\r\nabc",
    "a length beyond 64 bits": POST + b"Content-Length: 18446744073709551616\r\n\r\nabc",
    "a length of many digits": POST + b"Content-Length: " + b"0" * 5000 + b"3\r\n\r\nabc",
    "length and chunks": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "chunks and length": CHUNKED + b"Content-Length: 3\r\n\r\n" + CHUNKS,
    "chunks twice": CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "chunks, then not": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKS,
    "something and chunks": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS,
    "nearly chunks": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS,
    "chunks with a blank": POST + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKS,
    "chunks after a tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKS,
    "chunks on the next line": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + CHUNKS,
    "chunks in HTTP/1.0": b"POST /p HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "chunks while switching": CHUNKED
    + b"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\n"
    + CHUNKS,
    "a key twice while switching": POST
    + b"Upgrade: h2c\r\nConnection: Upgrade\r\nX-Api-Key: a\r\nX-Api-Key: b\r\n\r\n",
    "a chunk below zero": CHUNKED + b"\r\n-3\r\nabc\r\n0\r\n\r\n",
    "a chunk beyond 64 bits": CHUNKED + b"\r\n10000000000000003\r\nabc\r\n0\r\n\r\n",
    "a chunk with a prefix": CHUNKED + b"\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk with a blank": CHUNKED + b"\r\n3 \r\nabc\r\n0\r\n\r\n",
    "a chunk without its end": CHUNKED + b"\r\n3\r\nabc0\r\n\r\n",
    "chunks by line feed": CHUNKED + b"\r\n3\nabc\n0\n\n",
    "an extension by line feed": CHUNKED + b"\r\n3;a\nabc\r\n0\r\n\r\n",
    "a length in a trailer": CHUNKED + b"\r\n3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n",
    "a folded line": POST + b"X: a\r\n b\r\n\r\n",
    "a folded first line": b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
    "a zero byte in a value": POST + b"X: a\0b\r\n\r\n",
    "a return in a value": POST + b"X: a\rContent-Length: 3\r\n\r\n",
    "a line feed for a line": POST + b"X: a\nContent-Length: 3\r\n\r\n",
    "line feeds alone": b"GET / HTTP/1.1\nHost: x\n\n",
    "a name without a colon": POST + b"Content-Length\r\n\r\n",
    "a name of nothing": POST + b": a\r\n\r\n",
    "a name with a blank": POST + b"Content Length: 3\r\n\r\n",
    "a name beyond ASCII": POST + b"Content-Length\xa0: 3\r\n\r\n",
    "a blank in the target": b"GET /a /b HTTP/1.1\r\nHost: x\r\n\r\n",
    "a control character in the target": b"GET /a\x01b HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two keys": b"GET / HTTP/1.1\r\nHost: a\r\nX-Api-Key: a\r\nX-API-KEY: b\r\n\r\n",
    "two equal keys": b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\nAuthorization: a\r\n\r\n",
    "another version": b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    "no version": b"GET / FTP/1.1\r\nHost: x\r\n\r\n",
    "the start of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a method in small letters": b"get / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel": b"CONNECT host:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a proxy's own words": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


class Reading:
    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.refused: list[Answer] = []
        self.reader = RequestReader(
            take=self._take,
            refuse=self.refused.append,
            go_on=lambda: None,
            head_bytes=32 << 10,
            body_bytes=1000,
            heads=KnownHeads(),
        )

    def _take(self, head: Head, body: bytes) -> None:
        self.taken.append(head.path)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("step", [None, 1, 7], ids=["whole", "byte by byte", "in pieces"])
def test_what_may_be_read_in_two_ways_is_refused_and_closes(shape: str, step: int | None) -> None:
    sent = SHAPES[shape] + SECOND
    reading = Reading()
    for start in range(0, len(sent), step or len(sent)):
        reading.reader.feed(sent[start : start + (step or len(sent))])

    assert b"/smuggled" not in reading.taken
    assert reading.taken in ([], [b"/p"]), "the request before the trailer may have been whole"
    assert len(reading.refused) == 1
    assert reading.refused[0].status in (400, 413, 501, 505)
    assert reading.reader.is_closed
    parts = json.loads(reading.refused[0].body)
    assert parts["error"] == "bad_http"


@pytest.mark.parametrize("count", [101, 5000])
def test_headers_are_counted_by_the_line(count: int) -> None:
    reading = Reading()
    reading.reader.feed(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a:b\r\n" * count + b"\r\n")
    assert [answer.status for answer in reading.refused] == [431]
    assert reading.taken == []


def test_what_is_only_unusual_is_answered() -> None:
    for sent in (
        b"GET http://elsewhere/p HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\n\r\nGET /p HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /p HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET /p HTTP/1.0\r\n\r\n",
        POST + b"Content-Length: 3 \r\n\r\nabc",
        POST + b"Transfer-Encoding: CHUNKED\r\n\r\n" + CHUNKS,
        CHUNKED + b"\r\n3;a=b\r\nabc\r\n0\r\nX-Trailer: y\r\n\r\n",
        POST + b"Accept: a\r\nAccept: b\r\n\r\n",
    ):
        reading = Reading()
        reading.reader.feed(sent)
        assert (reading.taken, reading.refused) == ([b"/p"], []), sent
