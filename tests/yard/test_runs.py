"""Runs, looked at: every way one can end, one run in full, two side by side."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.tracked import HERE, Killed, finish, recording, workspace_in
from torchyard.core.errors import BadModel, BadUsage, NotFound, NotReady, Stopped
from torchyard.core.files import locked
from torchyard.train.database import open_client
from torchyard.yard import Yard
from torchyard.yard.runs import Change, Pair, Status, list_runs
from torchyard.yard.underway import Underway
from torchyard.yard.workspace import Workspace

pytestmark = pytest.mark.filterwarnings("ignore")
EPOCHS = 300
TORCHYARD = str(Path(sys.executable).parent / "torchyard")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_in(tmp_path)


def only(workspace: Workspace) -> Any:
    (found,) = Yard(workspace.folder).runs()
    return found


def test_a_project_without_runs_has_none_and_makes_no_database(tmp_path: Path) -> None:
    (tmp_path / "project.py").touch()
    assert Yard(tmp_path).runs() == ()
    with pytest.raises(NotFound, match="torchyard runs"):
        Yard(tmp_path).find_run("a")
    assert not (tmp_path / ".torchyard").exists()


def test_runs_are_listed_newest_first_with_what_train_says(workspace: Workspace) -> None:
    ids = []
    for loss in (0.6, 0.5, 0.4):
        with recording(workspace) as active:
            finish(active, 0.9, loss)
        ids.append(active.id)
        time.sleep(0.002)  # they begin in different milliseconds
    found = Yard(workspace.folder).runs()
    assert [one.run for one in found] == ids[::-1]
    assert Yard(workspace.folder).runs(limit=2) == found[:2]
    newest = found[0]
    assert newest.status == "finished"
    assert newest.weights_sha256 == "sha256:w1"
    assert newest.metrics == {"train_loss": pytest.approx(0.3), "validation_loss": 0.4}
    assert (newest.seconds, newest.way, newest.dataset) == (12.5, "loop", "sha256:d1")
    assert newest.started.endswith("+00:00")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("no rows"), "failed"),
        (KeyboardInterrupt(), "stopped"),
        (Stopped(where="epoch 2", found="SIGTERM", expected="its end", remedy="Again."), "stopped"),
        (Killed(), "interrupted"),
    ],
)
def test_a_run_that_ends_badly_is_told_as_such(
    workspace: Workspace, error: BaseException, status: Status
) -> None:
    with recording(workspace, ends=error) as active:
        active.metrics({"train_loss": 0.7, "validation_loss": 0.8}, step=1)
    found = only(workspace)
    assert (found.status, found.weights_sha256) == (status, None)
    assert found.metrics == {"train_loss": 0.7, "validation_loss": 0.8}
    details = Yard(workspace.folder).find_run(active.id[:6])
    if status == "interrupted":
        assert details.error is None
    else:
        assert details.error is not None
        assert details.error["text"] == f"{type(error).__name__}: {error}"
        assert "Traceback" in details.error["traceback"]


def test_a_refusal_that_ended_a_run_is_shown_in_its_four_parts(workspace: Workspace) -> None:
    refusal = BadModel(where="epoch 1", found="nan", expected="a number", remedy="Lower it.")
    with recording(workspace, ends=refusal) as active:
        pass
    error = Yard(workspace.folder).find_run(active.id).error
    assert error is not None
    assert error.items() >= refusal.as_dict().items()


def test_only_a_run_whose_lock_is_held_is_running(workspace: Workspace) -> None:
    with recording(workspace, key="one") as active:
        with Underway(workspace.runs / "one").held():
            assert only(workspace).status == "running"
        assert only(workspace).status == "interrupted"
        with Underway(workspace.runs / "other").held():
            assert only(workspace).status == "interrupted"
        # another run has taken its place
        Underway(workspace.runs / "one").begin("f" * 32)
        with Underway(workspace.runs / "one").held():
            assert only(workspace).status == "interrupted"
        Underway(workspace.runs / "one").begin(active.id)
        finish(active, 0.5)
    assert only(workspace).status == "finished"


def test_a_run_that_ends_while_it_is_looked_at_is_not_interrupted(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recording(workspace, ends=Killed()) as active:
        pass

    def ends(self: Underway) -> bool:
        finish(active, 0.5)
        open_client(workspace.tracking_url).set_terminated(active.id, "FINISHED")
        return False

    monkeypatch.setattr(Underway, "is_running", ends)
    found = only(workspace)
    assert (found.status, found.weights_sha256) == ("finished", "sha256:w1")


def test_asking_whether_a_run_goes_on_keeps_nobody_from_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    underway = Underway(tmp_path / "run")
    asks = ExitStack()
    asks.enter_context(locked(underway.folder / "lock"))
    assert underway.is_running()
    # it has asked as soon as the other one tries again
    monkeypatch.setattr(time, "sleep", lambda seconds: asks.close())
    with underway.held():
        assert underway.is_running()
    assert not underway.is_running()


def test_two_processes_do_not_train_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    underway = Underway(tmp_path / "run")
    underway.begin("abc")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with (
        underway.held(),
        pytest.raises(NotReady, match="another process that trains the same run, abc"),
        underway.held(),
    ):
        pass


def test_a_run_is_found_by_the_start_of_its_id(workspace: Workspace) -> None:
    for _ in range(17):  # so two of them share their first digit
        with recording(workspace) as active:
            pass
    yard = Yard(workspace.folder)
    assert yard.find_run(active.id).run.run == active.id
    ids = [one.run for one in yard.runs()]
    shared = next(digit for digit, count in Counter(one[0] for one in ids).items() if count > 1)
    with pytest.raises(BadUsage, match="Write more of it"):
        yard.find_run(shared)
    for nothing in ("z", ""):
        with pytest.raises(NotFound, match="expected the id of a run"):
            yard.find_run(nothing)


def test_a_run_is_shown_with_all_that_was_recorded(workspace: Workspace) -> None:
    with recording(workspace, parameters={"seed": 7, "batch_size": 64}) as active:
        active.metrics({"system/memory_mib": 100.0, "step_loss": 0.7})
        finish(active, 0.9, 0.6)
        active.metrics({"test_auroc": 0.8})
    found = Yard(workspace.folder).find_run(active.id)
    assert found.parameters == {"batch_size": "64", "seed": "7"}
    assert found.measured == {"seconds": 12.5, "steps": 40.0, "test_auroc": 0.8}
    assert found.curves["validation_loss"] == ((1, 0.9), (2, 0.6))
    assert found.environment == HERE
    assert found.code == {"project.py": "layers = 1\n"}
    assert found.files == ("code/project.py", "environment.json")
    assert found.error is None


def test_the_files_of_a_project_that_was_moved_are_found(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    with recording(workspace_in(tmp_path / "before")) as active:
        finish(active, 0.5)
    (tmp_path / "before").rename(tmp_path / "after")
    assert Yard(tmp_path / "after").find_run(active.id).environment == HERE


def test_two_runs_side_by_side(workspace: Workspace) -> None:
    with recording(workspace, parameters={"seed": 1, "batch_size": 64}) as first:
        finish(first, 0.9, 0.5)
        first.metrics({"test_auroc": 0.75})
    there = dataclasses.replace(
        HERE, accelerator="H100", python="3.12.1", packages={"numpy": "2.1.0", "rich": "14"}
    )
    tags = {"torchyard.dataset": "sha256:d2"}
    with recording(
        workspace, parameters={"seed": 2, "batch_size": 64}, tags=tags, environment=there,
        code="layers = 2\nwidth = 3\n",
    ) as second:  # fmt: skip
        finish(second, 0.8, 0.25)
    found = Yard(workspace.folder).compare_runs(first.id, second.id)
    assert found.parameters == {"seed": Pair("1", "2")}
    assert found.metrics["validation_loss"] == Pair(0.5, 0.25)
    assert found.metrics["test_auroc"] == Pair(0.75, None)
    assert found.dataset == Pair("sha256:d1", "sha256:d2")
    assert found.features is None
    assert found.code == {"project.py": Change(added=2, removed=1)}
    assert found.packages == {
        "numpy": Pair("2.0.0", "2.1.0"), "torch": Pair("2.9.0+cpu", None), "rich": Pair(None, "14"),
    }  # fmt: skip
    assert found.environment == {"python": Pair("3.11.7", "3.12.1")}
    assert found.hardware == {"accelerator": Pair("none", "H100")}


def train(folder: Path, *words: str) -> list[str]:
    how = [f"max_epochs={EPOCHS}", f"patience={EPOCHS}", "checkpoint_seconds=0.2", *words]
    return [TORCHYARD, "train", "-C", str(folder), "--json", *(f"--set={one}" for one in how)]


def epochs(database: Path) -> list[int]:
    if not database.exists():
        return []
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        try:
            rows = connection.execute("select step from metrics where key = 'validation_loss'")
            return sorted(step for (step,) in rows)
        except sqlite3.OperationalError:  # it is being made
            return []


@pytest.mark.slow
def test_a_killed_run_is_interrupted_then_goes_on_and_has_every_epoch_once(tmp_path: Path) -> None:
    subprocess.run([TORCHYARD, "init", "churn"], cwd=tmp_path, check=True, capture_output=True)
    folder = tmp_path / "churn"
    database = folder / ".torchyard" / "mlflow.db"
    yard = Yard(folder)
    import mlflow  # noqa: F401 - it takes longer than the training

    for _ in range(2):
        known = len(epochs(database))
        process = subprocess.Popen(train(folder), stderr=subprocess.DEVNULL)
        while len(epochs(database)) == known:
            assert process.poll() is None
            time.sleep(0.02)
        assert only(yard.workspace).status == "running"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert only(yard.workspace).status == "interrupted"
    done = subprocess.run(train(folder), capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    found = only(yard.workspace)
    assert {name: getattr(found, name) for name in said} == said
    assert epochs(database) == list(range(1, EPOCHS + 1))
    details = yard.find_run(found.run)
    assert {"code/project.py", "code/model.py", "environment.json", "requirements.txt"} <= {
        *details.files
    }
    assert {f"pictures/{name}.png" for name in (
        "curve", "validation_confusion", "validation_reliability",
    )} <= {*details.files}  # fmt: skip


@pytest.mark.parametrize("limit", [0, -1])
def test_no_run_is_no_number_to_ask_for(tmp_path: Path, limit: int) -> None:
    with pytest.raises(BadUsage, match=r"found -?\d; expected 1 or more"):
        list_runs(Workspace(tmp_path), limit=limit)
