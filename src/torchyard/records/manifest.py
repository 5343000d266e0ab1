"""The release folder's table of contents, its lineage and its seal."""

from __future__ import annotations

from dataclasses import dataclass

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A file of the release: relative POSIX path, size and digest."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """From what a release was made: digests of its data, features, weights and source."""

    dataset: str
    features: str
    run: str
    weights: str
    source: str
    git_commit: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The release itself: its digest is the release's id, so it holds no time and no place.

    ``ladder`` names the servable variants, the one to serve first, first.
    """

    format: int
    model: str
    torchyard: str
    ladder: tuple[str, ...]
    lineage: Lineage
    files: tuple[FileEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """When and under which key a release was sealed. Lies beside the manifest, not in it."""

    release: str
    sealed_at: str
    key: str
