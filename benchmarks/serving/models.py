"""The models of the benchmark, made once under the cache folder and used again."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NAMES = ("m1", "m1named", "m2", "m3")
_MADE = "made.json"
_TIMEOUT_S = 900


@dataclass(frozen=True)
class BenchModel:
    """A model that every server runs.

    Attributes:
        name: what servers call it.
        folder: the torchyard project whose release is deployed; other files lie in it too.
        rows: distinct rows to send.
        answers: their probabilities, by ONNX Runtime alone.
    """

    name: str
    folder: Path
    rows: list[dict[str, Any]]
    answers: list[list[float]]

    @property
    def file(self) -> Path:
        """The one ONNX file."""
        return self.folder / "model.onnx"


def make_model(name: str, cache: Path) -> BenchModel:
    """Make a model unless it is there as it is declared now; a minute or two for the large ones.

    Raises:
        SystemExit: it cannot be made; with what was said.
    """
    folder = cache / "models" / name
    sources = (HERE / "projects" / f"{name}.py", HERE / "projects" / "seeded.py")
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    made = folder / _MADE
    if not made.exists() or json.loads(made.read_text())["sources"] != digest:
        print(f"  making {folder} ...", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        done = subprocess.run(
            [sys.executable, str(HERE / "make_model.py"), name, str(folder)],
            check=False, capture_output=True, text=True, timeout=_TIMEOUT_S,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"model {name} cannot be made:\n{done.stderr[-2000:]}")
        made.write_text(json.dumps({"sources": digest}))
    return BenchModel(
        name=name,
        folder=folder,
        rows=json.loads((folder / "rows.json").read_text()),
        answers=json.loads((folder / "answers.json").read_text()),
    )


def tune(model: BenchModel) -> str:
    """Let ``torchyard serve --tune`` choose for this machine; what it said last.

    Raises:
        SystemExit: it failed; with what was said.
    """
    torchyard = Path(sys.executable).parent / "torchyard"
    done = subprocess.run(
        [str(torchyard), "serve", "--tune"], cwd=model.folder,
        check=False, capture_output=True, text=True, timeout=_TIMEOUT_S,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"model {model.name} cannot be tuned:\n{done.stderr[-2000:]}")
    return " ".join(done.stdout.split())[-500:]


def about(model: BenchModel) -> dict[str, object]:
    """What a result says of a model."""
    content = model.file.read_bytes()
    return {
        "onnx_sha256": hashlib.sha256(content).hexdigest(),
        "onnx_bytes": len(content),
        "distinct_rows": len(model.rows),
    }
