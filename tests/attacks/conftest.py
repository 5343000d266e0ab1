"""A good release to attack."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.releases import sample_release
from torchyard.release import Release


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return sample_release(tmp_path_factory.mktemp("yard"))


@pytest.fixture
def folder(sealed: Release, tmp_path: Path) -> Path:
    """A copy of a good release, with its keys beside it."""
    yard = sealed.folder.parent.parent
    shutil.copytree(yard / "keys", tmp_path / "keys")
    copied = tmp_path / "releases" / sealed.folder.name
    shutil.copytree(sealed.folder, copied)
    return copied
