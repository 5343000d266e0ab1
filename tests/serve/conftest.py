"""A sealed release and an engine over it, made once."""

from __future__ import annotations

import pytest

from tests.support.releases import sample_release
from torchyard.release import Release
from torchyard.serve.engine import Engine, open_engine


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return sample_release(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="session")
def engine(release: Release) -> Engine:
    return open_engine(release, max_rows=100)
