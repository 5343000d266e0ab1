from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tracked import migrated
from torchyard.core.digest import digest_bytes
from torchyard.core.errors import BadModel
from torchyard.train import ActiveRun, Tracker, capture_environment
from torchyard.train.environment import uncommitted_diff
from torchyard.train.system import SystemSamples
from torchyard.train.track import Batch, Point, thinned

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mlflow")
    (folder / "mlflow.db").write_bytes(migrated())
    return folder


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
    (file,) = (folder / "files" / active.id).rglob("errors/*.json")
    assert "test_track.py" in json.loads(file.read_text())["traceback"]


def test_a_refusal_is_kept_in_its_four_parts(tracker: Tracker, folder: Path) -> None:
    refusal = BadModel(where="epoch 1", found="nan", expected="a number", remedy="Lower it.")
    with pytest.raises(BadModel), tracker.run("demo", parameters={}, tags={}) as active:
        raise refusal
    (file,) = (folder / "files" / active.id).rglob("errors/*.json")
    assert json.loads(file.read_text()).items() >= refusal.as_dict().items()


def test_an_error_is_not_hidden_by_a_tracker_that_fails_too(
    tracker: Tracker, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(ActiveRun, "record", full)
    with (
        pytest.raises(ValueError, match="broken") as caught,
        tracker.run("demo", parameters={}, tags={}) as active,
    ):
        raise ValueError("broken")
    assert any("disk full" in note for note in caught.value.__notes__)
    assert stored(folder, active.id).info.status == "FAILED"


def history(folder: Path, run_id: str, name: str) -> list[tuple[int, float]]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    return [(one.step, one.value) for one in client.get_metric_history(run_id, name)]


def test_a_run_that_goes_on_records_every_step_once(tracker: Tracker, folder: Path) -> None:
    def first_sitting() -> None:
        with tracker.run("demo", parameters={"a": 1}, tags={}) as active:
            active.metrics({"loss": 1.0}, step=1)
            active.metrics({"loss": 0.9}, step=2)
            began.append(active.id)
            raise KeyboardInterrupt

    began: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        first_sitting()
    (first,) = began
    with tracker.run("demo", parameters={"a": 2}, tags={}, begun=first) as second:
        assert second.id == first
        assert stored(folder, first).info.status == "RUNNING"
        assert "error" not in stored(folder, first).data.tags
        second.metrics({"loss": 0.9}, step=2)  # the checkpoint was older than this
        second.metrics({"loss": 0.8}, step=4)
        second.complete([Point("loss", step, 1.1 - step / 10) for step in (1, 2, 3, 4, 5)])
        assert second.next_step("loss") == 6
        assert second.next_step("other") == 0
    found = sorted(history(folder, first, "loss"))
    assert [step for step, _ in found] == [1, 2, 3, 4, 5]
    assert [value for _, value in found] == pytest.approx([1.0, 0.9, 0.8, 0.8, 0.6])
    assert stored(folder, first).data.params == {"a": "1"}


def test_a_run_that_is_gone_begins_anew(tracker: Tracker) -> None:
    with tracker.run("demo", parameters={}, tags={}, begun="0" * 32) as active:
        assert active.id != "0" * 32


def test_points_are_sent_together_every_few_seconds(tracker: Tracker, folder: Path) -> None:
    now = [100.0]
    with tracker.run("demo", parameters={}, tags={}) as active:
        with Batch.to(active, every=5, clock=lambda: now[0]) as batch:
            batch.add([Point("loss", 1, 0.5)])
            batch.send_if_due()
            assert history(folder, active.id, "loss") == []
            was_due = batch.is_due
            now[0] += 5
            assert (was_due, batch.is_due) == (False, True)
            batch.add([Point("loss", 2, 0.4)])
            batch.send_if_due()
            assert sorted(history(folder, active.id, "loss")) == [(1, 0.5), (2, 0.4)]
            batch.add([Point("loss", 3, 0.3)])
            batch.send_if_due()
            assert len(history(folder, active.id, "loss")) == 2
        assert len(history(folder, active.id, "loss")) == 3


def test_a_batch_is_sent_when_the_run_fails_and_hides_no_error(
    tracker: Tracker, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(active: ActiveRun) -> None:
        with Batch.to(active) as batch:
            batch.add([Point("loss", 1, 0.5)])
            raise ValueError("broken")

    with tracker.run("demo", parameters={}, tags={}) as active:
        with pytest.raises(ValueError, match="broken"):
            fails(active)
        assert history(folder, active.id, "loss") == [(1, 0.5)]

        def full(*arguments: object) -> None:
            raise OSError("disk full")

        monkeypatch.setattr(active, "add", full)
        with pytest.raises(ValueError, match="broken") as caught:
            fails(active)
        assert any("disk full" in note for note in caught.value.__notes__)


def test_more_points_than_mlflow_takes_at_once(tracker: Tracker, folder: Path) -> None:
    with tracker.run("demo", parameters={}, tags={}) as active:
        active.complete([Point("loss", step, float(step)) for step in range(2500)])
    assert len(history(folder, active.id, "loss")) == 2500


@given(losses=st.lists(st.floats(0, 10), max_size=400), most=st.integers(1, 50))
def test_thinned_losses_keep_their_mean_and_end_with_the_run(
    losses: list[float], most: int
) -> None:
    points = thinned(losses, most=most)
    assert len(points) <= most
    steps = [0, *(step for step, _ in points)]
    assert steps[-1] == len(losses)
    total = sum(mean * (end - begin) for (end, mean), begin in zip(points, steps, strict=False))
    assert total == pytest.approx(sum(losses))


def test_samples_of_the_system_come_at_the_start_while_it_runs_and_at_the_end() -> None:
    seen: list[Point] = []
    looks = iter(range(1000))
    came = threading.Event()

    def look() -> dict[str, float]:
        value = next(looks)
        if value == 3:
            came.set()
        return {"memory_mib": float(value)}

    with SystemSamples.kept(seen.extend, every=0.001, first=7, look=look) as samples:
        assert [(one.name, one.step) for one in seen] == [("system/memory_mib", 7)]
        assert came.wait(30)
        taken = samples.take()
        seen += taken
    assert len(taken) >= 2
    assert [one.step for one in seen] == [7 + place for place in range(len(seen))]
    assert [one.value for one in seen] == list(map(float, range(len(seen))))
    assert not [one for one in threading.enumerate() if one.name == "system-samples"]


def test_samples_end_with_a_run_that_fails() -> None:
    seen: list[Point] = []
    with (
        pytest.raises(ValueError, match="broken"),
        SystemSamples.kept(seen.extend, every=60),
    ):
        raise ValueError("broken")
    names = {one.name for one in seen}
    assert {"system/memory_mib", "system/cpu_percent", "system/machine_memory_percent"} <= names
    assert not [one for one in threading.enumerate() if one.name == "system-samples"]


def test_sampling_draws_no_random_number() -> None:
    before = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index]
    with SystemSamples.kept(lambda points: None, every=60):
        pass
    after = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index]
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_a_diff_is_what_git_knows_and_has_changed(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", tmp_path, *words], check=True, capture_output=True)

    (tmp_path / "model.py").write_bytes(b"layers = 1\xff\n")
    assert uncommitted_diff(tmp_path) == b""
    git("init")
    git("add", "model.py")
    git("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-m", "first")
    assert capture_environment(tmp_path).git_diff_sha256 is None
    (tmp_path / "model.py").write_bytes(b"layers = 2\xff\n")
    diff = uncommitted_diff(tmp_path)
    assert b"-layers = 1\xff\n+layers = 2\xff\n" in diff
    environment = capture_environment(tmp_path, diff=diff)
    assert environment.git_diff_sha256 == digest_bytes(diff)
    assert environment.git_commit is not None
    assert len(environment.git_commit) == 40


@pytest.mark.slow
@pytest.mark.parametrize(
    "opening",
    [
        "from torchyard.train.database import open_client; open_client(uri)",
        "from torchyard.release.registry import _quiet_client\nwith _quiet_client(uri): pass",
    ],
)
def test_nobody_is_told_that_mlflow_is_used(tmp_path: Path, opening: str) -> None:
    known = ("PYTEST", "CI", "GITHUB", "MLFLOW", "DO_NOT_TRACK")  # what turns it off as well
    environment = {n: v for n, v in os.environ.items() if not n.startswith(known)}
    probe = (
        f"uri = 'sqlite:///{tmp_path / 'mlflow.db'}'\n{opening}\n"
        "import mlflow.telemetry.utils as utils\n"
        "from mlflow.telemetry import get_telemetry_client\n"
        "assert utils.is_telemetry_disabled() and get_telemetry_client() is None"
    )
    subprocess.run([sys.executable, "-c", probe], check=True, env=environment)


def test_the_environment_names_what_matters(tmp_path: Path) -> None:
    environment = capture_environment(tmp_path)
    assert environment.packages["torch"]
    assert environment.cores >= 1
    assert environment.memory_gib > 0
    assert environment.git_commit is None
