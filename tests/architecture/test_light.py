"""What people wait for first loads no heavy library: the package, the server's door, every help."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "torch", "torchvision", "lightning", "lightning_fabric", "pytorch_lightning", "mlflow",
    "polars", "lance", "onnx", "onnxruntime", "onnxscript", "pandas", "pyarrow", "sklearn", "scipy",
    "datasets", "PIL", "tokenizers",
}  # fmt: skip
# each of them as the console command gets it; what it prints is not looked at here
HELPS = """
import typer
from torchyard.cli.main import app, run

def helps(command, words):
    yield words
    for name, inner in getattr(command, "commands", {}).items():
        yield from helps(inner, [*words, name])

asked = list(helps(typer.main.get_command(app), []))
assert len(asked) > 15, asked
for words in asked:
    assert run([*words, "--help"]) == 0, words
"""
STARTS = {
    "the package": "import torchyard",
    "every public name": "import torchyard\n[getattr(torchyard, n) for n in torchyard.__all__]",
    "serving": "import torchyard.serve",
    "a worker": "import torchyard.serve.worker",
    "the command": "import torchyard.cli.main",
    "the version": "from torchyard.cli.main import run\nassert run(['--version']) == 0",
    "every help": HELPS,
}


def loaded(start: str) -> set[str]:
    """The packages that are there after some lines in a process of their own."""
    probe = (
        f"import json, sys\n{start}\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("start", STARTS)
def test_it_starts_without_heavy_libraries(start: str) -> None:
    assert HEAVY & loaded(STARTS[start]) == set()


def test_a_heavy_library_would_be_seen() -> None:
    assert HEAVY & loaded("import torchyard.data.propose") >= {"polars"}
