from __future__ import annotations

import sys
from pathlib import Path

import pytest

from torchyard.core.errors import BadProject, BadUsage
from torchyard.records.training import Training
from torchyard.yard.init import init_project, made_up_customers
from torchyard.yard.settings import changed
from torchyard.yard.workspace import Workspace, load_project

PROJECT = """
import torchyard as ty
from model import Net
DEPTH = 2
def layers():
    return DEPTH
project = ty.Project(
    name="demo", task=ty.binary_classification("late"), data="rows.csv",
    schema=ty.Schema(x=ty.number()), split=ty.split_by_hash(),
    features=ty.Features(x=ty.standardize("x")),
    model=lambda features: Net(layers()),
    gates=[ty.gate("auroc", at_least=0.5)],
)
"""
MODEL = "class Net:\n    def __init__(self, depth):\n        self.depth = depth\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "project.py").write_text(PROJECT)
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


def test_the_project_is_found_from_below(folder: Path) -> None:
    (folder / "deep" / "er").mkdir(parents=True)
    assert Workspace.find(folder / "deep" / "er").folder == folder
    assert load_project(Workspace(folder)).imported == (folder / "model.py",)
    assert "model" not in sys.modules


def test_what_is_installed_in_the_projects_folder_is_not_the_projects(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = folder / ".venv" / "lib" / "site-packages" / "a_library.py"
    library.parent.mkdir(parents=True)
    library.write_text("def layers():\n    return 1 / 0\n")
    monkeypatch.setattr(sys, "prefix", str(folder / ".venv"))
    monkeypatch.syspath_prepend(str(library.parent))
    (folder / "project.py").write_text(f"import a_library\n{PROJECT}")
    assert load_project(Workspace(folder)).imported == (folder / "model.py",)
    assert sys.modules.pop("a_library")
    (folder / "project.py").write_text("import a_library\na_library.layers()")
    with pytest.raises(BadProject, match=r"project.py line 2: found ZeroDivisionError"):
        load_project(Workspace(folder))
    del sys.modules["a_library"]
    # an interpreter that lies above the folder makes nothing in it its own
    monkeypatch.setattr(sys, "prefix", str(folder.parent))
    assert Workspace(folder).owns(str(folder / "model.py"))


def test_outside_of_a_project_the_error_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(BadProject, match=r"no project.py here or above.*torchyard init NAME"):
        Workspace.find(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import torchyard as ty\nty.gate('auroc')", r"project.py line 2: ty.gate.*0 limits"),
        ("x = 1\ny = x / 0", r"project.py line 2: found ZeroDivisionError"),
        ("def broken(:", r"project.py line 1: found SyntaxError"),
        ("import nowhere_to_be_found", "No module named 'nowhere_to_be_found'"),
        ("raise SystemExit(3)", "found SystemExit: 3"),
        ("x = 1", r"no 'project'; expected project = ty.Project\(\.\.\.\)"),
        ("project = 3", "'project', a int"),
    ],
)
def test_a_project_file_that_fails_names_the_line(folder: Path, text: str, said: str) -> None:
    (folder / "project.py").write_text(text)
    with pytest.raises(BadProject, match=said):
        load_project(Workspace(folder))


def test_settings_are_read_as_their_type() -> None:
    settings = changed(Training(), {"seed": "4", "learning_rate": "0.1", "clip_norm": 2})
    assert (settings.seed, settings.learning_rate, settings.clip_norm) == (4, 0.1, 2.0)
    with pytest.raises(BadUsage, match=r"'sed'.*Did you mean 'seed'"):
        changed(Training(), {"sed": 1})
    with pytest.raises(BadUsage, match=r"'seed': found 'x'.*seed=0"):
        changed(Training(), {"seed": "x"})
    with pytest.raises(BadUsage, match="found batch_size=0; expected at least 1"):
        changed(Training(), {"batch_size": "0"})
    with pytest.raises(BadUsage, match=r"max_epochs: found 2.5; expected int"):
        changed(Training(), {"max_epochs": 2.5})


def test_a_new_project_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = init_project(tmp_path / "churn")
    assert sorted(path.name for path in folder.iterdir()) == [
        ".gitignore",
        "customers.csv",
        "model.py",
        "project.py",
    ]
    assert load_project(Workspace(folder)).project.name == "churn"
    with pytest.raises(BadUsage, match="a folder or file of that name"):
        init_project(tmp_path / "churn")
    with pytest.raises(BadUsage, match="a letter, then lower-case letters"):
        init_project(tmp_path / "Bad Name")
    assert [path.name for path in tmp_path.iterdir()] == ["churn"]


def test_the_made_up_customers_are_the_same_every_time() -> None:
    assert made_up_customers(50) == made_up_customers(50)
    assert made_up_customers(50).count("\n") == 51
