"""``torchyard undeploy``: what it prints, what ``status`` says after it, what undoes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.serve.running import MODEL, Place
from torchyard.cli.main import run
from torchyard.core.errors import NotFound, Refused
from torchyard.release import Release
from torchyard.yard import Yard


@pytest.fixture(name="place")
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A project's folder with nothing deployed, and no MLflow to tell."""
    (tmp_path / "project.py").write_text("")
    monkeypatch.setattr("torchyard.yard.operate.mirror_names", lambda workspace, model: True)
    place = Place(tmp_path / ".torchyard")
    place.folder.mkdir()
    return place


@pytest.fixture(name="release")
def _release(place: Place) -> Release:
    release = place.seal()
    place.post("deploy", release)
    return release


def folder(place: Place) -> str:
    return str(place.folder.parent)


def test_a_model_goes_out_of_service_and_comes_back(
    place: Place, release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = "the product is discontinued"
    assert run(["undeploy", "--project", folder(place), "--reason", reason]) == 0
    assert capsys.readouterr().out == f"{MODEL}: out of service (no server runs).\n"
    assert run(["status", "--project", folder(place)]) == 0
    shown = capsys.readouterr().out
    assert f"{MODEL} is out of service. torchyard rollback brings back who served." in shown
    assert "share" not in shown

    assert run(["rollback", "--project", folder(place), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["champion"], found["previous"]) == (release.id, [])


def test_it_is_kept_who_decided_and_why(place: Place, release: Release) -> None:
    decision = Yard(folder(place)).undeploy(reason="why")
    assert decision.event is not None
    assert (decision.event.action, decision.event.release) == ("undeploy", release.id)
    assert decision.event.reason == "why"
    assert decision.event.by
    assert (decision.state.champion, decision.state.routes) == (None, {})
    with pytest.raises(Refused, match="undeploy of model 'demo': found no champion"):
        Yard(folder(place)).undeploy()


def test_what_was_never_deployed_is_not_found(place: Place) -> None:
    with pytest.raises(NotFound, match="found no deployed model"):
        Yard(folder(place)).undeploy()
