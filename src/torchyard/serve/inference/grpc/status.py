"""Refusals in gRPC's words. The only place that knows its status codes.

Source: https://grpc.io/docs/guides/status-codes/ and, of the pushback that says when a refused
call may be tried again, proposal A6, https://github.com/grpc/proposal/blob/master/A6-client-retries.md
"""

from __future__ import annotations

from typing import NamedTuple

import grpc

from torchyard.core.errors import YardError

_CODE_OF = {
    "bad_usage": grpc.StatusCode.INVALID_ARGUMENT,
    "bad_data": grpc.StatusCode.INVALID_ARGUMENT,
    "not_found": grpc.StatusCode.NOT_FOUND,
    "not_ready": grpc.StatusCode.UNAVAILABLE,
    "overloaded": grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_AGAIN = (("grpc-retry-pushback-ms", "1000"),)
_TRIED_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


class Status(NamedTuple):
    """How a call ends that has no answer: a code, a sentence, metadata after it."""

    code: grpc.StatusCode
    details: str
    metadata: tuple[tuple[str, str], ...] = ()


def refused(error: YardError) -> Status:
    """A refusal: its sentence, and its family among the metadata as ``error``.

    Example:
        >>> from torchyard.core.errors import Overloaded
        >>> error = Overloaded(where="this worker", found="a wait of 9 ms", expected="less",
        ...                    remedy="Try again.")
        >>> refused(error).code.name, refused(error).metadata
        ('RESOURCE_EXHAUSTED', (('error', 'overloaded'), ('grpc-retry-pushback-ms', '1000')))
    """
    code = _CODE_OF.get(error.code, grpc.StatusCode.INTERNAL)
    again = _AGAIN if code in _TRIED_AGAIN else ()
    return Status(code, str(error), (("error", error.code), *again))


def failed(incident: str) -> Status:
    """A fault of the server, without a word about the inside."""
    details = f"A fault of the server. Look for incident {incident} in the server's output."
    return Status(grpc.StatusCode.INTERNAL, details, (("error", "internal"),))
