"""A run is trained again from its record: the same bits, or where they parted; refusals first."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.support.releases import sample_dataset, sample_run
from tests.support.tracked import Killed, recording, workspace_in
from torchyard.core.digest import digest_bytes, digest_file
from torchyard.core.errors import BadRecord, BadUsage, NotFound, NotReady, YardError
from torchyard.core.files import held
from torchyard.core.record import from_json, read_record, to_json
from torchyard.records.reproduction import Changed, Reproduction
from torchyard.records.training import Run
from torchyard.train import Trace, capture_environment
from torchyard.yard import Yard
from torchyard.yard.environments import Lock, find_uv
from torchyard.yard.parting import first_parting
from torchyard.yard.recall import Recalled, recall
from torchyard.yard.results import Featured, TrainedModel
from torchyard.yard.workspace import Workspace

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

PROJECT = """
from pathlib import Path

import torchyard as ty
from net.model import Net

WIDTH = int((Path(__file__).parent / "net" / "width.txt").read_text())

project = ty.Project(
    name="demo", task=ty.binary_classification("late"), data="rows.csv",
    schema=ty.Schema(x=ty.number(), y=ty.number()), split=ty.split_by_hash(),
    features=ty.Features(numbers=ty.standardize("x", "y")),
    model=lambda features: Net(WIDTH),
    training=ty.Training(max_epochs=2, batch_size=64, learning_rate=1e-2, seed=3),
)
"""
MODEL = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.wide = nn.Parameter(torch.randn(300_000))
        self.layers = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, numbers):
        # so long a sum that threads share it
        return self.layers(numbers).squeeze(1) + 1e-3 * self.wide.sum()
"""
ENDING = "self.layers = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 1))"


def rows(count: int) -> str:
    draw = np.random.default_rng(0)
    x, y, noise = draw.normal(size=(3, count))
    lines = [f"{a:.4f},{b:.4f},{a + c > 0}".lower() for a, b, c in zip(x, y, noise, strict=True)]
    return "\n".join(["x,y,late", *lines]) + "\n"


def artifacts(workspace: Workspace, run: str | None = None) -> Path:
    return next(workspace.tracking_files.glob(f"{run or '*'}/artifacts"))


def change_record(workspace: Workspace, change: Callable[[Run], Run]) -> None:
    """Plant something else in what the run recorded of itself."""
    path = artifacts(workspace) / "run.json"
    run = from_json(Run, json.loads(path.read_bytes()), where="run.json")
    path.write_text(json.dumps(to_json(change(run))))


