"""Checkpoints: states of a run on disk, from which it goes on after it was stopped or killed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import final

from torchyard.core.digest import digest_file
from torchyard.core.errors import BadRecord
from torchyard.core.files import sync_folder
from torchyard.train.packing import Plain, read_state, write_state

_KEPT = 2
# saving may take at most a hundredth of the time of a run
_WORTH = 100.0
_SUFFIX = ".safetensors"
_UNFINISHED = ".unfinished"


@final
class Checkpoints:
    """The newest two states of a run, in a folder of its own.

    A file is named by its step and the start of its own digest, so that a truncated or changed one
    is told apart, and the one before it is taken. A file gets its name when all of it is on disk.

    Args:
        folder: where they lie; made when the first is saved.
        every: seconds from one to the next, at least 0; longer where saving is slow: it takes at
            most a hundredth of the time.

    Attributes:
        folder: where they lie.
    """

    def __init__(self, folder: Path, *, every: float = 30.0) -> None:
        self.folder = folder
        self._every = every
        self._next = time.monotonic() + every

    def is_due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() >= self._next

    def save(self, step: int, state: Plain) -> Path:
        """Write a state and drop all but the newest two.

        Args:
            step: how many steps are done; later states have higher ones.
            state: as ``write_state`` takes it.

        Raises:
            BadModel: the state holds something that is not plain.
            OSError: the disk is full, or the folder cannot be written; earlier states are as they
                were.
        """
        started = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / _UNFINISHED
        try:
            write_state(unfinished, state)
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
            path = self.folder / f"{step:012d}-{_mark(unfinished)}{_SUFFIX}"
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        sync_folder(self.folder)
        self._drop_all_but(path, step)
        now = time.monotonic()
        self._next = now + max(self._every, _WORTH * (now - started) if self._every else 0.0)
        return path

    def newest(self, tell: Callable[[str], None] | None = None) -> Plain | None:
        """The newest whole state; None when there is none.

        Args:
            tell: told of each damaged state that was passed over, and what is done instead.
        """
        damaged = []
        found = None
        for path in reversed(self._files()):
            found = _whole(path)
            if found is not None:
                break
            damaged.append(path.name)
        if damaged and tell:
            instead = "training begins anew" if found is None else "the one before it is taken"
            tell(f"checkpoint {', '.join(damaged)} is damaged: {instead}")
        return found

    def _drop_all_but(self, newest: Path, step: int) -> None:
        """Keep the state just saved and the one before it.

        What claims to be later was damaged, or the run would stand there.
        """
        earlier = [path for path in self._files() if _step(path) < step][1 - _KEPT :]
        for path in self._files():
            if path != newest and path not in earlier:
                path.unlink()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{_SUFFIX}"))


def _step(path: Path) -> int:
    """The step in a state's name; -1 for what is not one."""
    number = path.name.partition("-")[0]
    return int(number) if number.isdecimal() else -1


def _whole(path: Path) -> Plain | None:
    """A state; None when its file is truncated, changed, or of another version of torchyard."""
    if path.stem.rpartition("-")[2] != _mark(path):
        return None
    try:
        return read_state(path)
    except BadRecord:
        return None


def _mark(path: Path) -> str:
    return digest_file(path).partition(":")[2][:16]
