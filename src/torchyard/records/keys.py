"""Keys of a server's clients, as they are kept: what each may do, and a digest; no key itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scope = Literal["predict", "operate", "admin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One client's key.

    ``digest`` is ``sha256:`` and the digest of the whole key as text; ``ends_with`` its last four
    characters, so that a person can tell which one it is; ``created`` and ``expires`` are ISO times
    in UTC, ``expires`` None for a key that lasts until it is revoked.
    """

    name: str
    scopes: tuple[Scope, ...]
    digest: str
    ends_with: str
    created: str
    expires: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeys:
    """All keys of a server, in the order they were made."""

    keys: tuple[ApiKey, ...]
