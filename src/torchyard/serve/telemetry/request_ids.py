"""What a client calls its request, so that both sides find it in their logs."""

from __future__ import annotations

import re

LONGEST = 128
NAME = b"x-request-id"
_WELL_FORMED = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/+=@~-]{0,127}")


def well_formed(given: bytes | None) -> str:
    """A client's id for its request, empty where it gives none that may stand in a log.

    Example:
        >>> well_formed(b"req-17"), well_formed(b"a b"), well_formed(None)
        ('req-17', '', '')
    """
    if given is None or not _WELL_FORMED.fullmatch(given):
        return ""
    return given.decode("ascii")
