"""Pre-flight of a project: before its first step, once, kept with its run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import torchyard as ty
from tests.support.rows import body
from tests.support.transforms import SCHEMA
from tests.yard.test_featuring import Told
from torchyard.cli.main import app, run
from torchyard.core.errors import BadModel, BadUsage, Stopped
from torchyard.features.columns import column_from_values
from torchyard.records.schema import Field, Schema
from torchyard.records.training import Training
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.train import Watch
from torchyard.train.extremes import extremes_of
from torchyard.yard import preflight
from torchyard.yard.datasets import add_data
from torchyard.yard.featuring import fit_features
from torchyard.yard.results import Featured, OpenProject
from torchyard.yard.settings import changed
from torchyard.yard.stages import Stages
from torchyard.yard.training import train_model
from torchyard.yard.underway import Underway
from torchyard.yard.workspace import Workspace, load_project

PROJECT = """
import numpy as np
import polars as pl
import torch
from torch import nn
import torchyard as ty

def rows():
    draw = np.random.default_rng(1)
    x = draw.normal(size=400).round(3)
    return pl.DataFrame({
        "x": x, "kind": draw.choice(["a", "b", "c"], 400), "y": x + draw.normal(size=400) > 0,
        "part": draw.choice(["train", "train", "validation", "test"], 400),
    })

