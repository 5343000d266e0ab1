"""Files that are whole or absent: atomic writes, staged folders, append-only lines, a lock."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

STAGING = ".staging-"


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace a file's content so that a reader sees the old bytes or the new, never a mixture.

    The bytes reach the disk before the name does (write, fsync, rename, fsync of the folder). Until
    then nobody but the owner may read them, and afterwards as ``mode`` says.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def staged_folder(parent: Path) -> Iterator[Path]:
    """A new empty folder inside ``parent`` that is removed unless the caller renames it away."""
    parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as holding:
        with held(parent):
            stage = Path(tempfile.mkdtemp(dir=parent, prefix=STAGING))
            holding.enter_context(held(stage))
        try:
            yield stage
        finally:
            if stage.exists():
                shutil.rmtree(stage)


def clear_abandoned(parent: Path) -> None:
    """Remove the staged folders inside ``parent`` whose owners were killed."""
    parent.mkdir(parents=True, exist_ok=True)
    with held(parent):
        for stage in abandoned(parent):
            shutil.rmtree(stage)


def abandoned(parent: Path) -> list[Path]:
    """Staged folders whose owner is gone: the kernel drops its lock when it dies.

    Ask only where nobody can be making one at the same time.
    """
    found = []
    for stage in sorted(parent.glob(f"{STAGING}*")):
        # one that is being removed by its owner is held, or not there any more
        with suppress(BlockingIOError, FileNotFoundError), held(stage, wait=False):
            found.append(stage)
    return found


def publish_folder(stage: Path, target: Path) -> bool:
    """Give a staged folder its final name in one rename, after all its files reached the disk.

    Returns:
        False when the target already exists (its name is its content, so nothing is lost); another
        process may have made it at this very moment.
    """
    for path in sorted(stage.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            sync_folder(path)
    sync_folder(stage)
    if target.exists():
        return False
    stage.chmod(0o755)
    try:
        stage.rename(target)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    sync_folder(target.parent)
    return True


def discard_folder(target: Path) -> None:
    """Take a folder's name away in one rename, then remove it: it is never seen half removed.

    What is left of it when its remover is killed goes with ``clear_abandoned``.
    """
    with staged_folder(target.parent) as stage, suppress(FileNotFoundError):
        target.rename(stage / target.name)


@contextmanager
def held(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on a folder itself; the kernel drops it when the holder dies.

    Raises:
        BlockingIOError: another one holds it, and ``wait`` is False.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """Make the names inside a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on a file; another process that wants it waits.

    The kernel drops the lock when the holder dies, so nothing is ever left locked.

    Raises:
        BlockingIOError: another process holds it, and ``wait`` is False.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
