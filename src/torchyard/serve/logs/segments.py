"""Append-only JSON lines in segments: whole lines or none, whatever the disk does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import final


@final
class Segments:
    """The open segment of one model in one worker. Not for use by two threads at once.

    Segments are ``<folder>/<worker>-<start>-<n>.jsonl``; ``start`` tells restarts apart. A write
    that fails half way is taken back, so a later line never begins inside an earlier one. After a
    crash the last line may lack its newline: readers skip it, and nothing is appended to it.

    Args:
        folder: made on the first write.
        worker: the worker's number.
        start: when the worker started, in milliseconds since the epoch.
        most_bytes: a segment that has reached this size is closed before the next write.
    """

    def __init__(self, folder: Path, *, worker: int, start: int, most_bytes: int) -> None:
        self._folder = folder
        self._stem = f"{worker}-{start}"
        self._most_bytes = most_bytes
        self._number = 0
        self._handle: int | None = None
        self._size_bytes = 0

    def append(self, lines: bytes, *, durably: bool = False) -> None:
        """Write whole lines.

        Args:
            lines: each with its newline.
            durably: return only after they reached the disk.

        Raises:
            OSError: they were not written, none of them.
        """
        if self._handle is not None and self._size_bytes >= self._most_bytes:
            self.close()
        handle = self._open()
        try:
            self._write(handle, lines)
            if durably:
                os.fsync(handle)
        except OSError:
            self._take_back(handle)
            raise
        self._size_bytes += len(lines)

    def close(self) -> None:
        """Make what was written durable and end the segment."""
        handle, self._handle = self._handle, None
        if handle is not None:
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _open(self) -> int:
        if self._handle is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{self._stem}-{self._number}.jsonl"
            self._number += 1
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            self._size_bytes = 0
        return self._handle

    def _write(self, handle: int, lines: bytes) -> None:
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(handle, rest) :]

    def _take_back(self, handle: int) -> None:
        """Cut a half-written chunk off; if even that fails, leave the segment for a new one."""
        try:
            os.ftruncate(handle, self._size_bytes)
            os.lseek(handle, self._size_bytes, os.SEEK_SET)
        except OSError:
            self._handle = None
            os.close(handle)
