"""MLflow's mirror of releases and channels, on a database of its own.

Warnings are errors here too: what is quiet is quiet because the room makes it so.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.releases import sample_release
from torchyard.core.errors import NotFound
from torchyard.records.live import ModelState
from torchyard.release import Contents, Release, mirror, register
from torchyard.release.registry import RELEASE_TAG, VERDICT_TAG, _quiet_client

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Tracked:
    """An MLflow database with one run."""

    folder: Path
    uri: str
    run_id: str
    client: MlflowClient


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Tracked:
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    with _quiet_client(uri) as client:
        experiment = client.create_experiment("demo", artifact_location=str(folder / "files"))
        run_id = client.create_run(experiment).info.run_id
    return Tracked(folder=folder, uri=uri, run_id=run_id, client=client)


def another(folder: Path, description: str, *, model: str) -> Release:
    def change(contents: Contents) -> Contents:
        return replace(contents, description=description)

    return sample_release(folder, model=model, change=change)


def registered(tracked: Tracked, release: Release) -> str:
    return register(release, tracking_uri=tracked.uri, run_id=tracked.run_id)


def state(champion: Release, challenger: Release | None = None) -> ModelState:
    return ModelState(
        model=champion.manifest.model,
        champion=champion.id,
        challenger=challenger.id if challenger else None,
        routes={},
        previous=(),
        last_event=1,
    )


def aliases(tracked: Tracked, model: str) -> dict[str, str]:
    found = tracked.client.get_registered_model(model).aliases
    return {alias: str(version) for alias, version in found.items()}


def test_a_release_is_one_version_with_its_folder_and_verdict(
    tracked: Tracked, tmp_path: Path
) -> None:
    first = another(tmp_path, "first", model="once")
    second = another(tmp_path, "second", model="once")
    assert registered(tracked, first) == "1"
    assert registered(tracked, second) == "2"
    assert registered(tracked, first) == "1"
    versions = tracked.client.search_model_versions("name='once'")
    assert len(versions) == 2
    version = tracked.client.get_model_version("once", "1")
    assert version.source == str(first.folder)
    assert version.run_id == tracked.run_id
    assert version.tags == {RELEASE_TAG: first.id, VERDICT_TAG: "pass"}


def test_aliases_follow_the_channels(tracked: Tracked, tmp_path: Path) -> None:
    first = another(tmp_path, "first", model="channels")
    second = another(tmp_path, "second", model="channels")
    for release in (first, second):
        registered(tracked, release)
    mirror(state(first), tracking_uri=tracked.uri)
    assert aliases(tracked, "channels") == {"champion": "1"}
    mirror(state(first, second), tracking_uri=tracked.uri)
    assert aliases(tracked, "channels") == {"champion": "1", "challenger": "2"}
    mirror(state(second), tracking_uri=tracked.uri)
    assert aliases(tracked, "channels") == {"champion": "2"}
    undeployed = replace(state(second), champion=None)
    mirror(undeployed, tracking_uri=tracked.uri)
    assert aliases(tracked, "channels") == {}
    mirror(replace(undeployed, model="never-registered"), tracking_uri=tracked.uri)


def test_a_release_that_was_never_registered_is_refused(tracked: Tracked, tmp_path: Path) -> None:
    known = another(tmp_path, "known", model="unknown")
    registered(tracked, known)
    with pytest.raises(NotFound, match=r"MLflow model 'unknown': found no version of release"):
        mirror(state(known, another(tmp_path, "never", model="unknown")), tracking_uri=tracked.uri)
    assert aliases(tracked, "unknown") == {}


def test_a_model_of_which_nothing_was_registered_is_refused(
    tracked: Tracked, tmp_path: Path
) -> None:
    release = another(tmp_path, "never", model="nobody")
    with pytest.raises(NotFound, match="Register the release, then mirror again"):
        mirror(state(release), tracking_uri=tracked.uri)


def test_nothing_is_printed(
    tracked: Tracked, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    level = logging.getLogger("mlflow").level
    registered(replace(tracked, uri=f"sqlite:///{tmp_path}/new.db"), sample_release(tmp_path))
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("mlflow").level == level
