"""The commands on runs, for people and for machines."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.tracked import Killed, finish, recording, workspace_in
from torchyard.cli.main import run
from torchyard.core.errors import BadModel

pytestmark = pytest.mark.filterwarnings("ignore")
OF_TRAIN = {"run", "status", "weights_sha256", "metrics"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A project with a finished run, a better one, a failed and an interrupted one; their ids."""
    folder = tmp_path_factory.mktemp("project")
    workspace = workspace_in(folder)
    refusal = BadModel(where="epoch 1", found="nan", expected="a number", remedy="Lower it.")
    ids = []
    for seed, ends in ((1, None), (2, None), (3, refusal), (4, Killed())):
        with recording(
            workspace, parameters={"seed": seed}, ends=ends, code=f"layers = {min(seed, 2)}\n"
        ) as active:
            if ends is None:
                finish(active, 0.75, 1.0 / (seed + 1))
        ids.append(active.id)
        time.sleep(0.002)  # they begin in different milliseconds
    return folder, ids


def said(capsys: pytest.CaptureFixture[str], folder: Path, *words: str, status: int = 0) -> str:
    assert run(["runs", *words, "-C", str(folder)]) == status
    return capsys.readouterr().out


def asked(capsys: pytest.CaptureFixture[str], folder: Path, *words: str, status: int = 0) -> Any:
    return json.loads(said(capsys, folder, *words, "--json", status=status).splitlines()[-1])


def test_runs_are_listed_in_the_form_of_train(
    project: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, ids = project
    found = asked(capsys, folder)["runs"]
    assert [one["run"] for one in found] == ids[::-1]
    assert [one["status"] for one in found] == ["interrupted", "failed", "finished", "finished"]
    for one in found:
        assert one.keys() == OF_TRAIN | {"started", "seconds", "way", "dataset"}
    assert found[3]["metrics"] == {"train_loss": 0.4, "validation_loss": 0.5}
    assert found[3]["weights_sha256"] == "sha256:w1"
    assert asked(capsys, folder, "--limit", "1")["runs"] == found[:1]
    lines = said(capsys, folder).splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        [one["run"][:12], one["status"]] for one in found
    ]


def test_without_runs_it_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "project.py").touch()
    assert "torchyard train" in said(capsys, tmp_path)
    assert asked(capsys, tmp_path) == {"runs": []}


def test_a_run_is_shown(
    project: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, ids = project
    text = said(capsys, folder, "show", ids[0])
    for words in (
        f"Run {ids[0]}: finished", "seed=1", "Python 3.11.7", "EPYC, 2 cores", "code/project.py",
        "█▁  0.7500 to 0.5000", "steps",
    ):  # fmt: skip
        assert words in text
    found = asked(capsys, folder, "show", ids[0])
    assert found.keys() > OF_TRAIN
    assert found["curves"]["validation_loss"] == [[1, 0.75], [2, 0.5]]
    assert (found["code"], found["parameters"]) == (["project.py"], {"seed": "1"})


def test_a_run_that_ended_badly_says_why(
    project: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, ids = project
    assert "BadModel: epoch 1: found nan" in said(capsys, folder, "show", ids[2])
    error = asked(capsys, folder, "show", ids[2])["error"]
    assert (error["where"], error["remedy"]) == ("epoch 1", "Lower it.")
    assert "run the same command again" in said(capsys, folder, "show", ids[3])
    nothing = asked(capsys, folder, "show", "zz", status=1)
    assert nothing["error"] == "not_found"


def test_two_runs_are_compared(
    project: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, ids = project
    text = said(capsys, folder, "compare", ids[0], ids[1])
    numbers = next(line for line in text.splitlines() if line.startswith("validation_loss"))
    assert numbers.split() == ["validation_loss", "0.5", "0.333333", "-0.166667"]
    for words in (
        "The same data version.", "code: project.py: +1 -1 lines", "The same environment.",
        "validation_loss  A █▄  0.7500 to 0.5000", "validation_loss  B █▁  0.7500 to 0.3333",
    ):  # fmt: skip
        assert words in text
    found = asked(capsys, folder, "compare", ids[0], ids[1])
    assert (found["a"]["run"], found["b"]["run"]) == (ids[0], ids[1])
    assert found["parameters"] == {"seed": {"a": "1", "b": "2"}}
    loss = found["metrics"]["validation_loss"]
    assert loss == {"a": 0.5, "b": 1 / 3, "difference": pytest.approx(-1 / 6)}
    assert (found["dataset"], found["features"], found["packages"]) == (None, None, {})
    assert found["code"] == {"project.py": {"added": 1, "removed": 1}}


def test_a_run_is_the_same_as_itself(
    project: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, ids = project
    assert "They are the same run." in said(capsys, folder, "compare", ids[0], ids[0])


def test_options_before_an_inner_command_are_refused(
    project: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["runs", "--json", "show", project[1][0]]) == 2
    assert "options after it" in capsys.readouterr().out
