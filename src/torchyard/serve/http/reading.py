"""Bytes to requests: one connection's HTTP/1.1 parser, bounded in every direction.

The parsing is llhttp's (through httptools). What to do with a request is the caller's. A client
sends the same head again and again: one that llhttp has read before, byte for byte, is not read
again (``KnownHeads``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import httptools

from torchyard.serve.http.answers import Answer, refuse_http, speaks_in_words
from torchyard.serve.http.heads import SINGLE, fault_in, path_of

MOST_HEADERS = 100

_END_OF_HEAD = b"\r\n\r\n"
LONG_BYTES = 16 << 10  # a shorter body is read whatever comes of it: its connection goes on
_SWITCHING = frozenset((b"connection", b"upgrade", b"http2-settings"))
# a head with one of them is read each time: its message is more than a head and a counted body
_UNUSUAL = (b"transfer-encoding", b"expect", b"upgrade")


Vet = Callable[[bytes, Mapping[bytes, bytes]], Answer | None]


@dataclass(frozen=True, slots=True)
class Head:
    """A request's line and headers. Requests with the same bytes there share one.

    Attributes:
        method: upper case.
        path: the target without its query, not percent-decoded.
        headers: names in lower case; of a repeated one the last.
        keeps_alive: whether the client means to send another request.
    """

    method: str
    path: bytes
    headers: dict[bytes, bytes]
    keeps_alive: bool


@final
class KnownHeads:
    """Heads that were read before, by their bytes, with the length of the body that follows each.

    llhttp is a state machine: from the same state the same bytes lead to the same calls. So a head
    is kept when it was read by a parser between two messages and a whole body followed it, and it
    is used for a parser in that state again. It needs no more than the bytes to be equal.

    Args:
        most: heads that are kept; when there are more, all are forgotten.
        most_bytes: of one head that is kept.
    """

    def __init__(self, *, most: int = 1024, most_bytes: int = 2048) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._heads: dict[bytes, tuple[Head, int]] = {}

    def find(self, data: bytes) -> tuple[Head, int] | None:
        """The head that some bytes begin with and where it ends, if exactly its body follows."""
        end = data.find(_END_OF_HEAD) + 4
        known = self._heads.get(data[:end])
        return (known[0], end) if known is not None and len(data) - end == known[1] else None

    def keep(self, data: bytes, head: Head, body_bytes: int) -> None:
        """Remember the head of some bytes that were one whole request.

        It ends where the first empty line ends, unless the bytes have another line's end that
        llhttp takes for one: then what follows is not ``body_bytes`` long, and nothing is kept.
        """
        end = data.find(_END_OF_HEAD) + 4
        if len(data) - end == body_bytes and end <= self._most_bytes:
            if len(self._heads) >= self._most:
                self._heads.clear()
            self._heads[data[:end]] = head, body_bytes


@final
class RequestReader:
    """Feed it bytes; it calls back. After a refusal it reads nothing more.

    A client that offers to switch protocols (``Upgrade: h2c``, as some do on every first request)
    is read as if it had not.

    Args:
        take: given each complete request, in order: its head, and its body with any chunking off.
        refuse: given the answer to a request that cannot be read.
        go_on: the client waits for ``100 Continue`` before it sends its body.
        head_bytes: largest request line and headers together.
        body_bytes: largest body.
        most_headers: most headers.
        vet: given the path and the headers of a request whose body is long, before it is read: the
            answer to one that is refused whatever the body.
        heads: those that were read before, on any connection with the same limits; None to read
            every one.
    """

    def __init__(
        self,
        *,
        take: Callable[[Head, bytes], None],
        refuse: Callable[[Answer], None],
        go_on: Callable[[], None],
        head_bytes: int,
        body_bytes: int,
        most_headers: int = MOST_HEADERS,
        vet: Vet | None = None,
        heads: KnownHeads | None = None,
    ) -> None:
        self._take = take
        self._refuse = refuse
        self._go_on = go_on
        self._most_head_bytes = head_bytes
        self._most_body_bytes = body_bytes
        self._most_headers = most_headers
        self._vet = vet
        self._known = heads
        self._parser = httptools.HttpRequestParser(self)
        self._taken: list[Head] = []  # while what may be one ordinary request is read
        self._is_switching = False
        self._unproductive_bytes = 0
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_bytes = self._head_lines = 0
        self._is_one_repeated = False
        self._body: list[bytes] = []
        self._body_bytes = 0
        self.is_inside = False
        self.is_in_body = False
        self.is_closed = False

    def feed(self, data: bytes) -> None:
        """Read on. ``is_inside`` says afterwards whether a request has begun and is not whole."""
        if self.is_closed:
            return
        if self.is_inside or self._known is None:
            self._read(data)
        elif (found := self._known.find(data)) is None:
            self._read_first(data, self._known)
        else:
            head, end = found
            self._take(head, data[end:])

    def _read_first(self, data: bytes, known: KnownHeads) -> None:
        """Read what begins a request, and keep its head if it turns out to be one whole request."""
        self._taken = []
        self._read(data)
        if len(self._taken) == 1 and not self.is_inside:
            head = self._taken[0]
            if head.keeps_alive and not any(name in head.headers for name in _UNUSUAL):
                known.keep(data, head, self._body_bytes)

    def _read(self, data: bytes) -> None:
        self._unproductive_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as switch:
            self._stay(data[switch.args[0] :])
        except httptools.HttpParserError as error:
            self._close(400, str(error), "HTTP/1.1", "Check what sends this request.")
        if self.is_inside and self._unproductive_bytes > self._most_head_bytes:
            self._close_for_head()

    @property
    def received_bytes(self) -> int:
        """Of the body of the request that is being read."""
        return self._body_bytes

    def close(self) -> None:
        """Read nothing more."""
        self.is_closed, self.is_inside = True, False

    def let_go(self) -> None:
        """End for good, not from within ``feed``: without the ties that make a circle with its user
        and its parser, all are freed at once, not when circles are looked for.
        """
        self.close()
        del self._take, self._refuse, self._go_on, self._parser

    def give_up(self) -> None:
        """Refuse the request that has begun, because the rest of it did not come."""
        self._close(408, "half a request", "the rest of it in time", "Send requests whole.")

    def on_message_begin(self) -> None:
        """A request's first byte was read."""
        self.is_inside, self.is_in_body = True, False
        self._unproductive_bytes = self._head_bytes = self._body_bytes = 0
        self._head_lines, self._is_one_repeated = 0, False
        self._url, self._headers, self._body = b"", {}, []

    def on_url(self, url: bytes) -> None:
        """A piece of the target was read."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A whole header was read; after the body come trailers, which are of no use here."""
        if not self.is_in_body:
            name = name.lower()
            if name in self._headers and name in SINGLE:
                self._is_one_repeated = True
            self._headers[name] = value
            self._head_lines += 1
            self._head_bytes += len(name) + len(value) + 4  # with its colon and line's end

    def on_headers_complete(self) -> None:
        """The head is whole: refuse now what would be refused at the end."""
        self.is_in_body = True
        self._is_switching = self._parser.should_upgrade()
        version, is_repeated = self._parser.get_http_version(), self._is_one_repeated
        if fault := fault_in(version, self._headers, is_one_repeated=is_repeated):
            self._close(*fault)
        if self.is_closed or self._is_switching:
            return
        if self._head_bytes + len(self._url) > self._most_head_bytes:
            self._close_for_head()
            return
        if self._head_lines > self._most_headers:
            self._close_for_headers()
            return
        length = int(self._headers.get(b"content-length", b"0"))
        if length > self._most_body_bytes:
            self._close_for_body("a longer body")
        elif refused := self._vetted(length):
            self.close()
            self._refuse(refused)
        elif expectation := self._headers.get(b"expect"):
            self._meet(expectation.lower())

    def on_body(self, body: bytes) -> None:
        """A piece of the body was read."""
        if self.is_closed:
            return
        self._unproductive_bytes = 0
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > self._most_body_bytes:
            self._close_for_body("a longer body")

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self.is_closed or self._is_switching:
            return
        self.is_inside = False
        parser, headers, body = self._parser, self._headers, self._body
        self._body = []
        # HTTP/1.0 keeps alive only if a Connection header says so; its dialect is not spoken here.
        is_modern = b"connection" not in headers or parser.get_http_version() == "1.1"
        head = Head(
            parser.get_method().decode("ascii"),
            path_of(self._url),
            headers,
            parser.should_keep_alive() and is_modern,
        )
        self._taken.append(head)
        self._take(head, body[0] if len(body) == 1 else b"".join(body))

    def _vetted(self, length: int) -> Answer | None:
        """The answer to a request that is not let send a long body: who has no key, for one."""
        if self._vet is None or (length < LONG_BYTES and b"transfer-encoding" not in self._headers):
            return None
        return self._vet(path_of(self._url), self._headers)

    def _meet(self, expectation: bytes) -> None:
        if expectation == b"100-continue":
            self._go_on()
        else:
            self._close(417, "an unknown Expect header", "100-continue", "Leave the header out.")

    def _stay(self, rest: bytes) -> None:
        """Read the request again as if the client had not offered to switch protocols."""
        method, self._is_switching = self._parser.get_method(), False
        if method == b"CONNECT":
            self._close(501, "CONNECT", "a request for this server", "Do not use it as a proxy.")
            return
        kept = {n: value for n, value in self._headers.items() if n not in _SWITCHING}
        lines = b"".join(b"%b: %b\r\n" % header for header in kept.items())
        head = b"%b %b HTTP/1.1\r\n%b\r\n" % (method, self._url, lines)
        self._parser = httptools.HttpRequestParser(self)
        self.feed(head + rest)

    def _close_for_head(self) -> None:
        most = self._most_head_bytes
        found, remedy = f"over {most} bytes of headers", "Send fewer or shorter headers."
        self._close(431, found, f"at most {most}", remedy)

    def _close_for_headers(self) -> None:
        most = self._most_headers
        self._close(431, f"over {most} headers", f"at most {most}", "Send fewer headers.")

    def _close_for_body(self, found: str) -> None:
        expected = f"at most {self._most_body_bytes} bytes"
        self._close(413, found, expected, "Send fewer rows in one request.")

    def _close(self, status: int, found: str, expected: str, remedy: str) -> None:
        if not self.is_closed:
            self.close()
            in_words = speaks_in_words(self._url)
            answer = refuse_http(
                status, found=found, expected=expected, remedy=remedy, in_words=in_words
            )
            self._refuse(answer)
