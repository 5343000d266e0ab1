"""Who may import whom. The table stands in ARCHITECTURE.md; changing it needs a decision record."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "torchyard"
ROOMS = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
LIGHT = (
    "core", "records", "project", "pages", "readiness", "release", "package", "rollout",
    "serve.worker", "monitor", "yard", "cli.main",
)  # fmt: skip
HEAVY = (
    "torch", "mlflow", "lightning_fabric", "lance", "pyarrow", "sklearn", "onnx", "PIL",
    "tokenizers",
)  # fmt: skip


def allowed_imports() -> dict[str, set[str]]:
    """The table of ARCHITECTURE.md: room to the rooms it may import beside core and records."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    part = text.partition("<!-- import table")[2]
    table = {}
    for line in part.splitlines():
        match = re.fullmatch(r"\| `(\w+)` \|(.*)\|", line)
        if match:
            room, cell = match.groups()
            others = ROOMS - {"cli"} if "every room" in cell else set(re.findall(r"`(\w+)`", cell))
            floor = {"core": set[str](), "records": {"core"}}.get(room, {"core", "records"})
            table[room] = others | floor | {room}
    return table


def imported_names(path: Path) -> Iterator[str]:
    """Every module a file imports, inside functions and type-checking blocks too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_table_names_every_room() -> None:
    assert set(allowed_imports()) == ROOMS
    assert len(ROOMS) >= 14


def test_rooms_import_only_what_the_table_allows() -> None:
    table = allowed_imports()
    breaches = []
    for path in sorted(PACKAGE.glob("*/**/*.py")):
        room = path.relative_to(PACKAGE).parts[0]
        for name in imported_names(path):
            parts = name.split(".")
            if parts[0] == "torchyard" and parts[1] in ROOMS and parts[1] not in table[room]:
                breaches.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert not breaches, "\n".join(breaches)


def test_core_and_records_use_the_standard_library_alone() -> None:
    outside = {
        f"{path.relative_to(PACKAGE)} imports {name}"
        for room in ("core", "records")
        for path in (PACKAGE / room).glob("*.py")
        for name in imported_names(path)
        if name.split(".")[0] not in {*sys.stdlib_module_names, "torchyard"}
    }
    assert not outside


def run(probe: str) -> None:
    """Run a program in an interpreter of its own; it must not fail."""
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", LIGHT)
def test_light_rooms_start_without_training_libraries(module: str) -> None:
    run(
        f"import sys, torchyard.{module}\n"
        f"loaded = {{*{HEAVY}}} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )


def test_serving_does_not_load_the_training_rooms() -> None:
    run(
        "import sys, torchyard.serve.worker\n"
        "rooms = {'train', 'data', 'evaluate', 'optimize', 'monitor', 'yard', 'project'}\n"
        "loaded = {name for name in rooms if f'torchyard.{name}' in sys.modules}\n"
        "assert not loaded, loaded"
    )


def test_importing_torchyard_loads_no_library() -> None:
    run(
        "import sys; before = set(sys.modules); import torchyard\n"
        "outside = {m.split('.')[0] for m in set(sys.modules) - before} - {'torchyard'}\n"
        "outside -= set(sys.stdlib_module_names)\n"
        "assert not outside, outside"
    )
