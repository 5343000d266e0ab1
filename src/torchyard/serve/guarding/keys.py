"""API keys: made, listed and revoked in one file that running servers follow.

A key is ``ty_`` and 64 hex digits: 256 bits from the system's generator. It is shown once, when it
is made; kept are its SHA-256, its name, what it may do and until when. A plain digest is enough,
and a slow, salted one would only cost time at every request: nobody can go through 2**256 keys.
NIST SP 800-63B, section 5.1.2.2 (look-up secrets), asks for an approved one-way function from 112
bits of entropy on, and for salt and a password hash below.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

from torchyard.core.digest import digest_bytes
from torchyard.core.errors import BadUsage, NotFound, nearest
from torchyard.core.files import locked
from torchyard.core.record import read_record, write_record
from torchyard.records.keys import ApiKey, ApiKeys, Scope

PREFIX = "ty_"
KEY = re.compile(rf"{PREFIX}[0-9a-f]{{64}}")
LONGEST_DAYS = 36_500
_SHOWN = 4
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def make_key(
    file: Path, *, name: str, scopes: Sequence[str], days: int | None, now: datetime
) -> tuple[str, ApiKey]:
    """Add a key to the file, which is made when it is not there; safe from several processes.

    Args:
        file: where the keys are kept, of mode 0600.
        name: 1 to 64 letters, digits, dots, dashes, underscores; logs and metrics have it.
        scopes: one or more of ``predict``, ``operate``, ``admin``.
        days: until it expires, None for never.
        now: the time, in UTC.

    Returns:
        The key itself, which is kept nowhere, and what is kept of it.

    Raises:
        BadUsage: the name is taken or is none, or a scope or the number of days is out of range.
        BadRecord: the file is damaged.
    """
    key = PREFIX + secrets.token_hex(32)
    made = ApiKey(
        name=_checked_name(name),
        scopes=_checked_scopes(scopes),
        digest=digest_of(key),
        ends_with=key[-_SHOWN:],
        created=_iso(now),
        expires=None if days is None else _iso(now + _checked_days(days)),
    )
    with locked(_lock(file)):
        keys = read_keys(file)
        if any(one.name == name for one in keys):
            raise BadUsage(
                where=f"key {name}",
                found="a key of that name",
                expected="a new name",
                remedy=f"Choose another, or first: torchyard key revoke {name}",
            )
        _write(file, (*keys, made))
    return key, made


def revoke_key(file: Path, name: str) -> tuple[ApiKey, ...]:
    """Take a key out of the file; whoever holds it is refused within a second.

    Returns:
        The keys that are left. With none the file stays, and the server lets nobody in.

    Raises:
        NotFound: no key has that name.
        BadRecord: the file is damaged.
    """
    with locked(_lock(file)):
        keys = read_keys(file)
        left = tuple(key for key in keys if key.name != name)
        if len(left) == len(keys):
            names = [key.name for key in keys]
            raise NotFound(
                where=f"key {name}",
                found="no key of that name",
                expected="a key of this project",
                remedy=nearest(name, names) if names else "Make one: torchyard key new NAME",
            )
        _write(file, left)
    return left


def read_keys(file: Path) -> tuple[ApiKey, ...]:
    """The keys in the file, in the order they were made; none where there is no file.

    Raises:
        BadRecord: the file is damaged.
    """
    return read_record(ApiKeys, file).keys if file.exists() else ()


def digest_of(key: str) -> str:
    """What is kept of a key."""
    return digest_bytes(key.encode())


def has_expired(key: ApiKey, now: datetime) -> bool:
    """Whether a key's time is over."""
    return key.expires is not None and datetime.fromisoformat(key.expires) <= now


def _write(file: Path, keys: tuple[ApiKey, ...]) -> None:
    write_record(file, ApiKeys(keys=keys), mode=0o600)


def _lock(file: Path) -> Path:
    return file.parent / f".{file.name}.lock"


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise BadUsage(
            where="the key's name",
            found=repr(name),
            expected="1 to 64 letters, digits, dots, dashes or underscores",
            remedy="Name whom the key is for, for example: shop-frontend",
        )
    return name


def _checked_scopes(scopes: Sequence[str]) -> tuple[Scope, ...]:
    known = get_args(Scope)
    for scope in scopes:
        if scope not in known:
            raise BadUsage(
                where="--scope",
                found=repr(scope),
                expected=" or ".join(known),
                remedy=nearest(scope, known),
            )
    chosen = tuple(scope for scope in known if scope in scopes)
    if not chosen:
        raise BadUsage(
            where="--scope",
            found="no scope",
            expected=" or ".join(known),
            remedy="Say what the key is for, for example: --scope predict",
        )
    return chosen


def _checked_days(days: int) -> timedelta:
    if not 1 <= days <= LONGEST_DAYS:
        raise BadUsage(
            where="--days",
            found=str(days),
            expected=f"1 to {LONGEST_DAYS:,}",
            remedy="Leave it out for a key that lasts until it is revoked.",
        )
    return timedelta(days=days)


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds")
