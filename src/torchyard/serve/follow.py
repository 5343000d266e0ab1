"""Following the channel log: which releases this worker serves, loaded and proved beforehand.

The follower runs in its own thread and never touches what serves; it hands whole tables to the
loop, which swaps one reference. What the old table alone held is dropped when its last request is
answered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, final

from torchyard.core.digest import short
from torchyard.core.errors import NotReady, YardError
from torchyard.records.live import ModelState
from torchyard.serve.engine import Engine
from torchyard.serve.router import Split, split_of

RETRY_S = 5.0


class EventLog(Protocol):
    """What is followed; ``torchyard.release.ChannelLog`` is one."""

    def last_number(self) -> int:
        """The number of the newest event, 0 when there is none."""

    def states(self) -> dict[str, ModelState]:
        """The fold of all events, by model."""


@dataclass(frozen=True, slots=True)
class Served:
    """One model as it is served: its state, its split, and an engine for every release in it."""

    state: ModelState
    split: Split
    engines: dict[str, Engine]

    @property
    def champion(self) -> Engine:
        """The engine with the last word: the champion's, which the split lists last."""
        return self.engines[self.split.releases[-1]]


@dataclass(frozen=True, slots=True)
class Table:
    """Everything a worker serves, replaced as a whole.

    ``applied_event`` is the newest event it fully follows; ``problem`` says why a newer one could
    not be applied. ``is_ready`` is whether every deployed model has something that serves it.
    """

    models: dict[str, Served] = field(default_factory=dict)
    applied_event: int = 0
    problem: str | None = None
    is_ready: bool = False


@final
class Follower:
    """Turns channel events into tables.

    A model whose new release cannot be served keeps what it had; the others move on. The release
    is tried again every five seconds, since it may only have been copied late.

    Args:
        log: the channel log.
        load: opens a release by id, warms it and replays its golden requests.
        clock: seconds, monotonic.
    """

    def __init__(
        self, log: EventLog, load: Callable[[str], Engine], *, clock: Callable[[], float]
    ) -> None:
        self._log = log
        self._load = load
        self._clock = clock
        self._retry_at: float | None = None
        self._seen_event = -1
        self.table = Table()

    def step(self) -> Table | None:
        """Look once.

        Returns:
            The new table, or None when nothing changed.
        """
        try:
            newest = self._log.last_number()
            is_due = self._retry_at is not None and self._clock() >= self._retry_at
            if newest == self._seen_event and not is_due:
                return None
            table = self._table(self._log.states(), newest)
        except Exception as error:  # the edge of this thread: whatever a database raises
            table = self._unchanged(f"channel log: {error}")
        else:
            self._seen_event = newest
        self._retry_at = self._clock() + RETRY_S if table.problem else None
        if table == self.table:
            return None
        self.table = table
        return table

    def _table(self, states: dict[str, ModelState], newest: int) -> Table:
        before, models, problems = self.table, {}, []
        deployed = {name: state for name, state in states.items() if any(state.routes.values())}
        for name, state in deployed.items():
            try:
                models[name] = self._serve(name, state)
            except YardError as error:
                problems.append(f"{name}: {error}")
                if name in before.models:
                    models[name] = before.models[name]
        return Table(
            models=models,
            applied_event=before.applied_event if problems else newest,
            problem="; ".join(problems) or None,
            is_ready=before.is_ready or models.keys() == deployed.keys(),
        )

    def _serve(self, name: str, state: ModelState) -> Served:
        before = self.table.models.get(name)
        if before is not None and before.state == state:
            return before
        split = split_of(state)
        loaded = before.engines if before else {}
        engines = {
            release: loaded.get(release) or self._open(name, release) for release in split.releases
        }
        return Served(state, split, engines)

    def _open(self, name: str, release: str) -> Engine:
        try:
            engine = self._load(release)
        except YardError:
            raise
        except Exception as error:  # the edge of this thread: a release is foreign matter
            raise _unusable(release, str(error), "a release that can be opened") from error
        if engine.model != name:
            raise _unusable(release, f"a release of '{engine.model}'", f"a release of '{name}'")
        return engine

    def _unchanged(self, problem: str) -> Table:
        before = self.table
        return Table(before.models, before.applied_event, problem, before.is_ready)


def _unusable(release: str, found: str, expected: str) -> NotReady:
    return NotReady(
        where=f"release {short(release)}",
        found=found,
        expected=expected,
        remedy="Deploy another release, or roll back.",
    )
