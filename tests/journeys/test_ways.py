"""The other three ways in, from their examples to answers: own loop, Lightning, given weights."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.test_life import TORCHYARD, Project
from torchyard.core.record import read_record
from torchyard.records.training import Run

WAYS = Path(__file__).parents[2] / "examples" / "ways"
NAMES = {"own_loop": "fit", "lightning_module": "lightning", "given_weights": "weights"}
# so many epochs that a run is still going on when it is killed
LONG = ["--set", "max_epochs=40", "--set", "patience=40", "--set", "checkpoint_seconds=0"]

pytestmark = pytest.mark.slow


def example(name: str, folder: Path) -> Project:
    """A copy without its state."""
    ignore = shutil.ignore_patterns(".torchyard", "__pycache__", "weights.pt")
    shutil.copytree(WAYS, folder / "ways", ignore=ignore)
    return Project(folder / "ways" / name)


def elsewhere(project: Project) -> None:
    subprocess.run(
        [sys.executable, "-W", "error", "elsewhere.py"], cwd=project.folder, check=True,
        capture_output=True,
    )  # fmt: skip


def run_of(project: Project) -> Run:
    (path,) = project.folder.glob(".torchyard/stages/train/*/run.json")
    return read_record(Run, path)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_ships_and_answers(tmp_path: Path, name: str) -> None:
    project = example(name, tmp_path)
    before = {path.name for path in project.folder.iterdir()}
    if name == "given_weights":
        refused = project.run("train", status=1)
        assert "no file at" in refused.stderr
        elsewhere(project)
        before.add("weights.pt")
    shipped = project.result("ship")
    assert shipped["verdict"] == "pass"
    assert shipped["metrics"]["accuracy"]["low"] > 0.8
    run = run_of(project)
    assert run.way == NAMES[name]
    assert (run.best is None) == (name == "given_weights")
    assert (run.steps > 0) == (name != "given_weights")
    with project.serving() as client:
        model = next(iter(project.result("status")["models"]))
        row = {"pixels": [[0] * 8] * 8}
        answer = client.post(f"/v1/models/{model}/predict", json={"rows": [row]}).json()
        assert answer["release"] == shipped["release"]
        assert len(answer["predictions"][0]["probabilities"]) == 10
    assert project.result("ship")["release"] == shipped["release"]
    assert project.run("card").stdout
    left = {path.name for path in project.folder.iterdir()} - {"__pycache__", ".torchyard"}
    assert left == before - {"__pycache__"}


@pytest.mark.parametrize("name", ["own_loop", "lightning_module"])
def test_killed_and_stopped_it_ends_with_the_same_weights(tmp_path: Path, name: str) -> None:
    whole = example(name, tmp_path / "whole").result("train", *LONG)
    project = example(name, tmp_path / "killed")
    for kind, status in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)):
        assert interrupted(project, kind) == status
    ended = project.result("train", *LONG)
    assert ended["weights_sha256"] == whole["weights_sha256"]
    assert ended["metrics"] == whole["metrics"]
    assert run_of(project).resumes >= 2


def interrupted(project: Project, kind: signal.Signals) -> int:
    """Train until a new checkpoint was written, then send a signal; the exit status."""
    known = {path.name for path in checkpoints(project)}
    process = subprocess.Popen(
        [TORCHYARD, "train", "--json", *LONG], cwd=project.folder, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None:
        if {path.name for path in checkpoints(project)} - known:
            process.send_signal(kind)
            break
        time.sleep(0.01)
    return process.wait(timeout=120)


def checkpoints(project: Project) -> list[Path]:
    return list(project.folder.glob(".torchyard/runs/*/checkpoints/*.safetensors"))


def test_other_weights_are_another_run(tmp_path: Path) -> None:
    project = example("given_weights", tmp_path)
    elsewhere(project)
    first = project.result("train")
    assert first["metrics"] == {}
    assert project.result("train")["run"] == first["run"]
    script = project.folder / "elsewhere.py"
    script.write_text(script.read_text().replace("manual_seed(0)", "manual_seed(1)"))
    elsewhere(project)
    second = project.result("train")
    assert second["weights_sha256"] != first["weights_sha256"]


def test_an_unsafe_file_is_refused_and_recorded_as_failed(tmp_path: Path) -> None:
    project = example("given_weights", tmp_path)
    mark = tmp_path / "ran"
    evil = (
        f"import os, torch\nclass E:\n    def __reduce__(self): return os.mkdir, ({str(mark)!r},)"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{evil}\ntorch.save({{'w': E()}}, 'weights.pt')"],
        cwd=project.folder, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    refused = project.run("train", "--json", status=1)
    said: Any = json.loads(refused.stdout.splitlines()[-1])
    assert said["error"] == "bad_model"
    assert "posix.mkdir: reading it would run its code" in said["found"]
    assert "weights_only=False" in said["remedy"]
    assert not mark.exists()
