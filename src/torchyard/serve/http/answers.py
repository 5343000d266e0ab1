"""Answers as bytes. The only place that knows HTTP's status codes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus

import msgspec

from torchyard.core.errors import Overloaded, YardError

JSON = b"application/json"
TEXT = b"text/plain; version=0.0.4; charset=utf-8"
HTML = b"text/html; charset=utf-8"

_STATUS_OF = {
    "bad_usage": 400,
    "bad_data": 422,
    "quarantined": 422,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "refused": 409,
    "not_ready": 503,
    "overloaded": 503,
}
_HEADERS = {
    401: ((b"www-authenticate", b'Bearer realm="torchyard"'),),
    503: ((b"retry-after", b"1"),),
}
_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
# a type is what it says: no browser is to look into a body and find another
_TYPED = b"x-content-type-options: nosniff\r\ncontent-type: %b\r\ncontent-length: %d\r\n"
_OK = _LINES[200] + _TYPED + b"\r\n%b"
_ANY = b"%b" + _TYPED + b"%b\r\n%b"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A status, a body and its type; ``headers`` beyond type, length and connection."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def with_header(self, name: bytes, value: str) -> Answer:
        """The same with one header more, if there is anything to say in it."""
        if not value:
            return self
        return msgspec.structs.replace(self, headers=(*self.headers, (name, value.encode("ascii"))))

    def to_bytes(self, *, is_last: bool, without_body: bool = False) -> bytes:
        """The answer on the wire.

        Args:
            is_last: whether the connection closes after it.
            without_body: for HEAD, whose answer has a GET's head alone.
        """
        if self.status == 200 and not (is_last or without_body or self.headers):
            return _OK % (self.content_type, len(self.body), self.body)
        headers = (*self.headers, (b"connection", b"close")) if is_last else self.headers
        return _ANY % (
            _LINES[self.status],
            self.content_type,
            len(self.body),
            b"".join([b"%b: %b\r\n" % header for header in headers]) if headers else b"",
            b"" if without_body else self.body,
        )


def answer_json(value: object, *, status: int = 200) -> Answer:
    """A JSON answer."""
    return Answer(status, msgspec.json.encode(value))


def answer_text(text: bytes) -> Answer:
    """Prometheus' text format."""
    return Answer(200, text, TEXT)


def answer_html(text: str) -> Answer:
    """A page for a browser."""
    return Answer(200, text.encode(), HTML)


def accepted(value: object) -> Answer:
    """What was handed in is kept (202)."""
    return answer_json(value, status=202)


def refuse(error: YardError, *, in_words: bool = False) -> Answer:
    """A refusal in its four parts, under its family's status.

    Args:
        error: what went wrong.
        in_words: whether ``error`` is a sentence, as clients of the inference protocol read it, and
            the code is ``code``.
    """
    status = _STATUS_OF.get(error.code, 500)
    body = _body(error.as_dict(), in_words)
    if isinstance(error, Overloaded):
        return Answer(status, body, headers=_retry(error.retry_after_s))
    return Answer(status, body, headers=_HEADERS.get(status, ()))


@cache
def _retry(seconds: int) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"retry-after", b"%d" % seconds),)


def refuse_method(pattern: str, allowed: tuple[str, ...]) -> Answer:
    """405: the route exists, for other methods."""
    names, in_words = " or ".join(allowed), speaks_in_words(pattern.encode())
    body = _parts(
        "method_not_allowed", pattern, "another method", names, f"Send {names}.", in_words
    )
    return Answer(405, body, headers=((b"allow", ", ".join(allowed).encode()),))


def refuse_http(
    status: int, *, found: str, expected: str, remedy: str, in_words: bool = False
) -> Answer:
    """What is wrong with the HTTP itself: 400, 408, 413, 417, 431 or 501."""
    return Answer(status, _parts("bad_http", "HTTP request", found, expected, remedy, in_words))


def fail(incident: str, *, in_words: bool = False) -> Answer:
    """500, without a word about the inside; ``incident`` finds it in the server's output."""
    found = f"a fault of the server, incident {incident}"
    remedy = "Look for the incident in the server's output."
    return Answer(500, _parts("internal", "this worker", found, "an answer", remedy, in_words))


def speaks_in_words(path: bytes) -> bool:
    """Whether a path is the inference protocol's, whose ``error`` is a sentence.

    Example:
        >>> speaks_in_words(b"/v2/models/cats/infer"), speaks_in_words(b"/v1/models")
        (True, False)
    """
    return path.startswith(b"/v2/") or path == b"/v2"


def _parts(error: str, where: str, found: str, expected: str, remedy: str, in_words: bool) -> bytes:
    parts = {
        "error": error,
        "where": where,
        "found": found,
        "expected": expected,
        "remedy": remedy,
    }
    return _body(parts, in_words)


def _body(parts: Mapping[str, str], in_words: bool) -> bytes:
    if in_words:
        words = "{where}: found {found}; expected {expected}. {remedy}".format_map(parts)
        parts = {**parts, "error": words, "code": parts["error"]}
    return msgspec.json.encode(parts)
