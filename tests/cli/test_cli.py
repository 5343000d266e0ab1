"""The command line: help with examples, exit status, errors without tracebacks, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from torchyard.cli.main import app, run

COMMANDS = {
    "init", "data", "train", "evaluate", "optimize", "release", "ship", "serve", "deploy",
    "promote", "rollback", "status", "monitor", "releases", "card",
    "explain", "key", "package", "predict", "preflight", "reproduce", "runs", "score", "staleness",
    "tune", "undeploy",
}  # fmt: skip
# adding a flag is a decision: it is added here too
FLAGS = {
    "add": {"--name", "--append", "--infer", "--reason", "--project", "--json"},
    "card": {"--project", "--json"},
    "compare": {"--project", "--json"},
    "delete": {"--where", "--reason", "--name", "--project", "--json"},
    "deploy": {"--canary", "--reason", "--project", "--json"},
    "diff": {"--key", "--project", "--json"},
    "evaluate": {"--project", "--set", "--tuned", "--json"},
    "explain": {"--drop-one", "--row", "--number", "--project", "--set", "--tuned", "--json"},
    "init": {"--json"},
    "list": {"--project", "--json"},
    "log": {"--name", "--project", "--json"},
    "monitor": {"--every", "--time", "--release", "--model", "--project", "--json"},
    "new": {"--scope", "--days", "--project", "--json"},
    "onnx": {"--output", "--force", "--project", "--json"},
    "optimize": {"--project", "--set", "--tuned", "--json"},
    "predict": {"--release", "--keep", "--force", "--project", "--json"},
    "preflight": {"--project", "--set", "--json"},
    "propose": {"--label", "--seed", "--json"},
    "promote": {"--model", "--reason", "--project", "--json"},
    "quarantine": {"--rows", "--project", "--json"},
    "release": {"--project", "--set", "--tuned", "--json"},
    "releases": {"--project", "--json"},
    "reproduce": {"--here", "--project", "--json"},
    "revoke": {"--project", "--json"},
    "rollback": {"--model", "--reason", "--project", "--json"},
    "runs": {"--limit", "--project", "--json"},
    "score": {"--project", "--json"},
    "serve": {"--host", "--port", "--grpc-port", "--workers", "--tune", "--project", "--json"},
    "ship": {"--project", "--set", "--tuned", "--json"},
    "show": {"--project", "--json"},
    "staleness": {"--project", "--set", "--tuned", "--json"},
    "status": {"--project", "--json"},
    "tag": {"--move", "--project", "--json"},
    "train": {"--project", "--set", "--tuned", "--json"},
    "tune": {"--trials", "--minutes", "--project", "--set", "--json"},
    "undeploy": {"--model", "--reason", "--project", "--json"},
    "validate": {"--project", "--json"},
}


def every_command() -> Iterator[tuple[list[str], object]]:
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", {})
        if not inner or command.invoke_without_command:
            yield [name], command
        for word, nested in inner.items():
            yield [name, word], nested


def test_the_commands_are_those_that_scripts_rely_on() -> None:
    assert {words[0] for words, _ in every_command()} == COMMANDS
    assert {words[1] for words, _ in every_command() if words[0] == "data"} == {
        "add", "log", "show", "diff", "validate", "delete", "tag", "quarantine",
        "propose",
    }  # fmt: skip


@pytest.mark.parametrize("words", [words for words, _ in every_command()], ids=" ".join)
def test_every_command_helps_with_an_example(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "--help"]) == 0
    assert f"Example: torchyard {' '.join(words)}" in " ".join(capsys.readouterr().out.split())


def test_the_flags_are_frozen() -> None:
    found = {
        words[-1]: {
            max(parameter.opts, key=len)
            for parameter in command.params  # type: ignore[attr-defined]
            if parameter.param_type_name == "option" and "--help" not in parameter.opts
        }
        for words, command in every_command()
    }
    assert found == FLAGS


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["shp"], 2, "no such command"),
        (["ship", "--fast"], 2, "no such option"),
        (["deploy", "--canary", "much"], 2, "invalid value for '--canary'"),
        (["serve", "--port", "99999"], 2, "invalid value for '--port'"),
        (["train", "--set", "seed"], 2, "expected NAME=VALUE"),
        (["status"], 1, "no project.py here or above"),
        (["data", "diff"], 2, "missing argument"),
        (["init", "Bad Name"], 2, "lower-case letters"),
        (["key", "new"], 2, "missing argument"),
    ],
)
def test_a_mistake_ends_with_its_status_and_no_traceback(
    words: list[str], status: int, said: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    assert run(words) == status
    shown = " ".join(capsys.readouterr().err.split())
    assert said in shown
    assert "Traceback" not in shown


def test_a_refusal_is_json_for_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["status", "--json"]) == 1
    refusal = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(refusal) == {"error", "where", "found", "expected", "remedy"}
    assert refusal["error"] == "bad_project"


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    from torchyard import __version__

    assert run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


def test_a_new_project_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "churn", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"project": str(tmp_path / "churn")}
    monkeypatch.chdir(tmp_path / "churn")
    assert run(["status"]) == 0
    assert "Nothing is deployed yet" in capsys.readouterr().out


def test_a_serving_installation_says_what_training_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "churn"]) == 0
    monkeypatch.chdir(tmp_path / "churn")
    monkeypatch.setitem(sys.modules, "lance", None)
    (tmp_path / "churn" / "model.py").write_text("class ChurnNet: pass")
    assert run(["data", "add"]) == 1
    shown = " ".join(capsys.readouterr().err.split())
    assert "no library 'lance'" in shown
    assert "pip install 'torchyard[train]'" in shown


def test_a_project_without_torch_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "churn"]) == 0
    monkeypatch.chdir(tmp_path / "churn")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run(["ship"]) == 1
    assert "pip install 'torchyard[train]'" in " ".join(capsys.readouterr().err.split())
