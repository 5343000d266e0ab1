"""Runs that are under way: what a run needs to go on after it was stopped or killed.

It lies in ``runs/<key>/`` of the project's state, ``key`` being that of the train stage, and goes
when the run is finished: its id, its lock, where it began, and its checkpoints. A run that nobody
goes on with, as when its settings were changed, goes after thirty days.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torchyard.core.errors import NotReady
from torchyard.core.files import locked, write_atomically
from torchyard.core.record import read_record, write_record
from torchyard.records.training import Environment

if TYPE_CHECKING:
    from torchyard.train import Checkpoints

_FORGOTTEN_SECONDS = 30 * 24 * 3600.0
_LOCK = "lock"
_CHECKPOINTS = "checkpoints"


def clear_forgotten(runs: Path, *, now: float) -> None:
    """Remove the runs that nothing was saved of for thirty days; not one that a process is at.

    Args:
        runs: the folder of all runs that are under way.
        now: seconds since 1970.
    """
    for folder in sorted(runs.glob("*")):
        underway = Underway(folder)
        with suppress(BlockingIOError, FileNotFoundError), locked(folder / _LOCK, wait=False):
            if now - underway.touched() > _FORGOTTEN_SECONDS:
                underway.clear()


@dataclass(frozen=True)
class Underway:
    """One run's folder."""

    folder: Path

    @property
    def run_id(self) -> str | None:
        """The run's id in MLflow; None before its first second."""
        path = self.folder / "run"
        return path.read_text().strip() or None if path.exists() else None

    def begin(self, run_id: str) -> None:
        """Remember the run, so that the next sitting goes on with it."""
        write_atomically(self.folder / "run", run_id.encode())

    @property
    def has_saved(self) -> bool:
        """Whether there is a checkpoint to go on from, whole or damaged."""
        return any((self.folder / _CHECKPOINTS).glob("*"))

    def began_in(self, now: Environment) -> Environment:
        """The environment of the sitting that the run goes on from; ``now`` where it begins.

        Raises:
            BadRecord: what is kept of it is damaged.
        """
        path = self.folder / "environment.json"
        if path.exists() and self.has_saved:
            return read_record(Environment, path)
        write_record(path, now)
        return now

    def checkpoints(self, *, every: float) -> Checkpoints:
        """Where the run saves where it stands; ``every`` is in seconds."""
        from torchyard.train import Checkpoints

        return Checkpoints(self.folder / _CHECKPOINTS, every=every)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training the same while the block lasts.

        Raises:
            NotReady: another process is at it.
        """
        with ExitStack() as stack:
            for pause in (0.05, 0.2, None):
                try:
                    stack.enter_context(self._locked())
                    break
                except BlockingIOError as error:
                    if pause is None:
                        raise self._taken() from error
                    # it may be one that only asks whether it is running
                    time.sleep(pause)
            yield

    def is_running(self) -> bool:
        """Whether a process is at it now."""
        if not self.folder.exists():
            return False
        try:
            with self._locked():
                return False
        except BlockingIOError:
            return True

    def touched(self) -> float:
        """When something of it was written last, in seconds since 1970."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.name != _LOCK]
        return max(path.stat().st_mtime for path in (files or [self.folder / _LOCK]))

    def clear(self) -> None:
        """Forget it: the run is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self.folder / _LOCK, wait=False)

    def _taken(self) -> NotReady:
        return NotReady(
            where="training",
            found=f"another process that trains the same run, {self.run_id or 'just begun'}",
            expected="one at a time",
            remedy="Wait for it, or stop it: this one then goes on where it stood.",
        )
