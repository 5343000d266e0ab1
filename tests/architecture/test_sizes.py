"""Files and functions stay small enough to read; doors say what a room is for."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "torchyard"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE = 400
LONGEST_FUNCTION = 60
BANNED = {"utils", "helpers", "common", "misc"}


def test_there_are_files() -> None:
    assert len(FILES) > 40


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_file_is_readable(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= LONGEST_FILE
    assert path.stem not in BANNED
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno <= LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*/__init__.py")), ids=lambda p: p.parent.name)
def test_door_says_what_the_room_is_for(path: Path) -> None:
    door = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert [word for word in ("Takes:", "Makes:", "Never:") if f"\n{word}" in door] == [
        "Takes:",
        "Makes:",
        "Never:",
    ]
