"""The README's code runs, and its commands exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from torchyard.cli.main import app
from torchyard.yard import Yard
from torchyard.yard.init import init_project

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MODEL = """
import torch
from torch import nn


class ChurnNet(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.plan = nn.Embedding(features["plan"].cardinality, 4)
        self.last = nn.Linear(features["numbers"].width + 4, 1)

    def forward(self, numbers, plan):
        return self.last(torch.cat([numbers, self.plan(plan)], dim=1))
"""


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, in order; an empty one for those without."""
    parts = re.split(r"^```(.*)\n", README, flags=re.MULTILINE)
    return [body for mark, body in zip(parts[1::4], parts[2::4], strict=True) if mark == language]


@pytest.fixture
def project(tmp_path: Path) -> Yard:
    """The README's project file, beside the table that ``init`` writes."""
    folder = init_project(tmp_path / "churn")
    (folder / "project.py").write_text(blocks("python")[0])
    (folder / "model.py").write_text(MODEL)
    return Yard(folder)


def test_the_project_file_is_about_twenty_lines_and_loads(project: Yard) -> None:
    assert 15 <= blocks("python")[0].count("\n") <= 26
    assert project.open().project.name == "churn"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_project_file_ships(project: Yard) -> None:
    released = project.ship()
    assert released.number == 1
    assert project.status().models["churn"].champion == released.id


def test_the_python_call_form_names_calls_that_exist() -> None:
    for name in re.findall(r"yard\.(\w+)\(", blocks("python")[1]):
        assert callable(getattr(Yard, name))


def test_every_command_in_the_readme_exists_with_its_options() -> None:
    group = typer.main.get_command(app)
    lines = [
        shlex.split(command.partition("#")[0].replace("&", " "))
        for block in blocks("")
        for line in block.splitlines()
        for command in line.split("&&")
        if command.strip().startswith("torchyard ")
    ]
    assert len(lines) >= 9
    for _, name, *rest in lines:
        command = group.commands[name]  # type: ignore[attr-defined]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known, name


def test_the_makefile_has_the_two_commands() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test"):
        assert f"make {target}" in README
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
