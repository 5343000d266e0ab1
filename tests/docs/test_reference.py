"""The pages name everything there is: commands, options, routes, metrics, codes, declarations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

import torchyard as ty
from torchyard.cli.main import app
from torchyard.core.errors import YardError
from torchyard.evaluate.metrics.kinds import KINDS
from torchyard.serve.http.answers import refuse
from torchyard.serve.http.routes import ROUTES
from torchyard.serve.telemetry.exposition import render
from torchyard.serve.telemetry.metrics import Metrics

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def test_every_command_option_and_example_is_on_its_page() -> None:
    text = page("cli.md")
    group = typer.main.get_command(app)
    commands: dict[str, Any] = {}
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        if not inner or command.invoke_without_command:
            commands[name] = command
        commands |= {f"{name} {n}": c for n, c in (inner or {}).items()}
    assert len(commands) > 15
    for name, command in commands.items():
        _, found, rest = text.partition(f"## `torchyard {name}`\n")
        part = rest.partition("\n## ")[0]
        assert found, name
        assert command.help.partition("Example: ")[2].splitlines()[0] in part, name
        for parameter in command.params:
            option = max(parameter.opts, key=len)
            if option not in ("--help", "--json", "--project"):
                word = option.upper() if parameter.param_type_name == "argument" else option
                assert f"`{word}`" in part, (name, word)


def test_every_route_and_metric_of_the_server_is_on_its_page() -> None:
    text = page("http.md")
    assert len(ROUTES) > 10
    for route in ROUTES:
        assert f"{route.method} {route.pattern}`" in text or f"`{route.pattern}`" in text, route
    names = re.findall(r"^# HELP (\S+)", render(Metrics()).decode(), flags=re.MULTILINE)
    assert len(names) > 5
    for name in names:
        assert f"`{name}`" in text, name


def test_every_error_code_is_explained_with_its_statuses() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)$", page("errors.md"), flags=re.MULTILINE))
    families: list[type[YardError]] = [YardError, *YardError.__subclasses__()]
    for family in families:
        cells = [cell.strip() for cell in rows[family.code].split("|")]
        assert cells[1] == str(family.exit_status), family
        if cells[2] != "-":
            answer = refuse(family(where="w", found="f", expected="e", remedy="r"))
            assert cells[2] == str(answer.status), family


@pytest.mark.parametrize("name", ty.__all__)
def test_every_public_name_is_on_the_project_page(name: str) -> None:
    assert f"ty.{name}" in page("project-file.md")


def test_every_metric_a_gate_may_name_is_on_the_project_page() -> None:
    named = [name for kind in KINDS.values() for name in (*kind.metrics, *kind.rates)]
    for metric in (*named, "latency_p99_ms", "size_mb"):
        assert f"`{metric}`" in page("project-file.md"), metric


def test_the_glossary_defines_each_word_once_in_order() -> None:
    words = re.findall(r"^- \*\*(.+?)\*\*:", page("glossary.md"), flags=re.MULTILINE)
    assert len(words) > 30
    assert words == sorted(set(words))


def test_decisions_are_numbered_and_complete() -> None:
    files = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(file.name[:4]) for file in files] == [*range(1, len(files) + 1)]
    assert len(files) >= 6
    for file in files:
        for heading in ("Context", "Options", "Decision", "Consequence"):
            assert re.search(rf"^#+ {heading}", file.read_text(), flags=re.MULTILINE), file.name


def test_the_changelog_has_a_section_for_this_version() -> None:
    assert f"## [{ty.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target
