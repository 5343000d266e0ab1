"""The data page's commands do what it shows, in its order, on the project that ``init`` writes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from torch import nn

import torchyard as ty
from torchyard.cli.main import run
from torchyard.yard import Yard
from torchyard.yard.init import init_project

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
# what differs from run to run or from machine to machine
VARYING = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d UTC by \S+", "TIME"),
    (r"\b[0-9a-f]{12}\b", "DIGEST"),
    (r"\S*\.torchyard/", ".torchyard/"),
    (r" +$", ""),
)
Shown = tuple[list[str], list[str]]


def sessions(*, shipped: bool) -> Iterator[Shown]:
    """Commands that the page shows and the lines below each, before or after a release is made."""
    for block in re.findall(r"^```\n(\$ torchyard .*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL):
        for part in block.split("$ torchyard ")[1:]:
            command, *lines = part.splitlines()
            words = shlex.split(command)
            if (words[0] == "package") is shipped:
                yield words, lines


def same(line: str) -> str:
    for pattern, word in VARYING:
        line = re.sub(pattern, word, line)
    return line


def pattern(lines: list[str]) -> str:
    """What a command must print; ``...`` stands for any lines."""
    return "".join(r"(?:.*\n)*?" if n == "..." else re.escape(same(n)) + r"\n" for n in lines)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project, and a file of October with ten wrong fees, higher ones, and a new plan."""
    made = init_project(tmp_path / "churn")
    monkeypatch.chdir(made)
    row, fee = pl.col("row"), pl.col("monthly_fee")
    october = pl.read_csv("customers.csv").head(1000).with_row_index("row").with_columns(
        monthly_fee=pl.when(row < 10).then(-1.0).otherwise(fee + 10),
        plan=pl.when(row.is_between(20, 22)).then(pl.lit("premium")).otherwise(pl.col("plan")),
    )  # fmt: skip
    october.drop("row").write_csv("october.csv")
    return made


def test_the_commands_print_what_the_page_shows(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = list(sessions(shipped=False))
    assert len(told) >= 10
    for words, lines in told:
        assert run(words) == (1 if words == ["data", "validate", "october.csv"] else 0), words
        printed = "".join(f"{same(line)}\n" for line in capsys.readouterr().out.splitlines())
        assert re.fullmatch(pattern(lines), printed), printed


def test_the_project_can_name_a_version(folder: Path) -> None:
    assert run(["data", "add"]) == run(["data", "tag", "1", "september"]) == 0
    assert run(["data", "delete", "--where", "plan = 'family'", "--reason", "sold"]) == 0
    code = next(block for block in python_blocks() if "def september" in block)
    project = Path("project.py").read_text().replace('data="customers.csv"', "data=september")
    Path("project.py").write_text(project.replace("\nproject = ", f"\n{code}\nproject = "))
    yard = Yard(folder)
    assert yard.add_data() == yard.find_data("september")[1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_one_file_answers_as_the_page_shows(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ship"]) == 0
    capsys.readouterr()
    for words, lines in sessions(shipped=True):
        assert run(words) == 0
        printed = "".join(f"{same(line)}\n" for line in capsys.readouterr().out.splitlines())
        assert re.fullmatch(pattern(lines), printed), printed
    code = next(block for block in python_blocks() if "InferenceSession" in block)
    names: dict[str, np.ndarray] = {}
    exec(compile(code, "data.md", "exec"), names)
    probabilities = names["probabilities"]
    assert probabilities.shape == (2, 2)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert probabilities[0, 1] > probabilities[1, 1]


def test_the_declarations_on_the_page_can_be_declared() -> None:
    calls = [code for code in re.findall(r"`[^`]*?(ty\.\w+\([^`]*\))`", PAGE) if "(..." not in code]
    assert len(calls) > 20
    for code in calls:
        eval(code, {"ty": ty, "YourModule": nn.Identity})


def python_blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
