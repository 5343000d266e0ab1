"""Environments are built from a lock once, and answer from within; uv is a stand-in here."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.tracked import HERE
from torchyard.core.errors import NotFound, NotReady, Stopped
from torchyard.records.reproduction import Changed
from torchyard.version import __version__
from torchyard.yard.environments import (
    Lock,
    build_environment,
    check_own_version,
    environment_difference,
    find_uv,
    moved,
    run_inside,
)
from torchyard.yard.stages import Silent

# writes down what it is asked for, makes what a caller looks at, and fails where it is told to
FAKE_UV = """
import json, os, pathlib, sys
asked, log = sys.argv[1:], pathlib.Path(os.environ["FAKE_UV_LOG"])
settings = {k: v for k, v in os.environ.items() if k.startswith("UV_")}
with log.open("a") as file:
    print(json.dumps({"asked": asked, "settings": settings}), file=file)
if asked[0] == os.environ.get("FAKE_UV_FAILS"):
    sys.exit("error: no such thing\\n  hint: look elsewhere")
if asked[0] == "venv":
    place = pathlib.Path(asked[-1]) / "bin"
    place.mkdir(parents=True)
    (place / "python").symlink_to(sys.executable)
"""
LOCK = Lock("3.11.99", {"numpy": "2.0.0", "idna": "3.10"})


class FakeUv:
    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._log = folder / "log"
        self._patch = patch
        script = folder / "uv.py"
        script.write_text(FAKE_UV)
        self.call = (sys.executable, str(script))
        patch.setenv("FAKE_UV_LOG", str(self._log))
        for name in [one for one in os.environ if one.startswith("UV_")]:
            patch.delenv(name)

    def fails_at(self, command: str) -> None:
        self._patch.setenv("FAKE_UV_FAILS", command)

    def mended(self) -> None:
        self._patch.delenv("FAKE_UV_FAILS")

    @property
    def calls(self) -> list[dict[str, Any]]:
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [json.loads(line) for line in lines]


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeUv:
    return FakeUv(tmp_path, monkeypatch)


def test_a_lock_holds_what_an_index_knows() -> None:
    packages = {"torch": "2.9.0+cpu", "torchyard": "0.2.0", "idna": "3.10"}
    lock = Lock.of(dataclasses.replace(HERE, packages=packages))
    assert lock.requirements == "idna==3.10\ntorch==2.9.0\n"
    assert lock == Lock.of(dataclasses.replace(HERE, packages={"torch": "2.9.0", "idna": "3.10"}))
    assert lock.digest != dataclasses.replace(lock, python="3.12.0").digest
    assert lock.digest != dataclasses.replace(lock, packages={"torch": "2.9.1"}).digest


def test_an_environment_is_built_once(tmp_path: Path, uv: FakeUv) -> None:
    folder = tmp_path / "environments"
    python = build_environment(LOCK, folder, uv=uv.call, settings={"UV_FIND_LINKS": "/wheels"})
    assert python == folder / LOCK.digest / "bin" / "python"
    made, filled = uv.calls
    assert made["asked"] == ["venv", "--quiet", "--python", "3.11.99", str(python.parents[1])]
    requirements = Path(filled["asked"][-1])
    assert filled["asked"][:-1] == [
        "pip", "install", "--quiet", "--no-deps", "--python", str(python), "--requirement",
    ]  # fmt: skip
    assert requirements.read_text() == "idna==3.10\nnumpy==2.0.0\n"
    assert filled["settings"] == {"UV_FIND_LINKS": "/wheels"}
    assert build_environment(LOCK, folder, uv=uv.call, settings={}) == python
    assert len(uv.calls) == 2
    other = dataclasses.replace(LOCK, packages={"idna": "3.9"})
    assert build_environment(other, folder, uv=uv.call, settings={}) != python


def test_this_python_is_taken_where_its_version_is_meant(tmp_path: Path, uv: FakeUv) -> None:
    lock = dataclasses.replace(LOCK, python=sys.version.split()[0])
    build_environment(lock, tmp_path / "environments", uv=uv.call, settings={})
    assert uv.calls[0]["asked"][3] == sys.executable


def test_pip_s_places_of_packages_are_handed_to_uv(
    tmp_path: Path, uv: FakeUv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels /more-wheels")
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://own.example/simple")
    build_environment(LOCK, tmp_path / "environments", uv=uv.call)
    settings = uv.calls[1]["settings"]
    assert settings["UV_FIND_LINKS"] == "/wheels,/more-wheels"
    assert settings["UV_DEFAULT_INDEX"] == "https://own.example/simple"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            "venv",
            r"found error: no such thing hint: look elsewhere; expected Python 3.11.99, found or "
            r"fetched by uv. Install it, for example with: uv python install 3.11.99; or train in "
            r"the environment that is here, and be told what differs: --here",
        ),
        ("pip", r"expected the 2 packages of the run's lock. Make them available to uv"),
    ],
)
def test_what_failed_is_said_and_made_again(
    tmp_path: Path, uv: FakeUv, command: str, said: str
) -> None:
    folder = tmp_path / "environments"
    uv.fails_at(command)
    with pytest.raises(NotReady, match=said):
        build_environment(LOCK, folder, uv=uv.call, settings={})
    before = len(uv.calls)
    uv.mended()
    assert build_environment(LOCK, folder, uv=uv.call, settings={}).exists()
    assert len(uv.calls) == before + 2


def test_without_uv_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotReady, match=r"found no uv.*pip install uv; or train in.*--here"):
        find_uv()
    (tmp_path / "uv").write_text("#!/bin/sh\n")
    (tmp_path / "uv").chmod(0o755)
    assert find_uv() == (str(tmp_path / "uv"),)


def test_another_torchyard_cannot_stand_in() -> None:
    packages = {"torchyard": "0.0.1"}
    with pytest.raises(NotReady, match=r"expected version 0.0.1.*pip install torchyard==0.0.1"):
        check_own_version(dataclasses.replace(HERE, packages=packages))
    check_own_version(HERE)
    check_own_version(dataclasses.replace(HERE, packages={"torchyard": __version__}))


def test_what_differs_is_named_and_nothing_else() -> None:
    assert environment_difference(HERE, HERE) == environment_difference(
        HERE, dataclasses.replace(HERE, git_commit=None, memory_gib=1.0)
    )
    now = dataclasses.replace(
        HERE, python="3.12.1", cores=64, packages={"numpy": "2.1.0", "new": "1", "torchyard": "?"}
    )
    found = environment_difference(HERE, now)
    assert found.python == Changed(recorded="3.11.7", now="3.12.1")
    assert found.hardware == {"cores": Changed(recorded="2", now="64")}
    assert found.packages == {
        "new": Changed(recorded=None, now="1"),
        "numpy": Changed(recorded="2.0.0", now="2.1.0"),
        "torch": Changed(recorded="2.9.0+cpu", now=None),
    }


def test_a_refusal_inside_is_the_same_outside(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text("")
    heard = Heard()
    with pytest.raises(NotFound, match=r"run: found 'zzz'; expected the id of a run"):
        run_inside(
            Path(sys.executable), ["reproduce", "zzz", "--json", "--project", str(tmp_path)],
            progress=heard,
        )  # fmt: skip
    assert any("Refused" in line for line in heard.notes)


def test_one_that_ends_without_an_answer_is_told_by_its_last_words(tmp_path: Path) -> None:
    python = script(tmp_path, "echo no answer; echo out of memory >&2; exit 9")
    with pytest.raises(NotReady, match=r"exit status 9: out of memory; expected its answer"):
        run_inside(python, [], progress=Silent())


def test_a_signal_is_handed_on_and_what_comes_of_it_returned(tmp_path: Path) -> None:
    refusal = {"error": "stopped", "where": "epoch 1", "found": "SIGTERM", "expected": "its end"}
    answer = json.dumps({**refusal, "remedy": "Run it again."})
    python = script(
        tmp_path,
        f"trap 'echo \"$ANSWER\"; exit 143' TERM\nexport ANSWER={answer!r}\n"
        f"echo begun >&2; kill -TERM {os.getpid()}; while :; do sleep 0.05; done",
    )
    with pytest.raises(Stopped, match="epoch 1: found SIGTERM"):
        run_inside(python, [], progress=Silent())


class Heard(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def script(folder: Path, lines: str) -> Path:
    path = folder / "python"
    path.write_text(f"#!/bin/bash\n{lines}\n")
    path.chmod(0o755)
    return path


def test_a_run_that_goes_on_elsewhere_says_what_it_finds_there() -> None:
    assert moved(HERE, dataclasses.replace(HERE, threads=HERE.threads + 1)) == ""
    packages = {**HERE.packages, "torch": "0.1"}
    found = moved(HERE, dataclasses.replace(HERE, cores=HERE.cores + 1, packages=packages))
    assert found == (
        "goes on elsewhere than it began, perhaps to other bits: "
        f"cores {HERE.cores + 1} instead of {HERE.cores}, torch 0.1 instead of 2.9.0+cpu"
    )
