from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from torchyard.train import Tracker, capture_environment

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture
def tracker(folder: Path) -> Tracker:
    return Tracker(f"sqlite:///{folder / 'mlflow.db'}", folder / "files")


def stored(folder: Path, run_id: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}").get_run(run_id)


def test_a_run_is_recorded_while_it_lasts_and_ends_finished(tracker: Tracker, folder: Path) -> None:
    with tracker.run("demo", parameters={"seed": 3}, tags={"who": "test"}) as active:
        assert stored(folder, active.id).info.status == "RUNNING"
        active.metrics({"loss": 0.5}, step=1)
        active.metrics({"loss": 0.25}, step=2)
        active.record("note.json", {"a": 1})
    run = stored(folder, active.id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"seed": "3"}
    assert run.data.metrics == {"loss": 0.25}
    assert run.data.tags["who"] == "test"
    assert list((folder / "files").rglob("note.json"))


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("broken"), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_a_run_that_ends_badly_says_so(
    tracker: Tracker, folder: Path, error: BaseException, status: str
) -> None:
    with (
        pytest.raises(type(error)),
        tracker.run("demo", parameters={}, tags={}) as active,
    ):
        raise error
    run = stored(folder, active.id)
    assert run.info.status == status
    assert run.data.tags["error"] == f"{type(error).__name__}: {error}"


def test_the_environment_names_what_matters(tmp_path: Path) -> None:
    environment = capture_environment(tmp_path)
    assert environment.packages["torch"]
    assert environment.cores >= 1
    assert environment.memory_gib > 0
    assert environment.git_commit is None
