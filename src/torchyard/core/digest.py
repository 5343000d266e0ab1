"""Content digests: what two things must share to be called the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from torchyard.core.record import Json

PREFIX = "sha256:"
_CHUNK_BYTES = 1 << 20


def canonical_json(value: Json) -> bytes:
    """The one byte string that stands for a JSON value: sorted keys, no spaces, UTF-8.

    Raises:
        ValueError: the value holds NaN or an infinity, which JSON has no form for.

    Example:
        >>> canonical_json({"b": 1, "a": [True, None]})
        b'{"a":[true,null],"b":1}'
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def digest_bytes(content: bytes) -> str:
    """``sha256:`` and 64 hex digits of some bytes."""
    return PREFIX + hashlib.sha256(content).hexdigest()


def digest_json(value: Json) -> str:
    """The digest of a JSON value, whatever the order of its keys.

    Example:
        >>> digest_json({"a": 1, "b": 2}) == digest_json({"b": 2, "a": 1})
        True
    """
    return digest_bytes(canonical_json(value))


def digest_file(path: Path) -> str:
    """The digest of a file's bytes, read in chunks of a mebibyte."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            state.update(chunk)
    return PREFIX + state.hexdigest()


def short(digest: str) -> str:
    """The twelve hex digits that people compare by eye.

    Example:
        >>> short("sha256:0123456789abcdef")
        '0123456789ab'
    """
    return digest.removeprefix(PREFIX)[:12]
