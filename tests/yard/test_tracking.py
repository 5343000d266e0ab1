"""What the train stage records of a run, and how one that ends badly is told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from torchyard.core.digest import digest_file
from torchyard.core.errors import BadModel, YardError
from torchyard.core.record import to_json
from torchyard.train.history import History
from torchyard.yard import Yard
from torchyard.yard.runs import RunDetails
from torchyard.yard.workspace import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
TORCHYARD = str(Path(sys.executable).parent / "torchyard")


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    subprocess.run(["git", "-C", folder, *who, *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in a git repository, changed since its commit."""
    folder = Yard.init(tmp_path_factory.mktemp("tracking") / "churn").workspace.folder
    git(folder, "init")
    git(folder, "add", "project.py", "model.py")
    git(folder, "commit", "-m", "first")
    model = folder / "model.py"
    model.write_text(model.read_text() + "# changed\n")
    return folder


def files_of(workspace: Workspace, details: RunDetails) -> Path:
    return workspace.tracking_files / details.run.run / "artifacts"


def test_a_run_holds_where_it_comes_from_and_what_it_made(project: Path) -> None:
    yard = Yard(project)
    trained = yard.train(training={"max_epochs": "3", "patience": "3"})
    details, run = yard.find_run(trained.run.id), trained.run
    folder = files_of(yard.workspace, details)
    assert details.files == (
        "checks.json", "code/model.py", "code/project.py", "environment.json",
        "pictures/curve.png", "pictures/validation_confusion.png",
        "pictures/validation_reliability.png", "predictions.json", "requirements.txt", "run.json",
        "trace.safetensors", "uncommitted.diff", "weights.safetensors",
    )  # fmt: skip
    assert details.run.metrics == run.losses
    assert (details.run.weights_sha256, details.run.way) == (run.weights_sha256, "loop")
    assert details.run.seconds == pytest.approx(run.seconds, abs=1e-3)
    assert (details.run.dataset, details.features) == (run.dataset, run.features)
    assert details.environment == run.environment
    assert digest_file(folder / "weights.safetensors") == run.weights_sha256
    assert digest_file(folder / "uncommitted.diff") == run.environment.git_diff_sha256
    assert "+# changed" in (folder / "uncommitted.diff").read_text()
    assert json.loads((folder / "run.json").read_text()) == to_json(run)
    assert "\ntorch==" in (folder / "requirements.txt").read_text()
    assert "+cpu" not in (folder / "requirements.txt").read_text()
    assert (folder / "code" / "model.py").read_bytes() == (project / "model.py").read_bytes()
    assert details.parameters["max_epochs"] == "3"
    for name in ("train_loss", "validation_loss"):
        points = [(epoch.number, getattr(epoch, name)) for epoch in run.curve]
        assert list(details.curves[name]) == points


def test_its_machine_and_its_steps_are_among_its_metrics(project: Path) -> None:
    yard = Yard(project)
    run = yard.train(training={"max_epochs": "3", "patience": "3"}).run
    history = History(yard.workspace.tracking_url, yard.workspace.tracking_files)
    assert len(history.curve(run.id, "system/memory_mib")) >= 2
    assert len(history.curve(run.id, "system/cpu_percent")) >= 1
    assert [step for step, _ in history.curve(run.id, "step_loss")] == [*range(1, run.steps + 1)]


def test_the_evaluation_adds_to_the_run(project: Path) -> None:
    yard = Yard(project)
    evaluated = yard.evaluate(training={"max_epochs": "2", "seed": "2"})
    details = yard.find_run(evaluated.trained.run.id)
    assert details.measured["test_auroc"] == evaluated.report.metrics["auroc"].value
    assert {"report.json", "pictures/test_reliability.png", "pictures/test_confusion.png"} <= {
        *details.files
    }
    assert details.run.status == "finished"


def test_a_module_that_does_not_fit_is_a_failed_run(project: Path, tmp_path: Path) -> None:
    broken = Yard.init(tmp_path / "broken")
    model = broken.workspace.folder / "model.py"
    model.write_text(model.read_text().replace("def forward(self, ", "def forward(self, absent, "))
    with pytest.raises(BadModel) as caught:
        broken.train()
    (found,) = broken.runs()
    details = broken.find_run(found.run)
    assert found.status == "failed"
    assert details.error is not None
    assert details.error.items() >= caught.value.as_dict().items()
    assert {"code/model.py", "environment.json"} <= {*details.files}
    with pytest.raises(YardError):  # the same command goes on with the same run
        broken.train()
    assert len(broken.runs()) == 1


def test_a_run_that_is_stopped_says_so_and_goes_on_as_the_same(tmp_path: Path) -> None:
    yard = Yard.init(tmp_path / "churn")
    words = [
        TORCHYARD, "train", "-C", str(yard.workspace.folder), "--json", "--set", "max_epochs=40",
        "--set", "patience=40",
    ]  # fmt: skip
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "epoch 2" in line:
                break
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
    assert process.returncode == 143
    (stopped,) = yard.runs()
    assert stopped.status == "stopped"
    error: Any = yard.find_run(stopped.run).error
    assert (error["error"], error["found"]) == ("stopped", "SIGTERM")
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["run"] == stopped.run
    (finished,) = yard.runs()
    details = yard.find_run(finished.run)
    assert (finished.status, details.error) == ("finished", None)
    assert [epoch for epoch, _ in details.curves["train_loss"]] == list(range(1, 41))
