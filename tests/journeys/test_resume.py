"""Training by the command line, killed, stopped and run again: it goes on by itself."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.killing import begin, train_project, train_project_until
from torchyard.core.record import read_record
from torchyard.records.training import Run
from torchyard.train import Trace, first_difference

pytestmark = pytest.mark.slow

TORCHYARD = str(Path(sys.executable).parent / "torchyard")
# many steps, so that whoever looks on is never too late
QUICK = {"batch_size": 64, "max_epochs": 8, "checkpoint_seconds": 0}
SELDOM = {**QUICK, "checkpoint_seconds": 3600.0}


def words(settings: dict[str, Any]) -> list[str]:
    return [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]


def start(
    folder: Path, settings: dict[str, Any], *, threads: int | None = None
) -> subprocess.Popen[str]:
    command = [TORCHYARD, "train", "--json", *words(settings)]
    chosen = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **chosen},
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[int, Any, str]:
    """Its exit status, its last line as JSON, and what it said on the screen."""
    said, screen = process.communicate()
    assert "Traceback" not in screen
    lines = said.splitlines()
    return process.returncode, json.loads(lines[-1]) if lines else None, screen


def saved(folder: Path, process: subprocess.Popen[str], *, more_than: int = -1) -> None:
    """Wait until a run has saved a later step than that."""
    while last_step(folder) <= more_than:
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)


def last_step(folder: Path) -> int:
    names = (folder / ".torchyard" / "runs").glob("*/checkpoints/*.safetensors")
    return max((int(path.name[:12]) for path in names), default=-1)


def run_of(folder: Path) -> tuple[Run, Trace]:
    (stage,) = (folder / ".torchyard" / "stages" / "train").glob("[!.]*")
    return read_record(Run, stage / "run.json"), Trace.read(stage / "trace.safetensors")


@pytest.fixture(scope="module")
def featured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose data and features are there."""
    folder = tmp_path_factory.mktemp("resume")
    subprocess.run([TORCHYARD, "init", "churn"], cwd=folder, check=True, capture_output=True)
    status, _, _ = ended(start(folder / "churn", {**QUICK, "max_epochs": 1}))
    assert status == 0
    shutil.rmtree(folder / "churn" / ".torchyard" / "stages" / "train")
    return folder / "churn"


@pytest.fixture(scope="module")
def whole(featured: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Run, Trace]:
    """What an uninterrupted run says and leaves."""
    folder = tmp_path_factory.mktemp("whole") / "churn"
    shutil.copytree(featured, folder)
    status, said, _ = ended(start(folder, SELDOM))
    assert status == 0
    return said, *run_of(folder)


def test_killed_and_stopped_it_goes_on_and_ends_as_if_it_had_not_been(
    featured: Path, tmp_path: Path, whole: tuple[Any, Run, Trace]
) -> None:
    folder = tmp_path / "churn"
    shutil.copytree(featured, folder)
    draw = random.Random(2)
    reached = -1
    for _ in range(2):
        process = start(folder, QUICK)
        saved(folder, process, more_than=reached + draw.randint(0, 20))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        reached = last_step(folder)

    # while one is at it, a second is refused; then it is asked to stop
    process = start(folder, QUICK)
    saved(folder, process, more_than=reached)
    os.kill(process.pid, signal.SIGSTOP)
    status, refusal, _ = ended(start(folder, QUICK))
    assert (status, refusal["error"]) == (1, "not_ready")
    assert "another process that trains the same run" in refusal["found"]
    os.kill(process.pid, signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    status, refusal, _ = ended(process)
    assert (status, refusal["error"], refusal["found"]) == (143, "stopped", "SIGTERM")
    assert "run the same command again, and it goes on" in refusal["remedy"]

    # it goes on with as many threads as it began with, whatever is asked for now
    status, said, _ = ended(start(folder, SELDOM, threads=1 + (os.cpu_count() or 1)))
    assert status == 0
    expected, run, trace = whole
    assert said["weights_sha256"] == expected["weights_sha256"]
    assert said["metrics"] == expected["metrics"]
    again, again_trace = run_of(folder)
    assert (again.resumes, again.environment.threads) == (3, run.environment.threads)
    assert first_difference(again_trace, trace) is None
    assert [(e.train_loss, e.validation_loss) for e in again.curve] == [
        (e.train_loss, e.validation_loss) for e in run.curve
    ]
    assert not any((folder / ".torchyard" / "runs").iterdir())
    listed = subprocess.run(
        [TORCHYARD, "runs", "--json"], cwd=folder, check=True, capture_output=True, text=True
    )
    assert listed.stdout.count(said["run"]) >= 1
    assert listed.stdout.count('"interrupted"') == 0


@pytest.mark.parametrize("after", [False, True])
def test_killed_while_the_stage_is_published(
    featured: Path, tmp_path: Path, whole: tuple[Any, Run, Trace], after: bool
) -> None:
    folder = tmp_path / "churn"
    shutil.copytree(featured, folder)
    process = begin(
        train_project_until, folder, SELDOM, "torchyard.yard.stages", "publish_folder", 1, after
    )
    process.join()
    assert process.exitcode == -signal.SIGKILL
    published = list((folder / ".torchyard" / "stages" / "train").glob("[!.]*"))
    assert len(published) == after
    process = begin(train_project, folder, SELDOM)
    process.join()
    assert process.exitcode == 0
    run, trace = run_of(folder)
    assert run.weights_sha256 == whole[1].weights_sha256
    assert first_difference(trace, whole[2]) is None
    assert not list((folder / ".torchyard" / "stages" / "train").glob(".*"))
    assert not any((folder / ".torchyard" / "runs").iterdir())


def test_two_devices_are_stopped_by_one_signal_and_go_on(featured: Path, tmp_path: Path) -> None:
    found = []
    for name, is_stopped in (("whole", False), ("stopped", True)):
        folder = tmp_path / name
        shutil.copytree(featured, folder)
        settings = {**SELDOM, "max_epochs": 3, "devices": 2, "preflight": False}
        process = start(folder, {**settings, "checkpoint_seconds": 0} if is_stopped else settings)
        if is_stopped:
            saved(folder, process)
            process.send_signal(signal.SIGTERM)
            status, refusal, _ = ended(process)
            assert (status, refusal["error"]) == (143, "stopped")
            process = start(folder, settings)
        status, said, _ = ended(process)
        assert status == 0
        run, _ = run_of(folder)
        assert run.resumes == is_stopped
        assert any(note.startswith("devices: 2 processes") for note in run.notes)
        found.append(said["weights_sha256"])
    assert found[0] == found[1]
