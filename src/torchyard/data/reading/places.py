"""Where files lie: this machine's disk, or any store that fsspec knows."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from torchyard.core.errors import BadData, nearest

_BLOCK_BYTES = 2**20


class Scratch:
    """A temporary folder that goes with the last object that holds it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="torchyard-"))
        self._numbers = count(1)
        self._finalizer = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, name: str) -> Path:
        """A new file's path that ends in ``name``."""
        return self.folder / f"{next(self._numbers):06d}-{name}"


class Place(Protocol):
    """A folder that paths are relative to."""

    @property
    def name(self) -> str:
        """How errors call it."""

    def read(self, path: str) -> bytes:
        """A file's content.

        Raises:
            OSError: there is no such file, or it cannot be read.
        """

    def size(self, path: str) -> int:
        """A file's bytes.

        Raises:
            OSError: there is no such file.
        """

    def files(self) -> list[str]:
        """Every file below, relative, in the order of its path. Hidden ones are left out."""

    def here(self, path: str, scratch: Scratch) -> Path:
        """A file on this machine's disk: itself, or a copy in ``scratch``.

        Raises:
            BadData: a remote file cannot be read to its end.
        """


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """A folder on this machine."""

    folder: Path

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.folder)

    def read(self, path: str) -> bytes:
        """See ``Place``."""
        return (self.folder / path).read_bytes()

    def size(self, path: str) -> int:
        """See ``Place``."""
        return (self.folder / path).stat().st_size

    def files(self) -> list[str]:
        """See ``Place``."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return _ordered(path.relative_to(self.folder).as_posix() for path in found)

    def here(self, path: str, scratch: Scratch) -> Path:
        """See ``Place``."""
        return self.folder / path


@dataclass(frozen=True, slots=True)
class RemotePlace:
    """A folder in a store: ``system`` is an fsspec file system."""

    system: Any = field(repr=False)
    folder: str

    @property
    def name(self) -> str:
        """Its URL."""
        return str(self.system.unstrip_protocol(self.folder))

    def read(self, path: str) -> bytes:
        """See ``Place``."""
        return bytes(self.system.cat_file(self._full(path)))

    def size(self, path: str) -> int:
        """See ``Place``."""
        return int(self.system.size(self._full(path)) or 0)

    def files(self) -> list[str]:
        """See ``Place``."""
        start = self.folder.rstrip("/")
        return _ordered(str(path).removeprefix(f"{start}/") for path in self.system.find(start))

    def here(self, path: str, scratch: Scratch) -> Path:
        """See ``Place``."""
        target = scratch.path(PurePosixPath(path).name)
        try:
            with self.system.open(self._full(path), "rb") as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy, _BLOCK_BYTES)
        except Exception as error:  # the edge to a store: every backend has errors of its own
            raise BadData(
                where=f"{self.name}/{path}",
                found=f"{type(error).__name__}: {error}",
                expected="a file that can be read to its end",
                remedy="Check the URL and the access to it.",
            ) from error
        return target

    def _full(self, path: str) -> str:
        return f"{self.folder.rstrip('/')}/{path}"


def _ordered(paths: Iterable[str]) -> list[str]:
    """By name, part by part; without what tools hide, such as ``.git/`` and ``_SUCCESS``."""
    parts = [PurePosixPath(path).parts for path in paths]
    shown = [p for p in parts if p[-1][0] != "_" and not any(part[0] == "." for part in p)]
    return ["/".join(p) for p in sorted(shown)]


def open_store(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and its path there.

    Raises:
        BadData: no such store is known, or its library is not installed.
    """
    import fsspec
    from fsspec.registry import known_implementations

    protocol = url.partition("://")[0]
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        known = known_implementations.get(protocol, {})
        raise BadData(
            where=url,
            found=f"no library for {protocol}:// here ({error})",
            expected="the fsspec backend of that store",
            remedy=f"{known.get('err', 'Install it')}; then try again.",
        ) from error
    except ValueError as error:
        raise BadData(
            where=url,
            found=f"the unknown protocol '{protocol}'",
            expected="a path, or a URL that fsspec reads",
            remedy=nearest(protocol, fsspec.available_protocols()),
        ) from error
    return system, str(path)