class Net(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.kind = nn.Embedding(features["kind"].cardinality, 3)
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
        self.spare = nn.Identity()
    def forward(self, x, kind):
        return self.layers(torch.cat([x, self.kind(kind)], dim=1))

project = ty.Project(
    name="demo", task=ty.binary_classification("y"), data=rows,
    schema=ty.Schema(
        x=ty.number(ge=-9, le=9), kind=ty.category(), part=ty.category(later=True),
    ),
    split=ty.split_by_column("part"),
    features=ty.Features(x=ty.standardize("x"), kind=ty.lookup("kind")),
    model=Net, training=ty.Training(max_epochs=2, batch_size=50),
)
"""
BOUNDED = ty.Schema(
    near=ty.number(ge=-0.5, le=0.25),
    whole=ty.integer(ge=0.5, le=7.5, optional=True),
    plan=ty.category(["basic", "family"]),
    code=ty.id(pattern="N[0-9]+"),
    short=ty.category(max_length=3),
    long=ty.text(min_length=3, max_length=12),
    codes=ty.tensor((2, 2), dtype="int64", ge=0, le=5),
    shares=ty.tensor((3,), ge=0, le=1),
)
UNUSED = ("nn.Identity()", "nn.Linear(2, 2)")
FORGETS = ("self.kind(kind)]", "0 * self.kind(kind)]")
BRANCHES = (
    "return self.layers(",
    "x = x if self.kind.weight.sum() > 0 else -x\n        return self.layers(",
)
NAMES = [
    "overfits eight rows", "a gradient reaches every parameter", "answers depend on every input",
    "a row's answer is its own", "saving and loading", "extreme but valid rows", "memory",
    "to serving",
]  # fmt: skip


def write(folder: Path, *changes: tuple[str, str]) -> OpenProject:
    text = PROJECT
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    (folder / "project.py").write_text(text)
    workspace = Workspace(folder)
    return OpenProject(load_project(workspace), Stages(workspace.stages, Told()))


def prepare(folder: Path, *changes: tuple[str, str]) -> tuple[OpenProject, Featured, Underway]:
    opened = write(folder, *changes)
    (folder / "run").mkdir()
    return opened, fit_features(opened, add_data(opened)), Underway(folder / "run")


def told(opened: OpenProject) -> list[str]:
    progress = opened.progress
    assert isinstance(progress, Told)
    return progress.notes


@pytest.fixture
def unexported(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Leave the way to serving out, which takes seconds; the modules that would have gone it."""
    gone: list[Any] = []

    def serve(opened: OpenProject, featured: Featured, module: Any) -> float:
        gone.append(module)
        return 0.0

    monkeypatch.setattr(preflight, "serving_gap", serve)
    return gone


def test_a_run_is_checked_once_and_what_was_found_is_kept(
    tmp_path: Path, unexported: list[Any]
) -> None:
    opened, featured, underway = prepare(tmp_path)
    checks = preflight.checked(opened, featured, underway)
    assert [check.name for check in checks] == NAMES
    assert {check.outcome for check in checks} == {"pass"}
    assert told(opened)[-1].startswith("pre-flight: 8 passed, ")
    count = len(told(opened))
    assert preflight.checked(opened, featured, underway) == checks
    assert (len(unexported), len(told(opened))) == (1, count)


def test_a_warning_is_told_and_stops_nothing(tmp_path: Path, unexported: list[Any]) -> None:
    opened, featured, underway = prepare(tmp_path, FORGETS)
    checks = {check.name: check for check in preflight.checked(opened, featured, underway)}
    assert checks["answers depend on every input"].outcome == "warn"
    line = next(note for note in told(opened) if note.startswith("warning: answers depend"))
    assert "the same answers whatever 'kind' holds. Use it in forward" in line


def test_a_check_that_fails_ends_the_run_and_keeps_nothing(
    tmp_path: Path, unexported: list[Any]
) -> None:
    opened, featured, underway = prepare(tmp_path, UNUSED)
    with pytest.raises(BadModel) as refused:
        preflight.checked(opened, featured, underway)
    assert refused.value.where == "pre-flight, 'a gradient reaches every parameter'"
    assert refused.value.found.startswith("none for 'spare.weight', 'spare.bias', ")
    assert "ty.Training(preflight=False)" in refused.value.remedy
    assert not (underway.folder / "checks.json").exists()


def test_it_can_be_left_out_and_is_for_weights_that_are_given(tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(b"")
    off = ("batch_size=50", "batch_size=50, preflight=False")
    opened, featured, underway = prepare(tmp_path, UNUSED, off)
    assert preflight.checked(opened, featured, underway) == ()
    given = write(tmp_path, UNUSED, ("model=Net", 'weights="given", model=Net'))
    assert preflight.checked(given, featured, underway) == ()
    assert told(given) == []


def test_a_run_that_goes_on_from_a_checkpoint_is_not_checked(tmp_path: Path) -> None:
    opened, featured, underway = prepare(tmp_path, UNUSED)
    underway.checkpoints(every=0).save(1, {"step": 1})
    assert preflight.checked(opened, featured, underway) == ()


def test_it_changes_no_result_so_the_stage_is_the_same_without_it(tmp_path: Path) -> None:
    from torchyard.yard.training import _inputs

    opened, featured, _ = prepare(tmp_path)
    off = write(tmp_path, ("batch_size=50", "batch_size=50, preflight=False"))
    assert _inputs(opened, featured) == _inputs(off, featured)


def test_the_setting_is_read_from_the_command_line() -> None:
    assert changed(Training(), {"preflight": "false"}) == Training(preflight=False)
    assert changed(Training(), {"preflight": "True"}) == Training()
    with pytest.raises(BadUsage, match="training setting 'preflight': found 'off'"):
        changed(Training(), {"preflight": "off"})


def test_the_command_shows_a_table_and_ends_with_1_when_a_check_fails(
    tmp_path: Path, unexported: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, UNUSED, FORGETS)
    shown = CliRunner().invoke(app, ["preflight", "-C", str(tmp_path)])
    assert shown.exit_code == 1
    lines = {line.partition("  ")[0]: line for line in shown.stdout.splitlines()}
    assert "FAILED   none for 'spare.weight'" in lines["a gradient reaches every parameter"]
    assert "warning  the same answers" in lines["answers depend on every input"]
    assert "passed   loss " in lines["overfits eight rows"]
    assert "answers depend on every input: Use it in forward" in shown.stdout
    assert run(["preflight", "-C", str(tmp_path), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["passed"] is False
    assert answer["seconds"] > 0
    assert [check["name"] for check in answer["checks"]] == NAMES


def test_the_yard_takes_settings_for_one_call(tmp_path: Path, unexported: list[Any]) -> None:
    write(tmp_path)
    found = ty.Yard(tmp_path).preflight(training={"batch_size": 10})
    (memory,) = (check for check in found.checks if check.name == "memory")
    assert found.passed
    assert "for a part of 10 rows" in memory.found


# exporting and MLflow take seconds, and warn of their own libraries
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_one_batch_goes_the_whole_way_to_serving(tmp_path: Path) -> None:
    opened, featured, _ = prepare(tmp_path)
    found = preflight.fly(opened, featured)
    assert found.checks[-1].name == "to serving"
    assert found.checks[-1].outcome == "pass"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_module_that_cannot_be_exported_is_found_before_the_run(tmp_path: Path) -> None:
    opened, featured, underway = prepare(tmp_path, BRANCHES)
    with pytest.raises(BadModel) as refused:
        preflight.checked(opened, featured, underway)
    assert refused.value.where == "pre-flight, 'to serving'"
    line = (
        PROJECT.replace(*BRANCHES)
        .splitlines()
        .index("        x = x if self.kind.weight.sum() > 0 else -x")
    )
    assert re.match(rf"Net, export to ONNX \(.*project\.py:{line + 1}\): ", refused.value.found)
    assert refused.value.remedy.startswith("Take Python branches on tensor values out of forward.")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_checks_end_up_in_the_record_and_a_failed_one_in_mlflow(
    tmp_path: Path, unexported: list[Any]
) -> None:
    from mlflow import MlflowClient

    opened = write(tmp_path, UNUSED)
    featured = fit_features(opened, add_data(opened))
    with pytest.raises(BadModel, match="pre-flight, 'a gradient reaches every parameter'"):
        train_model(opened, featured)
    client = MlflowClient(tracking_uri=opened.workspace.tracking_url)
    (failed,) = client.search_runs([client.get_experiment_by_name("demo").experiment_id])
    assert failed.info.status == "FAILED"
    assert "a gradient reaches every parameter" in failed.data.tags["error"]
    trained = train_model(write(tmp_path), featured)
    assert [check.name for check in trained.run.checks] == NAMES


def test_what_is_asked_to_stop_does_so_between_two_checks(
    tmp_path: Path, unexported: list[Any]
) -> None:
    class Asked(Watch):
        times = 0

        def should_stop(self) -> str:
            self.times += 1
            return "SIGTERM" if self.times == 3 else ""

    opened = write(tmp_path)
    featured = fit_features(opened, add_data(opened))
    with pytest.raises(Stopped, match=rf"before '{NAMES[2]}': found SIGTERM"):
        preflight.checked(opened, featured, Underway(tmp_path / "run"), Asked())
    assert not (tmp_path / "run" / "checks.json").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_run_that_was_stopped_keeps_its_checks_and_its_weights(
    tmp_path: Path, unexported: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchyard.train import StopSignals

    opened = write(tmp_path, ("batch_size=50", "batch_size=50, checkpoint_seconds=0.0"))
    featured = fit_features(opened, add_data(opened))
    calls = iter(range(100))
    with monkeypatch.context() as patched:
        asked = property(
            lambda self: "SIGTERM" if next(calls) > 3 + len(NAMES) else "", lambda self, to: None
        )
        patched.setattr(StopSignals, "received", asked, raising=False)
        with pytest.raises(Stopped):
            train_model(opened, featured)
    stopped = train_model(opened, featured).run
    assert stopped.resumes == 1
    assert [check.name for check in stopped.checks] == NAMES
    assert len(unexported) == 1
    other = tmp_path / "other"
    other.mkdir()
    whole = write(other, ("batch_size=50", "batch_size=50, preflight=False"))
    unchecked = train_model(whole, fit_features(whole, add_data(whole))).run
    assert unchecked.checks == ()
    assert unchecked.weights_sha256 == stopped.weights_sha256


@pytest.mark.parametrize("field", [*SCHEMA.fields, *BOUNDED.fields], ids=lambda field: field.name)
def test_every_extreme_is_one_that_a_client_could_send(field: Field) -> None:
    schema = Schema(fields=(field,))
    extremes = [one.value for one in extremes_of(field)]
    if not extremes:
        assert field.pattern is not None
        return
    sent = [{field.name: one.tolist() if hasattr(one, "tolist") else one} for one in extremes]
    decoder = RowDecoder(schema, max_rows=len(sent))
    decoded = decoder.columns(decoder.decode(body(sent)).rows)[field.name]
    expected = column_from_values(field, extremes)
    assert decoded.dtype == expected.dtype
    assert np.array_equal(decoded, expected, equal_nan=expected.dtype == np.float64)