# what is refused, before anything is trained


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A project whose one run was recorded without being trained."""
    workspace = workspace_in(tmp_path)
    run = sample_run(dataset=digest_bytes(b"rows"), features=digest_bytes(b"graph"))
    folder = workspace.tracking_files / run.id / "artifacts"
    (folder / "code" / "net").mkdir(parents=True)
    (folder / "code" / "project.py").write_text("project = 1\n")
    (folder / "code" / "net" / "model.py").write_text("layers = 1\n")
    (folder / "weights.safetensors").write_bytes(b"weights")
    run = dataclasses.replace(run, weights_sha256=digest_bytes(b"weights"))
    (folder / "run.json").write_text(json.dumps(to_json(run)))
    Trace([0.5, 0.4], {0: {"layers.weight": 1}}).write(folder / "trace.safetensors")
    return workspace


def refuses(workspace: Workspace, kind: type[YardError], said: str, run: str | None = "01") -> None:
    with pytest.raises(kind, match=said):
        Yard(workspace.folder).reproduce(run)


def test_a_run_is_read_back_by_the_start_of_its_id(workspace: Workspace) -> None:
    recalled = recall(workspace, "0123")
    assert recalled.id == recalled.run.id
    assert list(recalled.code) == ["net/model.py", "project.py"]
    assert recalled.trace.losses == [0.5, 0.4]
    assert recalled.weights == artifacts(workspace) / "weights.safetensors"
    recalled.weights.unlink()
    assert recall(workspace, "0123").weights is None


def test_rows_that_are_gone_are_missed(workspace: Workspace) -> None:
    refuses(
        workspace,
        NotFound,
        r"run 01234567, dataset 'data': found no version [0-9a-f]{12} among 0; expected the rows "
        r"that the run learnt from. Restore .torchyard/data",
    )


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("trace.safetensors", BadRecord, r"trace.safetensors: found .*; expected the file as the "
         r"run left it. Restore .* from a copy"),
        ("weights.safetensors", BadRecord, "weights.safetensors: found a file with the digest"),
        ("run.json", BadRecord, r"run 01234567, run.json: found Expecting value"),
    ],
)  # fmt: skip
def test_what_is_damaged_is_named(
    workspace: Workspace, name: str, kind: type[YardError], said: str
) -> None:
    (artifacts(workspace) / name).write_bytes(b"damaged")
    with pytest.raises(kind, match=said):
        read_all(recall(workspace, "01"))


def read_all(recalled: Recalled) -> None:
    _ = recalled.trace, recalled.weights


def test_a_run_without_code_names_the_commit(workspace: Workspace) -> None:
    change_record(workspace, lambda run: dataclasses.replace(
        run, environment=dataclasses.replace(run.environment, git_commit="ab" * 20)
    ))  # fmt: skip
    (artifacts(workspace) / "code" / "project.py").unlink()
    with pytest.raises(NotFound, match=r"found no project.py; .* those of git commit abababababab"):
        _ = recall(workspace, "01").code


def test_a_run_that_is_not_one_is_refused(workspace: Workspace) -> None:
    refuses(workspace, NotFound, r"run: found 'f00'; expected the id of a run", run="f00")
    again = workspace.tracking_files / "01ff" / "artifacts"
    again.mkdir(parents=True)
    (again / "run.json").write_text("{}")
    refuses(workspace, BadUsage, r"'01', with which the ids of 2 finished runs start", run="01")


def test_a_run_that_is_not_finished_is_refused(workspace: Workspace) -> None:
    with recording(workspace, ends=Killed()) as active:
        pass
    refuses(
        workspace, NotReady, r"found status interrupted; expected a finished run. Run torchyard "
        r"train to its end first", run=active.id[:10],
    )  # fmt: skip


def test_a_project_without_runs_has_no_latest_one(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text("")
    refuses(Workspace(tmp_path), NotFound, "found none that is finished", run=None)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ("trace", "step 2: loss 0.4 against 0.41"),
        ("weights", "some step, the trace shows not which: tensor 'b' of the weights"),
        ("nothing", None),
    ],
)
def test_where_they_parted_is_shown_by_the_trace_or_else_by_the_weights(
    tmp_path: Path, changed: str, text: str | None
) -> None:
    before, after = tmp_path / "01" / "artifacts", tmp_path / "again"
    for folder, value in ((before, 0.0), (after, 1.0 if changed == "weights" else 0.0)):
        folder.mkdir(parents=True)
        save_file({"a": torch.ones(2), "b": torch.tensor(value)}, folder / "weights.safetensors")
        loss = 0.41 if changed == "trace" and folder == after else 0.4
        Trace([0.5, loss], {0: {"a": 1, "b": 1}}).write(folder / "trace.safetensors")
    run = dataclasses.replace(
        sample_run(dataset="d", features="f"),
        weights_sha256=digest_file(before / "weights.safetensors"),
    )
    (before / "run.json").write_text(json.dumps(to_json(run)))
    again = TrainedModel(after, Featured(tmp_path, sample_dataset()))
    parting = first_parting(Recalled(before), again)
    assert (None if parting is None else parting.text) == text


# trained again


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was trained, with two threads."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "net").mkdir()
    (folder / "project.py").write_text(PROJECT)
    (folder / "net" / "model.py").write_text(MODEL)
    (folder / "net" / "width.txt").write_text("8")
    (folder / "rows.csv").write_text(rows(600))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        Yard(folder).train()
    finally:
        torch.set_num_threads(before)
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Workspace:
    """The project at another place, to plant something in."""
    return Workspace(shutil.copytree(trained, tmp_path / "copy", symlinks=True))


def again(workspace: Workspace) -> Reproduction:
    return Yard(workspace.folder).reproduce()


@pytest.mark.slow
def test_it_is_identical_whatever_became_of_the_project(copy: Workspace) -> None:
    run = recall(copy).run
    (copy.folder / "project.py").write_text("raise AssertionError('of today')\n")
    (copy.folder / "net" / "model.py").unlink()
    (copy.folder / "rows.csv").unlink()
    threads = torch.get_num_threads()
    for _ in range(2):  # trained anew each time
        found = again(copy)
        assert found.identical
        assert found.first_difference is None
        assert (found.inputs, found.environment.packages, found.environment.hardware) == (
            {},
            {},
            {},
        )
        assert found.weights_sha256 == Changed(recorded=run.weights_sha256, now=run.weights_sha256)
        assert found.metrics["validation_loss"].now == run.losses["validation_loss"]
    assert torch.get_num_threads() == threads
    (folder,) = (copy.reproductions / run.id).iterdir()
    assert [path.name for path in (folder / "copy" / ".torchyard").iterdir()] == ["mlflow.db"]
    assert digest_file(folder / "weights.safetensors") == run.weights_sha256
    assert read_record(Run, folder / "run.json").id != run.id
    assert read_record(Reproduction, folder / "reproduction.json") == found
    assert [one.run for one in Yard(copy.folder).runs()] == [run.id]
    assert recall(copy).version(copy).rows == 600


@pytest.mark.slow
def test_another_rate_shows_after_the_first_step(copy: Workspace) -> None:
    change_record(copy, lambda run: dataclasses.replace(
        run, training=dataclasses.replace(run.training, learning_rate=0.011)
    ))  # fmt: skip
    found = again(copy)
    assert not found.identical
    parting = found.first_difference
    assert parting is not None
    assert (parting.step, parting.tensor, parting.seen_after) == (1, "wide", 1)
    assert parting.text == "step 1; tensor 'wide' after step 1"
    loss = found.metrics["validation_loss"]
    assert loss.difference is not None
    assert loss.recorded is not None
    assert loss.now == pytest.approx(loss.recorded + loss.difference.value)
    assert loss.within is not None
    assert found.metrics["validation_auroc"].difference is not None


@pytest.mark.slow
def test_a_layer_that_begins_otherwise_shows_before_the_first_step(copy: Workspace) -> None:
    code = artifacts(copy) / "code" / "net" / "model.py"
    assert ENDING in MODEL
    code.write_text(MODEL.replace(ENDING, f"{ENDING}\n        self.layers[2].bias.data.zero_()"))
    found = again(copy)
    assert found.first_difference is not None
    assert found.first_difference.text == "before the first step: tensor 'layers.2.bias'"
    assert (found.first_difference.step, found.first_difference.seen_after) == (0, 0)
    assert list(found.inputs) == ["code"]


@pytest.mark.slow
def test_a_layer_of_another_size_leaves_no_answers_to_compare(copy: Workspace) -> None:
    (copy.folder / "net" / "width.txt").write_text("9")
    found = again(copy)
    assert found.first_difference is not None
    assert found.first_difference.tensor == "layers.0.weight"
    assert found.metrics["validation_loss"].difference is None
    assert list(found.inputs) == ["code"]


@pytest.mark.slow
def test_another_number_of_threads_shows_in_the_first_loss(copy: Workspace) -> None:
    change_record(copy, lambda run: dataclasses.replace(
        run, environment=dataclasses.replace(run.environment, threads=1, processor="EPYC")
    ))  # fmt: skip
    found = again(copy)
    parting = found.first_difference
    assert parting is not None
    assert parting.losses is not None
    assert (parting.step, parting.seen_after) == (1, 1)
    assert parting.losses[0] == pytest.approx(parting.losses[1], abs=1e-4)
    assert found.environment.hardware["processor"].recorded == "EPYC"
    assert found.metrics["validation_loss"].within


@pytest.mark.slow
def test_what_lies_beside_the_project_s_folder_is_found(
    copy: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    given = recall(copy).weights
    assert given is not None
    shutil.copyfile(given, copy.folder.parent / "given.safetensors")
    code = artifacts(copy) / "code" / "project.py"
    changed = PROJECT.replace('name="demo",', 'name="demo", weights="../given.safetensors",')
    (copy.folder.parent / "beside.py").write_text("NAME = 'demo'\n")
    # code beside the project's folder is found too
    path = (
        "import sys\nsys.path.insert(0, str(Path(__file__).resolve().parents[1]))\nimport beside\n"
    )
    code.write_text(changed.replace("import torchyard", f"{path}import torchyard"))
    assert again(copy).identical


@pytest.mark.slow
def test_one_that_was_stopped_goes_on(copy: Workspace) -> None:
    run = recall(copy).run
    change_record(copy, lambda run: dataclasses.replace(
        run, training=dataclasses.replace(run.training, max_epochs=100, patience=100)
    ))  # fmt: skip
    command = [sys.executable, "-m", "torchyard", "reproduce", "--json", "-C", str(copy.folder)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        for line in process.stderr:
            if "epoch 2:" in line:
                process.terminate()
                break
        process.stderr.read()
        assert json.loads(process.stdout.read().splitlines()[-1])["error"] == "stopped"
    assert process.returncode == 143
    (folder,) = (copy.reproductions / run.id).iterdir()
    assert (folder / "copy" / ".torchyard" / "runs").exists()
    again(copy)
    assert read_record(Run, folder / "run.json").resumes == 1


@pytest.mark.slow
def test_two_at_once_are_refused(copy: Workspace) -> None:
    environment = Lock.of(capture_environment(copy.folder)).digest
    folder = copy.reproductions / recall(copy).id / environment
    folder.mkdir(parents=True)
    with held(folder):
        refuses(copy, NotReady, "found another process that reproduces it", run=None)


@pytest.mark.slow
def test_the_command_says_it_by_its_exit_status(copy: Workspace) -> None:
    assert command(copy)["identical"] is True
    change_record(copy, lambda run: dataclasses.replace(
        run, training=dataclasses.replace(run.training, seed=4)
    ))  # fmt: skip
    found = command(copy, status=1)
    assert found["first_difference"]["step"] == 0


def command(workspace: Workspace, *, status: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "torchyard", "reproduce", "--json", "-C", str(workspace.folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


OTHER = ("idna", "3.9")


@pytest.mark.slow
def test_another_environment_is_built_and_trained_in(copy: Workspace) -> None:
    name, version = OTHER
    offered = subprocess.run(
        [*find_uv(), "pip", "install", "--dry-run", "--target", str(copy.folder / "none"),
         f"{name}=={version}"],
        capture_output=True, check=False,
    )  # fmt: skip
    if offered.returncode:
        pytest.skip(f"no index here offers {name} {version}")
    change_record(copy, lambda run: dataclasses.replace(
        run, environment=dataclasses.replace(
            run.environment, packages={**run.environment.packages, name: version}
        ),
    ))  # fmt: skip
    found = again(copy)
    assert found.identical
    assert found.environment.packages == {}
    built = copy.environments / found.trained_in
    assert f"{name}=={version}\n" in (built / "requirements.txt").read_text()
    here = Yard(copy.folder).reproduce(here=True)
    assert (here.identical, here.trained_in) == (True, "here")
    assert here.environment.packages[name].recorded == version
