"""Who may ask for what: a client's key against the keys in a file that may change at any time.

Not here: how a protocol carries a key, see ``credentials_in``, and what a route asks for, see
``http/routes.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, final

from torchyard.core.errors import Forbidden, Unauthenticated, YardError
from torchyard.records.keys import ApiKey, Scope
from torchyard.serve.guarding.exposure import check_unwritable
from torchyard.serve.guarding.keys import KEY, digest_of, read_keys

_MOST_REMEMBERED = 4096

_OUTPUT = logging.getLogger("torchyard.serve")

Sign = tuple[int, int, int]


class _Grant(NamedTuple):
    name: str
    scopes: frozenset[str]
    expires: float


@final
class Keyring:
    """The keys of one worker's clients. Use from the loop's thread only.

    A key is looked up by its SHA-256, so how long that takes says nothing of the keys that are
    kept: whoever tries keys cannot choose what their digests begin with. What a client sent and was
    found to hold a key is remembered by its bytes until the file changes, so an ordinary request
    hashes nothing. What was refused is not remembered: it is without bound.

    Args:
        file: the keys; None for a server that has none.
        is_required: whether a key is asked for; None to ask from the moment that the file is there,
            be it empty: a server that once had keys does not open when they are gone.
        clock: seconds since the epoch.

    Attributes:
        is_needed: whether requests need a key now.

    Raises:
        BadRecord: the file is damaged.
        NotTrusted: others than its owner may write it.
    """

    def __init__(
        self, file: Path | None, *, is_required: bool | None, clock: Callable[[], float]
    ) -> None:
        self._file = file
        self._is_required = is_required
        self._clock = clock
        self._grants: dict[str, _Grant] = {}
        self._remembered: dict[bytes, _Grant] = {}
        self._sign: Sign | None = None
        self.is_needed = is_required is True
        self._read(self._signed())

    @staticmethod
    def open() -> Keyring:
        """A keyring that asks for nothing."""
        return Keyring(None, is_required=False, clock=lambda: 0.0)

    def look(self) -> None:
        """Follow the file if it has changed; call about once a second.

        What cannot be read changes nothing: the keys of before go on, and the server's output says
        why.
        """
        sign = self._signed()
        if sign == self._sign:
            return
        try:
            self._read(sign)
        except YardError as error:
            self._sign = sign
            _OUTPUT.error("the keys of before are kept: %s", error)

    def check(self, credentials: bytes | None, scope: Scope) -> str:
        """The name of the client that holds a key for something.

        Args:
            credentials: the key, alone or as ``Bearer KEY``, as a header or metadata has it; None
                where the client sent none.
            scope: what it asks for. A key for ``admin`` is one for everything.

        Returns:
            The key's name, empty where no key is asked for.

        Raises:
            Unauthenticated: there is no key, or it is not (or no longer) one of the server's.
            Forbidden: it is for something else.
        """
        if not self.is_needed:
            return ""
        if credentials is None:
            raise _unauthenticated("no key")
        grant = self._remembered.get(credentials) or self._find(credentials)
        if self._clock() >= grant.expires:
            raise _unauthenticated("a key whose time is over")
        if scope not in grant.scopes:
            raise Forbidden(
                where=f"key {grant.name}",
                found=f"a key for {' and '.join(sorted(grant.scopes))}",
                expected=f"a key for {scope}",
                remedy=f"Make one: torchyard key new NAME --scope {scope}",
            )
        return grant.name

    def _find(self, credentials: bytes) -> _Grant:
        scheme, _, rest = credentials.strip().partition(b" ")
        key = (rest.strip() if scheme.lower() == b"bearer" else credentials).decode("latin-1")
        grant = self._grants.get(digest_of(key)) if KEY.fullmatch(key) else None
        if grant is None:
            raise _unauthenticated("a key that is none of this server's")
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[credentials] = grant
        return grant

    def _signed(self) -> Sign | None:
        """What changes when the file does: its time, its size, which file it is."""
        if self._file is None:
            return None
        try:
            stat = self._file.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def _read(self, sign: Sign | None) -> None:
        if self._file is not None and sign is not None:
            check_unwritable(self._file)
        keys = () if self._file is None else read_keys(self._file)
        self._grants = {key.digest: _granted(key) for key in keys}
        self._remembered.clear()
        self._sign = sign
        if self._is_required is None and sign is not None:
            self.is_needed = True


def credentials_in(headers: Mapping[bytes, bytes]) -> bytes | None:
    """What a request's headers or metadata (names in lower case) hold for ``Keyring.check``.

    Example:
        >>> credentials_in({b"x-api-key": b"ty_12"})
        b'ty_12'
    """
    return headers.get(b"authorization") or headers.get(b"x-api-key")


def _granted(key: ApiKey) -> _Grant:
    scopes = frozenset(("predict", "operate", "admin") if "admin" in key.scopes else key.scopes)
    expires = float("inf") if key.expires is None else _seconds(key.expires)
    return _Grant(key.name, scopes, expires)


def _seconds(iso: str) -> float:
    time = datetime.fromisoformat(iso)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _unauthenticated(found: str) -> Unauthenticated:
    return Unauthenticated(
        where="header Authorization",
        found=found,
        expected="a key of this server",
        remedy="Send 'Authorization: Bearer KEY', with a key that torchyard key new made.",
    )
