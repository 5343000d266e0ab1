"""Refusals in gRPC's words. The only place that knows its status codes.

Source: https://grpc.io/docs/guides/status-codes/ and, of the pushback that says when a refused
call may be tried again, proposal A6, https://github.com/grpc/proposal/blob/master/A6-client-retries.md
"""

from __future__ import annotations

from typing import NamedTuple

import grpc

from torchyard.core.errors import NotReady, Overloaded, YardError

_CODE_OF = {
    "bad_usage": grpc.StatusCode.INVALID_ARGUMENT,
    "bad_data": grpc.StatusCode.INVALID_ARGUMENT,
    "quarantined": grpc.StatusCode.INVALID_ARGUMENT,
    "unauthenticated": grpc.StatusCode.UNAUTHENTICATED,
    "forbidden": grpc.StatusCode.PERMISSION_DENIED,
    "not_found": grpc.StatusCode.NOT_FOUND,
    "refused": grpc.StatusCode.FAILED_PRECONDITION,
    "not_ready": grpc.StatusCode.UNAVAILABLE,
    "overloaded": grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_SOON_S = 1


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
        ...                    remedy="Try again.", retry_after_s=2)
        >>> refused(error).code.name, refused(error).metadata
        ('RESOURCE_EXHAUSTED', (('error', 'overloaded'), ('grpc-retry-pushback-ms', '2000')))
    """
    code = _CODE_OF.get(error.code, grpc.StatusCode.INTERNAL)
    return Status(code, str(error), (("error", error.code), *_pushback(error)))


def failed(incident: str) -> Status:
    """A fault of the server, without a word about the inside."""
    details = f"A fault of the server. Look for incident {incident} in the server's output."
    return Status(grpc.StatusCode.INTERNAL, details, (("error", "internal"),))


def _pushback(error: YardError) -> tuple[tuple[str, str], ...]:
    """When to try again; nothing for what will not change by waiting."""
    if not isinstance(error, Overloaded | NotReady):
        return ()
    seconds = error.retry_after_s if isinstance(error, Overloaded) else _SOON_S
    return (("grpc-retry-pushback-ms", str(1000 * seconds)),)
