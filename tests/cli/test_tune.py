"""What a search shows: a table of the best, what matters, and how far to believe it."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.searching import search_project
from torchyard.cli.main import run
from torchyard.records.search import SearchSpace, Study, Trial
from torchyard.yard import Yard

# MLflow's use of SQLAlchemy
pytestmark = pytest.mark.filterwarnings("ignore")


def trial(number: int, value: float | None = None, **changes: Any) -> Trial:
    made = Trial(
        number=number, outcome="complete", value=value, settings={"learning_rate": 0.01 / number},
        model={"hidden": 8 * number}, epochs=3, seconds=1.0, reason="", run="",
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


STUDY = Study(
    key="c10323b8c643", run="r", inputs={}, space=SearchSpace(settings={}), updated="now",
    importance={"learning_rate": 0.875, "model.hidden": 0.125},
    trials=(
        trial(1, 0.5), trial(2, 0.25), trial(3, 0.75, outcome="pruned"),
        trial(4, outcome="failed", reason="no memory"), *(trial(n, 1.0) for n in range(5, 15)),
    ),
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return search_project(tmp_path / "demo").folder


def shown(
    folder: Path, study: Study, *words: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> tuple[str, dict[str, Any]]:  # fmt: skip
    given: dict[str, Any] = {}
    monkeypatch.setattr(Yard, "tune", lambda self, **limits: given.update(limits) or study)
    assert run(["tune", *words, "-C", str(folder)]) == 0
    return capsys.readouterr().out, given


def test_the_best_are_shown_and_how_far_to_believe_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--trials", "9", "--minutes", "2.5", "--set", "seed=4")
    out, given = shown(folder, STUDY, *words, monkeypatch=monkeypatch, capsys=capsys)
    assert given == {"trials": 9, "minutes": 2.5, "training": {"seed": "4"}}
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["trial", "validation", "loss", "epochs", "learning_rate", "model.hidden"]
    assert lines[1] == ["2", "0.2500", "3", "0.005", "16"]
    assert [line[0] for line in lines[1:11]] == [*"21", *map(str, range(5, 13))]
    assert "themselves: learning_rate 0.88, model.hidden 0.12." in out
    assert "14 tried, 1 of them pruned and 1 failed." in out
    assert "The best of 14 is optimistic" in out
    assert "on the test rows, once: torchyard evaluate --tuned" in out


def test_machines_get_one_object(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = shown(folder, STUDY, "--json", monkeypatch=monkeypatch, capsys=capsys)
    assert json.loads(out) == {
        "study": "c10323b8c643", "tried": 14, "pruned": 1, "failed": 1,
        "best": {"trial": 2, "value": 0.25, "settings": {"learning_rate": 0.005},
                 "model": {"hidden": 16}},
        "importance": {"learning_rate": 0.875, "model.hidden": 0.125},
    }  # fmt: skip


def test_a_search_that_found_nothing_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    none = dataclasses.replace(STUDY, trials=(), importance={})
    out, _ = shown(folder, none, monkeypatch=monkeypatch, capsys=capsys)
    assert "No trial was trained to its end. Go on with: torchyard tune" in out
    assert "optimistic" not in out
    out, _ = shown(folder, none, "--json", monkeypatch=monkeypatch, capsys=capsys)
    assert json.loads(out)["best"] is None


def test_without_optuna_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert run(["tune", "-C", str(folder)]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "no library 'optuna'" in told
    assert "pip install 'torchyard[tune]'" in told
