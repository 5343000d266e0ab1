"""Who serves: an append-only table of decisions.

The table is the truth and is never changed; "current" is computed, see ``folding``. It works
unchanged on SQLite (the default: one file, WAL) and on PostgreSQL. Not here: whether a decision
makes sense, see the rollout room; how a server reads it, see ``following``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from torchyard.core.errors import Refused
from torchyard.records.live import Action, ChannelEvent, ModelState
from torchyard.release.folding import TABLE, event_of, fold

_BUSY_MS = 5_000
_ATTEMPTS = 20

_TABLE = sa.Table(
    TABLE,
    sa.MetaData(),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("model", sa.String(63), nullable=False, index=True),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("release", sa.String(71), nullable=False),
    sa.Column("weight", sa.Float(53), nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)


class ChannelLog:
    """The channel events of all models.

    Args:
        url: an SQLAlchemy URL: ``sqlite:////srv/yard/channels.db`` or
            ``postgresql+psycopg://host/name``. Nothing is opened or made before the first use.
        clock: gives an aware time for new events.

    Example:
        >>> log = ChannelLog("sqlite:////nowhere/channels.db")
        >>> log.last_number(), log.states()
        (0, {})
    """

    def __init__(
        self, url: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._url = sa.make_url(url)
        self._clock = clock
        self._engine = sa.create_engine(self._url)
        self._exists = False
        if self._url.get_backend_name() == "sqlite":
            sa.event.listen(self._engine, "connect", _prepare_sqlite)

    def __enter__(self) -> ChannelLog:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the log opens new ones when it is used again."""
        self._engine.dispose()

    def append(
        self,
        *,
        model: str,
        action: Action,
        release: str,
        weight: float,
        by: str,
        reason: str,
        expect_last: int | None = None,
    ) -> ChannelEvent:
        """Add one event, with the next number, in one statement.

        Args:
            model: whose traffic it is about.
            action: what was decided.
            release: the id of the release that it is about.
            weight: that release's share of the traffic, 0 to 1.
            by: who decided.
            reason: why, in their words.
            expect_last: the number of the model's last event that the decision was taken on, 0 for
                none. Optimistic concurrency: a decision taken on an older state is refused.

        Raises:
            Refused: another event of the model came in between.
        """
        self._make_table()
        values: dict[str, str | float] = {
            "at": self._clock().astimezone(UTC).isoformat(timespec="milliseconds"),
            "model": model,
            "action": action,
            "release": release,
            "weight": weight,
            "by": by,
            "reason": reason,
        }
        number = self._insert(values, model, expect_last)
        return event_of({"number": number, **values})

    def events(self, model: str | None = None) -> tuple[ChannelEvent, ...]:
        """All events, or one model's, in order.

        Raises:
            BadRecord: a row is not an event.
        """
        query = sa.select(_TABLE).order_by(_TABLE.c.number)
        if model is not None:
            query = query.where(_TABLE.c.model == model)
        if not self._has_table():
            return ()
        with self._engine.connect() as connection:
            return tuple(event_of(dict(row)) for row in connection.execute(query).mappings())

    def last_number(self) -> int:
        """The number of the last event of any model, 0 when there is none.

        Cheap enough to ask several times a second: one look-up at the end of the primary key.
        """
        if not self._has_table():
            return 0
        with self._engine.connect() as connection:
            return int(connection.execute(_LAST_NUMBER).scalar_one())

    def states(self) -> dict[str, ModelState]:
        """Who serves each model now: the fold of all events."""
        return fold(self.events())

    def _insert(
        self, values: Mapping[str, str | float], model: str, expect_last: int | None
    ) -> int:
        """Insert with the next number; who loses a race for a number asks for the next.

        On SQLite the statement takes the write lock first, so no race exists. Elsewhere two
        writers may compute the same number: the primary key lets one through.
        """
        statement = _insert_next(values, model, expect_last)
        for attempt in range(_ATTEMPTS):
            try:
                with self._engine.begin() as connection:
                    number = connection.execute(statement).scalar_one_or_none()
                break
            except sa.exc.IntegrityError:
                if attempt == _ATTEMPTS - 1:
                    raise
        if number is None:
            raise Refused(
                where=f"channel of model '{model}'",
                found=f"another decision since event {expect_last}",
                expected="a decision taken on the present state",
                remedy="Look at the status again, then decide again.",
            )
        return int(number)

    def _make_table(self) -> None:
        if self._exists:
            return
        if self._url.get_backend_name() == "sqlite" and self._url.database:
            Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)
        with self._engine.begin() as connection:
            # IF NOT EXISTS: two first events at the same time both go through.
            connection.execute(sa.schema.CreateTable(_TABLE, if_not_exists=True))
            for index in _TABLE.indexes:
                connection.execute(sa.schema.CreateIndex(index, if_not_exists=True))
        self._exists = True

    def _has_table(self) -> bool:
        if not self._exists:
            file = self._url.database
            if self._url.get_backend_name() == "sqlite" and not (file and Path(file).exists()):
                return False
            self._exists = sa.inspect(self._engine).has_table(_TABLE.name)
        return self._exists


_LAST_NUMBER = sa.select(sa.func.coalesce(sa.func.max(_TABLE.c.number), 0))


def _insert_next(
    values: Mapping[str, str | float], model: str, expect_last: int | None
) -> sa.sql.expression.Insert:
    """``INSERT ... SELECT max(number) + 1, ... WHERE nothing happened since ... RETURNING``."""
    number = _LAST_NUMBER.scalar_subquery() + 1
    row = sa.select(
        number, *(sa.literal(value, _TABLE.c[name].type) for name, value in values.items())
    )
    if expect_last is not None:
        own = _LAST_NUMBER.where(_TABLE.c.model == model).scalar_subquery()
        row = row.where(own == expect_last)
    return sa.insert(_TABLE).from_select(["number", *values], row).returning(_TABLE.c.number)


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    # The mode stays with the file. Switching takes the whole file and does not wait its turn: while
    # another connection is at it, this one can go on without.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = WAL")
