"""What makes a model another model, and what does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from torchyard.yard.sources import model_source
from torchyard.yard.workspace import Workspace, load_project

HEAD = """
import torchyard as ty
import functools
from model import Net
"""
PROJECT = """
project = ty.Project(
    name="demo", task=ty.binary_classification("late"), data="rows.csv",
    schema=ty.Schema(x=ty.number()), split=ty.split_by_hash(),
    features=ty.Features(x=ty.standardize("x")),
    model=MODEL,
    gates=[ty.gate("auroc", at_least=0.5)],
)
"""
FILE = "class Net:\n    def __init__(self, depth):\n        self.depth = depth\n"


def source(folder: Path, code: str, model: str, *, file: str = FILE) -> str:
    (folder / "project.py").write_text(HEAD + code + PROJECT.replace("MODEL", model))
    (folder / "model.py").write_text(file)
    return model_source(load_project(Workspace(folder)))


LAYERS = "DEPTH = 2\ndef layers():\n    return DEPTH\n"
NET = """
WIDTHS = [4, 8]
class Base:
    def size(self): return 3
class Own(Base):
    depth = 2
    def __init__(self, features, hidden=16, *, rate=0.5):
        self.blocks = [Block(width) for width in WIDTHS]
    @staticmethod
    def activation(x): return x + 1
    @property
    def scale(self): return 5
class Block:
    def __init__(self, width): self.width = width * 7
def make(hidden):
    return lambda features: Own(features, hidden=hidden)
first = lambda features: second(features)
second = lambda features: Own(features, 9)
class Builder:
    def __init__(self, hidden): self.hidden = hidden
    def build(self, features): return Own(features, self.hidden)
@functools.cache
def kept(features): return Own(features, 11)
"""


@pytest.mark.parametrize(
    ("code", "model", "old", "new"),
    [
        (LAYERS, "lambda features: Net(layers())", "DEPTH = 2", "DEPTH = 3"),
        (LAYERS, "lambda features: Net(layers())", "return DEPTH", "return DEPTH + 1"),
        (LAYERS, "lambda features: Net(layers())", "Net(layers())", "Net(7)"),
        (NET, "Own", "hidden=16", "hidden=32"),
        (NET, "Own", "rate=0.5", "rate=0.1"),
        (NET, "Own", "depth = 2", "depth = 3"),
        (NET, "Own", "return 3", "return 4"),
        (NET, "Own", "[4, 8]", "[4, 9]"),
        (NET, "Own", "width * 7", "width * 8"),
        (NET, "Own", "x + 1", "x + 2"),
        (NET, "Own", "return 5", "return 6"),
        (NET, "functools.partial(Own, hidden=64)", "hidden=64", "hidden=65"),
        (NET, "functools.partial(Own, hidden=64)", "width * 7", "width * 8"),
        (NET, "make(64)", "make(64)", "make(65)"),
        (NET, "make(64)", "hidden=16", "hidden=17"),
        (NET, "first", "features, 9", "features, 10"),
        (NET, "Builder(5).build", "Builder(5)", "Builder(6)"),
        (NET, "Builder(5).build", "width * 7", "width * 8"),
        (NET, "kept", "features, 11", "features, 12"),
    ],
)
def test_what_a_model_is_made_by_changes_its_source(
    tmp_path: Path, code: str, model: str, old: str, new: str
) -> None:
    before = source(tmp_path, code, model)
    assert source(tmp_path, code, model) == before
    assert (old in code) != (old in model), "the change is not where it is thought to be"
    assert source(tmp_path, code.replace(old, new), model.replace(old, new)) != before


def test_an_imported_file_changes_it_and_a_gate_or_another_file_does_not(tmp_path: Path) -> None:
    model = "lambda features: Net(layers())"
    before = source(tmp_path, LAYERS, model)
    (tmp_path / "notes.py").write_text("unrelated = True")
    (tmp_path / "project.py").write_text(
        (tmp_path / "project.py").read_text().replace("at_least=0.5", "at_least=0.6")
    )
    assert model_source(load_project(Workspace(tmp_path))) == before
    assert source(tmp_path, LAYERS, model, file=FILE.replace("= depth", "= depth + 1")) != before


def test_it_is_the_same_in_every_process(tmp_path: Path) -> None:
    """Sets of texts have another order in each, and some objects an address in their repr."""
    code = (
        "KNOWN, thing = {'a', 'b', 'c', 'd'}, object()\n"
        "def make(features):\n"
        "    return Net(len(KNOWN) if thing in {'r', 's', 't'} else 2)\n"
    )
    here = source(tmp_path, code, "make")
    script = (
        "import sys; from pathlib import Path\n"
        "from torchyard.yard.workspace import Workspace, load_project\n"
        "from torchyard.yard.sources import model_source\n"
        "print(model_source(load_project(Workspace(Path(sys.argv[1])))))\n"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed},
        )  # fmt: skip
        assert done.stdout.strip() == here
