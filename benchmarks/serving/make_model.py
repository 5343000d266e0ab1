"""Makes one of the benchmark's models: a sealed, deployed release, rows to send, right answers.

Run by ``models.py`` in a process of its own, because it loads PyTorch:

    python make_model.py NAME FOLDER [RUNTIME]

``FOLDER`` becomes a torchyard project. Beside its ``project.py`` come ``model.onnx``, the release's
own file, which every server runs; ``rows.json``; and ``answers.json`` by plain ONNX Runtime. With
another runtime, ``openvino``, the project is deployed for that instead, to be served beside peers:

    python benchmarks/serving/make_model.py m2 FOLDER openvino
    python benchmarks/serving/run.py --models m2 --torchyard-options "--project FOLDER"
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import torchyard as ty
from torchyard.yard.releasing import release

HERE = Path(__file__).resolve().parent
SENTIMENT = HERE.parents[1] / "examples" / "sentiment"
ROWS = 256
VARIANT = "onnx-fp32"


def main(name: str, folder: Path, runtime: str = "onnxruntime") -> None:
    """Lay out the project, seal it, deploy it, and write what the load needs."""
    lay_out(name, folder, runtime)
    if runtime != "onnxruntime":
        ship(folder, f"{runtime}-fp32")
        return
    file = ship(folder, VARIANT)
    shutil.copy(file, folder / "model.onnx")
    columns = sys.modules["project"].rows(ROWS, seed=99)
    (folder / "rows.json").write_text(json.dumps(as_rows(columns)))
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    feed = {item.name: raw_column(columns[item.name]) for item in session.get_inputs()}
    answers = session.run(["probabilities"], feed)[0]
    (folder / "answers.json").write_text(json.dumps(answers.tolist()))


def lay_out(name: str, folder: Path, runtime: str) -> None:
    """The project's files; MiniLM's network and weights come from the example that uses them."""
    projects = HERE / "projects"
    folder.mkdir(parents=True, exist_ok=True)
    source = (projects / f"{name}.py").read_text()
    asked = f'project = ty.Project(\n    runtimes=("{runtime}",),'
    (folder / "project.py").write_text(source.replace("project = ty.Project(", asked))
    shutil.copy(projects / "seeded.py", folder / "seeded.py")
    if name == "m3":
        weights = SENTIMENT / "minilm" / "weights"
        if not weights.exists():
            load_source(SENTIMENT / "fetch.py", "fetch").fetch_minilm(weights)
        shutil.copy(SENTIMENT / "minilm" / "model.py", folder / "minilm.py")
        shutil.copytree(weights, folder / "weights", dirs_exist_ok=True)
    sys.path.insert(0, str(folder))
    load_source(folder / "project.py", "project")


def load_source(path: Path, name: str) -> Any:
    """A module from its file."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ship(folder: Path, variant: str) -> Path:
    """Do all that ``torchyard ship`` does, of one variant: every server computes in float32.

    Returns:
        The variant's file.
    """
    yard = ty.Yard(folder)
    optimized = yard.optimize()
    kept = [one for one in optimized.variants if one.name == variant or not one.servable]
    vars(optimized)["variants"] = tuple(kept)
    made = release(yard.open(), optimized)
    yard.deploy(made.id, reason="for the benchmark")
    return yard.find_release(made.id).variant_path(variant)


def as_rows(columns: dict[str, np.ndarray[Any, Any]]) -> list[dict[str, Any]]:
    """Rows as JSON objects; numbers have the digits that they were drawn with."""
    rows = [{name: column[n].tolist() for name, column in columns.items()} for n in range(ROWS)]
    return [{name: short(value) for name, value in row.items()} for row in rows]


def short(value: Any) -> Any:
    """A number with four digits, wherever it stands."""
    if isinstance(value, list):
        return [short(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


def raw_column(column: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A column as the file takes it: tensors as they are, numbers and texts ``[rows, 1]``."""
    if column.ndim > 1:
        return column
    return column.reshape(-1, 1).astype(object if column.dtype.kind == "U" else np.float64)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
