"""``serve --tune`` on a project's folder: what it measures, keeps, prints and refuses."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.serve.running import MODEL, Place
from torchyard.cli.main import run
from torchyard.core.errors import BadUsage, NotFound
from torchyard.core.record import write_record
from torchyard.records.live import ServerState
from torchyard.serve.tuning.kept import read_tuning
from torchyard.yard import Yard


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a deployed release, for which there are two hundredths of a second."""
    (tmp_path / "project.py").write_text("")
    place = Place(tmp_path / ".torchyard")
    place.folder.mkdir()
    place.post("deploy", place.seal())
    monkeypatch.setattr("torchyard.yard.serving.SECONDS", 0.02)
    return tmp_path


def test_it_measures_what_is_deployed_and_keeps_it(folder: Path) -> None:
    said: list[str] = []
    tuned = Yard(folder).tune_server(announce=said.append)

    ((release, ways),) = tuned.ways.items()
    assert said == [f"measuring {MODEL}, release {release[7:19]}"]
    assert tuned.best[release] in ways
    assert set(tuned.settings) == {"workers", "lanes", "threads"}
    kept = read_tuning(folder / ".torchyard" / "server")
    assert kept is not None
    assert kept.releases.keys() == {release}


def test_it_prints_a_table_or_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--tune", "--project", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "requests/s" in shown
    assert shown.count("best") == 1
    assert "Servers here take from now on, where torchyard.toml leaves it to them" in shown
    assert run(["serve", "--tune", "--json", "--project", str(folder)]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["settings"]["threads"] >= 1
    (ways,) = found["releases"].values()
    assert sum(way["is_best"] for way in ways) == 1


def test_nothing_deployed_is_refused(folder: Path) -> None:
    for path in (folder / ".torchyard").glob("channels.db*"):
        path.unlink()
    with pytest.raises(NotFound, match="Deploy one with: torchyard deploy"):
        Yard(folder).tune_server()


def test_a_running_server_is_refused(folder: Path) -> None:
    state = ServerState(pid=os.getpid(), host="127.0.0.1", port=1, workers=1)
    write_record(folder / ".torchyard" / "server" / "server.json", state)
    with pytest.raises(BadUsage, match=r"--tune: found a running server.*Stop the server first"):
        Yard(folder).tune_server()
    shutil.rmtree(folder / ".torchyard" / "server")
