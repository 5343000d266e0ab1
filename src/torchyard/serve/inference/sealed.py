"""What is sealed in a folder, by model. Nothing is opened, so nothing vouches for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from torchyard.core.errors import YardError

_MOST_KEPT = 4096


def sealed_releases(releases: Path) -> Iterator[tuple[str, Path]]:
    """The model and folder of every release, oldest seal first; what cannot be read is left out.

    The files are read, so this is for a thread.
    """
    from torchyard.release import list_releases  # a worker starts without what opens releases

    for folder in list_releases(releases):
        with suppress(YardError):
            yield _model_of(folder), folder


def releases_of(model: str, releases: Path) -> list[Path]:
    """The folders of one model's releases, oldest seal first."""
    return [folder for name, folder in sealed_releases(releases) if name == model]


@lru_cache(maxsize=_MOST_KEPT)
def _model_of(folder: Path) -> str:
    """The model of a release, which never changes."""
    from torchyard.records.manifest import Manifest
    from torchyard.release.layout import MANIFEST
    from torchyard.release.rules import read_paper

    return read_paper(Manifest, folder / MANIFEST).model
