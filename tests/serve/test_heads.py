"""Heads that could be read in two ways are refused; a target in absolute form has a path too."""

from __future__ import annotations

import pytest

from torchyard.serve.http.heads import SINGLE, fault_in, path_of

HOST = {b"host": b"x"}


@pytest.mark.parametrize(
    ("version", "headers", "status", "found"),
    [
        ("2.0", HOST, 505, "another version of HTTP"),
        ("0.9", HOST, 505, "another version of HTTP"),
        ("1.1", {}, 400, "no header Host"),
        ("1.1", HOST | {b"transfer-encoding": b"gzip, chunked"}, 501, "a transfer coding beside"),
        ("1.0", HOST | {b"transfer-encoding": b"chunked"}, 400, "chunks in HTTP/1.0"),
    ],
)
def test_a_head_at_fault_is_told(
    version: str, headers: dict[bytes, bytes], status: int, found: str
) -> None:
    fault = fault_in(version, headers, is_one_repeated=False)
    assert fault is not None
    assert (fault.status, fault.found.startswith(found)) == (status, True)


def test_a_good_head_has_no_fault() -> None:
    assert fault_in("1.1", HOST, is_one_repeated=False) is None
    assert fault_in("1.0", {}, is_one_repeated=False) is None
    for coding in (b"chunked", b"Chunked", b"CHUNKED "):
        assert fault_in("1.1", HOST | {b"transfer-encoding": coding}, is_one_repeated=False) is None


def test_what_is_read_once_may_come_once() -> None:
    fault = fault_in("1.1", HOST, is_one_repeated=True)
    assert fault is not None
    assert (fault.status, fault.found) == (400, "a header twice that may stand once")
    assert {b"host", b"authorization", b"x-api-key", b"x-deadline-ms"} <= SINGLE


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/", b"/"),
        (b"/v1/models?x=/y", b"/v1/models"),
        (b"/?", b"/"),
        (b"*", b"*"),
        (b"http://host/v1/models?x", b"/v1/models"),
        (b"HTTPS://host:8000/", b"/"),
        (b"http://host", b"/"),
        (b"http://host?x=/y", b"/"),
        (b"http://user:word@host/a//b", b"/a//b"),
        (b"ftp://host/a", b"ftp://host/a"),
    ],
)
def test_the_path_of_a_target(target: bytes, path: bytes) -> None:
    assert path_of(target) == path
