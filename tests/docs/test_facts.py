"""Numbers, names and examples on the pages are those of the code; nothing on them is left over."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer

import torchyard as ty
from torchyard.cli.main import app
from torchyard.core.errors import NotReady, YardError
from torchyard.evaluate.metrics.kinds import BINARY, MULTICLASS, MULTILABEL, REGRESSION, Kind
from torchyard.records.training import Training
from torchyard.records.verdicts import Objective
from torchyard.serve.admission.deadlines import (
    LONGEST_DEFAULT_MS,
    SHORTEST_DEFAULT_MS,
    TIMES_OBJECTIVE,
)
from torchyard.serve.calls import LONGEST_DEADLINE_MS
from torchyard.serve.http import answers, heads, reading
from torchyard.serve.http.routes import ROUTES
from torchyard.serve.settings import Settings
from torchyard.serve.telemetry.exposition import render
from torchyard.serve.telemetry.metrics import Metrics
from torchyard.yard import Yard

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
DECLARATIONS = [
    name
    for name in ty.__all__
    if inspect.isfunction(getattr(ty, name)) or name in ("Project", "Training", "Objective")
]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def blocks(text: str, *languages: str) -> Iterator[str]:
    """The fenced blocks of some languages; ``""`` for those that name none."""
    parts = re.split(r"^```(.*)\n", text, flags=re.MULTILINE)
    return (body for mark, body in zip(parts[1::4], parts[2::4], strict=True) if mark in languages)


@cache
def commands() -> dict[str, Any]:
    """Every command of the command line by its words, ``data add``."""
    found: dict[str, Any] = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        if not inner or command.invoke_without_command:
            found[name] = command
        found |= {f"{name} {one}": c for one, c in (inner or {}).items()}
    return found


def typed_commands(text: str) -> Iterator[list[str]]:
    """The words after ``torchyard`` wherever a page shows a command to type."""
    for block in blocks(text, "", "sh"):
        for line in block.splitlines():
            for part in line.removeprefix("$ ").partition(" #")[0].split("&&"):
                if part.strip().startswith("torchyard "):
                    yield shlex.split(part.replace("&", " "))[1:]
    for code in re.findall(r"`torchyard ([a-z][^`]*)`", text):
        yield shlex.split(code)


def test_the_commands_page_has_no_command_or_option_that_is_gone() -> None:
    sections = re.split(r"^## `torchyard (.+)`$", page("cli.md"), flags=re.MULTILINE)
    assert set(sections[1::2]) == set(commands())
    for name, part in zip(sections[1::2], sections[2::2], strict=True):
        known = {option for parameter in commands()[name].params for option in parameter.opts}
        shown = {word.lower() for word in re.findall(r"^\| `(\S+)` \|", part, flags=re.MULTILINE)}
        assert shown <= known, name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_to_type_exist_with_their_options(path: Path) -> None:
    for words in typed_commands(path.read_text()):
        is_group = words[0] in ("data", "key", "package")
        is_inner = is_group or " ".join(words[:2]) in commands()
        name = " ".join(words[: 2 if is_inner else 1])
        assert name in commands() or (is_group and not words[1:]), f"torchyard {name}"
        known = {option for p in commands()[name].params for option in p.opts} if words[1:] else {}
        used = {word for word in words if word.startswith("-")}
        assert used <= {*known, "--help"}, f"torchyard {' '.join(words)}"


def test_there_are_commands_to_type() -> None:
    shown = [words[0] for path in PAGES for words in typed_commands(path.read_text())]
    assert len(shown) > 40
    assert {"ship", "serve", "deploy", "promote", "rollback", "monitor", "status"} <= set(shown)


def test_the_servers_page_has_no_route_or_metric_that_is_gone() -> None:
    text = page("http.md")
    paths = set(re.findall(r"`(?:(?:GET|POST) )?(/(?:[\w{}.]+/?)*)`", text))
    assert paths == {route.pattern for route in ROUTES}
    names = re.findall(r"^# HELP (\S+)", render(Metrics()).decode(), flags=re.MULTILINE)
    assert set(re.findall(r"`(torchyard_\w+)`", text)) == set(names)


def test_the_servers_limits_are_those_of_its_settings() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d,]+ ?\w*)", page("http.md"), flags=re.MULTILINE))
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    units = {"MiB": 1 << 20, "KiB": 1 << 10}
    assert len([name for name in rows if name in defaults]) == 13
    for name, text in rows.items():
        if name in defaults:
            number, _, unit = text.partition(" ")
            assert int(number.replace(",", "")) * units.get(unit, 1) == defaults[name], name
    assert f"1 to {LONGEST_DEADLINE_MS:,}" in page("http.md")
    assert f"{LONGEST_DEFAULT_MS:,} ms for an answer at most" in page("http.md")
    assert (TIMES_OBJECTIVE, SHORTEST_DEFAULT_MS) == (10, 100)  # in words
    retry = answers.refuse(NotReady(where="w", found="f", expected="e", remedy="r"))
    assert retry.headers == ((b"retry-after", b"1"),)


def test_no_error_code_is_left_over_and_the_servers_own_are_told() -> None:
    kinds: list[type[YardError]] = [YardError, *YardError.__subclasses__()]
    families = {kind.code for kind in kinds}
    own = {
        json.loads(answer.body)["error"]: answer.status
        for answer in (
            answers.refuse_http(400, found="f", expected="e", remedy="r"),
            answers.refuse_method("/", ("GET",)),
            answers.fail("incident"),
        )
    }
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", page("errors.md"), re.MULTILINE))
    assert set(rows) == families | set(own)
    assert all(str(status) in rows[code] for code, status in own.items())


def test_every_status_of_unreadable_http_is_told() -> None:
    source = inspect.getsource(reading)
    row = next(line for line in page("errors.md").splitlines() if line.startswith("| `bad_http`"))
    used = set(re.findall(r"self\._close\((\d{3})", source))
    used |= set(re.findall(r"= Fault\(\s*(\d{3})", inspect.getsource(heads)))
    assert len(used) > 4
    assert set(re.findall(r"\d{3}", row.split("|")[-2])) == used


@pytest.mark.parametrize("name", DECLARATIONS)
def test_every_argument_of_a_declaration_is_told(name: str) -> None:
    text = page("project-file.md")
    for argument, parameter in inspect.signature(getattr(ty, name)).parameters.items():
        variadic = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        assert variadic or re.search(rf"\b{argument}\b", text), (name, argument)


@pytest.mark.parametrize("record", [Training, Objective])
def test_defaults_on_the_project_page_are_those_of_the_code(record: type) -> None:
    call = re.search(rf"`(ty\.{record.__name__}\([^)`]+\))`", page("project-file.md"))
    assert call is not None
    expression = ast.parse(call[1], mode="eval").body
    assert isinstance(expression, ast.Call)
    shown = {item.arg: ast.literal_eval(item.value) for item in expression.keywords}
    assert shown == {field.name: field.default for field in dataclasses.fields(record)}


def test_the_metrics_tables_name_all_metrics_with_their_direction() -> None:
    headings: dict[str, Kind[Any]] = {
        "Two classes": BINARY,
        "Many classes": MULTICLASS,
        "Several classes at once": MULTILABEL,
        "A number": REGRESSION,
    }
    better = {True: "higher", False: "lower", None: "-"}
    for heading, kind in headings.items():
        _, found, text = page("project-file.md").partition(f"### {heading}\n")
        assert found, heading
        text = text.partition("\n### ")[0]
        rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (higher|lower|-) \|$", text, re.MULTILINE)
        told = {name: better[item.higher_is_better] for name, item in kind.metrics.items()}
        assert dict(rows) == told
        differences = re.findall(r"^\| `(\w+_(?:difference|ratio))` \|", text, flags=re.MULTILINE)
        assert set(differences) == set(kind.rates)


def test_the_calls_from_python_exist() -> None:
    told = page("project-file.md").partition("has one call per stage:")[2].partition(".")[0]
    names = re.findall(r"`(\w+)`", told)
    assert len(names) > 10
    assert all(callable(getattr(Yard, name)) for name in names)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_are_well_formed(path: Path) -> None:
    text = path.read_text()
    for block in blocks(text, "python"):
        ast.parse(block)
    for block in blocks(text, "json"):
        assert json.loads(block)
    for body in re.findall(r"-d '([^']+)'", text):
        assert json.loads(body)


def test_the_picture_reads_without_its_colours() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "flow.svg").getroot()
    words = " ".join(picture.itertext())
    assert picture.get("role") == "img"
    for room in ("data", "features", "train", "evaluate", "optimize", "release", "serve",
                 "monitor", "rollout"):  # fmt: skip
        assert re.search(rf"\b{room}\b", words), room
