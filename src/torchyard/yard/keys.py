"""Keys of a server's clients: made, listed, revoked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from torchyard.records.keys import ApiKey
from torchyard.yard.workspace import Workspace


def make(
    workspace: Workspace, *, name: str, scopes: Sequence[str], days: int | None
) -> tuple[str, ApiKey]:
    """A new key, which is kept nowhere, and what is kept of it."""
    from torchyard.serve.guarding.keys import make_key

    return make_key(workspace.api_keys, name=name, scopes=scopes, days=days, now=datetime.now(UTC))


def listed(workspace: Workspace) -> tuple[tuple[ApiKey, bool], ...]:
    """Every key, in the order they were made, and whether its time is over."""
    from torchyard.serve.guarding.keys import has_expired, read_keys

    now = datetime.now(UTC)
    return tuple((key, has_expired(key, now)) for key in read_keys(workspace.api_keys))


def revoke(workspace: Workspace, name: str) -> int:
    """Take a key away; how many are left."""
    from torchyard.serve.guarding.keys import revoke_key

    return len(revoke_key(workspace.api_keys, name))
