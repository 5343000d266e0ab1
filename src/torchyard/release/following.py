"""Reading the channel log as a server does: several times a second, and soon after it starts.

A file of SQLite is read with the standard library. SQLAlchemy, which ``ChannelLog`` writes with and
which reads any other database, takes a third of a second to import and every worker would wait.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Protocol, final
from urllib.parse import quote

from torchyard.core.uris import sqlite_path
from torchyard.records.live import ModelState
from torchyard.release.folding import TABLE, event_of, fold

_BUSY_S = 5.0


class Events(Protocol):
    """A channel log that is only read."""

    def last_number(self) -> int:
        """The number of the last event of any model, 0 when there is none."""

    def states(self) -> dict[str, ModelState]:
        """Who serves each model now: the fold of all events."""


def open_events(url: str) -> Events:
    """The channel log at an SQLAlchemy URL, for reading in one thread."""
    path = sqlite_path(url)
    if path is not None:
        return SqliteEvents(path)
    from torchyard.release.channels import ChannelLog

    return ChannelLog(url)


@final
class SqliteEvents:
    """A channel log in a file of SQLite, for one thread; what ``ChannelLog`` reads, read plainly.

    Args:
        path: the file; nothing is opened or made before it is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def last_number(self) -> int:
        """See ``Events``."""
        connection = self._open()
        if connection is None:
            return 0
        (number,) = connection.execute(f"SELECT max(number) FROM {TABLE}").fetchone()
        return int(number or 0)

    def states(self) -> dict[str, ModelState]:
        """See ``Events``.

        Raises:
            BadRecord: a row is not an event, or one cannot follow those before it.
        """
        connection = self._open()
        if connection is None:
            return {}
        rows = connection.execute(f"SELECT * FROM {TABLE} ORDER BY number").fetchall()
        return fold(event_of(dict(row)) for row in rows)

    def close(self) -> None:
        """Close the file; it is opened again when it is asked."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection | None:
        """The connection, once the file is there and has the table."""
        if self._connection is not None:
            return self._connection
        if not self._path.exists():
            return None
        connection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode=rw", uri=True, timeout=_BUSY_S
        )
        connection.row_factory = sqlite3.Row
        names = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (TABLE,))
        if names.fetchone() is None:
            connection.close()
            return None
        self._connection = connection
        return connection
