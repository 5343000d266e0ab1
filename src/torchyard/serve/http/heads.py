"""What is wrong with a request's head though the parser lets it pass.

llhttp, in the strict way httptools runs it, refuses two or wrong ``Content-Length``, one beside
``Transfer-Encoding``, folded lines, control characters in a header or target, and line ends that
are not CR LF. The rest of RFC 9112 (HTTP/1.1) that keeps two servers from reading the same bytes
differently is here: sections 2.3 (version), 3.2 (Host), 6.1 (transfer codings); and headers of
which this server reads one are not sent twice, so that nobody in front has read the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

SINGLE = frozenset({
    b"host", b"authorization", b"x-api-key", b"x-deadline-ms", b"x-routing-key", b"x-request-id",
    b"inference-header-content-length", b"content-encoding", b"content-type", b"expect",
    b"transfer-encoding", b"traceparent",
})  # fmt: skip


class Fault(NamedTuple):
    """What to answer: a status, and a refusal's words."""

    status: int
    found: str
    expected: str
    remedy: str


_VERSION = Fault(505, "another version of HTTP", "HTTP/1.1", "Ask in HTTP/1.1.")
_TWICE = Fault(
    400, "a header twice that may stand once", "it once", "Send each header once, with one value."
)
_NO_HOST = Fault(400, "no header Host", "one, as HTTP/1.1 asks for", "Say which host is asked.")
_CODING = Fault(501, "a transfer coding beside chunked", "chunked alone", "Send the body as it is.")
_CODED = Fault(400, "chunks in HTTP/1.0", "a body with Content-Length", "Ask in HTTP/1.1.")


def fault_in(
    version: str, headers: Mapping[bytes, bytes], *, is_one_repeated: bool
) -> Fault | None:
    """What is wrong with a head, None for a good one.

    Args:
        version: of HTTP, ``1.1``.
        headers: names in lower case.
        is_one_repeated: whether one of ``SINGLE`` came twice.
    """
    if version not in ("1.1", "1.0"):
        return _VERSION
    if is_one_repeated:
        return _TWICE
    if version == "1.1" and b"host" not in headers:
        return _NO_HOST
    coding = headers.get(b"transfer-encoding")
    if coding is None:
        return None
    if version == "1.0":
        return _CODED
    return None if coding.strip().lower() == b"chunked" else _CODING


def path_of(target: bytes) -> bytes:
    """The path of a target without its query; of one in absolute form, the part after the host.

    Example:
        >>> path_of(b"/v2?a=b"), path_of(b"http://host:80/v2?a=b"), path_of(b"http://host")
        (b'/v2', b'/v2', b'/')
    """
    if not target.startswith(b"/"):
        scheme, _, rest = target.partition(b"://")
        if scheme.lower() in (b"http", b"https"):
            target = b"/" + rest.partition(b"?")[0].partition(b"/")[2]
    return target.partition(b"?")[0]
