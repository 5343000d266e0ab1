"""Every runtime that is known: the answers of ONNX Runtime, in any batch, from many threads.

A runtime of ``records.evidence.VARIANT_FILES`` that no plan builds fails the first test, so a new
one cannot go without.
"""

from __future__ import annotations

import builtins
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import torchyard as ty
from tests.optimize.flights import Net, build_of, columns
from torchyard.core.errors import BadRecord, BadUsage, NotReady
from torchyard.optimize import Candidate
from torchyard.optimize.plans import PLANS
from torchyard.records.evidence import VARIANT_FILES, Runtime
from torchyard.runtimes import open_model, openvino
from torchyard.runtimes.devices import device_tolerance, lacking
from torchyard.runtimes.parts import read_parts, write_parts
from torchyard.yard.proof import GOLDEN_TOLERANCE

TASK = ty.multiclass_classification("late", classes=("no", "a little", "very"))
# how far a probability may be off, by what it was computed in
TOLERANCE = {"fp32": 2e-6, "bf16": 0.01, "int8": 0.03}
QUICK: tuple[Runtime, ...] = ("onnxruntime", "openvino", "torch")
BODIES = [runtime for runtime in QUICK if runtime != "onnxruntime"]


class Three(Net):
    outputs = 3


def every_runtime() -> list[Any]:
    """The quick ones always; compiling takes a minute and a C++ compiler."""
    slow = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
    return [
        runtime if runtime in QUICK else pytest.param(runtime, marks=[pytest.mark.slow, slow])
        for runtime in VARIANT_FILES
    ]


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runtimes")


@pytest.fixture(scope="module", name="built")
def _built(folder: Path) -> dict[str, Candidate]:
    made = build_of(Three, folder, task=TASK, runtimes=QUICK)
    return {candidate.name: candidate for candidate in made.candidates}


@pytest.fixture(scope="module", name="expected")
def _expected(built: dict[str, Candidate]) -> Any:
    assert built["torch-fp32"].model is not None
    return built["torch-fp32"].model.run(columns())


def of(runtime: str, built: dict[str, Candidate], folder: Path) -> list[Candidate]:
    if runtime not in QUICK:
        made = build_of(Three, folder / runtime, task=TASK, runtimes=[runtime])  # type: ignore[list-item]
        built = {candidate.name: candidate for candidate in made.candidates}
    return [one for one in built.values() if one.runtime == runtime and one.name != "torch-fp32"]


@pytest.mark.parametrize("runtime", every_runtime())
def test_it_answers_as_the_module_does(
    runtime: str, built: dict[str, Candidate], expected: Any, folder: Path
) -> None:
    candidates = of(runtime, built, folder)
    assert candidates, f"no plan builds {runtime}"
    for candidate in candidates:
        assert candidate.finding is None, candidate.finding
        assert candidate.file is not None
        assert candidate.file.name == VARIANT_FILES[candidate.runtime]
        assert candidate.model is not None
        whole = candidate.model.run(columns())
        assert whole.dtype == np.float32
        assert whole.shape == (400, 3)
        np.testing.assert_allclose(whole, expected, atol=TOLERANCE[candidate.precision])
        _check_batches(candidate, whole)
        _check_threads(candidate, whole)


def _check_batches(candidate: Candidate, whole: Any) -> None:
    assert candidate.model is not None
    for size in (1, 3, 64):
        some = {name: values[:size] for name, values in columns().items()}
        answers = candidate.model.run(some)
        bound = TOLERANCE[candidate.precision]
        np.testing.assert_allclose(answers, whole[:size], atol=bound)


def _check_threads(candidate: Candidate, whole: Any, *, atol: float | None = None) -> None:
    """Distinct rows from several threads at once: each gets its own answers."""
    model, rows = candidate.model, columns()
    assert model is not None

    def ask(first: int) -> Any:
        return model.run({name: values[first : first + 5] for name, values in rows.items()})

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(0, 400, 5)))
    bound = TOLERANCE[candidate.precision] if atol is None else atol
    np.testing.assert_allclose(np.concatenate(answers), whole, atol=bound)


@pytest.mark.parametrize("runtime", BODIES)
@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "members", "packed", "spoilt"])
def test_a_damaged_file_is_refused(
    runtime: str, damage: str, built: dict[str, Candidate], folder: Path, tmp_path: Path
) -> None:
    (candidate,) = (one for one in of(runtime, built, folder) if one.precision == "fp32")
    assert candidate.file is not None
    content, path = candidate.file.read_bytes(), tmp_path / candidate.file.name
    with zipfile.ZipFile(candidate.file) as whole:
        names = tuple(whole.namelist())
    parts = read_parts(candidate.file, names)
    if damage == "members":
        write_parts(path, {**parts, "more": b""})
    elif damage == "packed":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name in names:
                file.writestr(name, parts[name])
    elif damage == "spoilt":
        write_parts(path, {name: b"x" * 50 for name in names})
    else:
        path.write_bytes(
            {"cut": content[: len(content) // 2], "empty": b"", "noise": b"\x00PK"}[damage]
        )
    with pytest.raises(BadRecord, match="export the variant again"):
        open_model(path, runtime=runtime, features=folder / "features.onnx")
    with pytest.raises(BadRecord, match="No such file"):
        open_model(tmp_path / "nothing", runtime=runtime, features=folder / "features.onnx")


@pytest.mark.parametrize("runtime", BODIES)
def test_a_runtime_that_is_not_installed_is_named(
    runtime: str,
    built: dict[str, Candidate],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (candidate,) = (one for one in of(runtime, built, folder) if one.precision == "fp32")
    assert candidate.file is not None
    whole = builtins.__import__

    def lack(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == runtime:
            raise ImportError(name)
        return whole(name, *rest)

    monkeypatch.setattr(builtins, "__import__", lack)
    monkeypatch.setattr(openvino, "_core", openvino._core.__wrapped__)  # it was loaded before
    with pytest.raises(NotReady, match=r"pip install 'torchyard\["):
        open_model(candidate.file, runtime=runtime, features=folder / "features.onnx")


def test_what_does_not_begin_at_raw_fields_needs_its_feature_graph(
    built: dict[str, Candidate],
) -> None:
    file = built["openvino-fp32"].file
    assert file is not None
    with pytest.raises(BadUsage, match=r"features\.onnx"):
        open_model(file, runtime="openvino")


def test_a_gpu_that_is_not_there_is_refused(built: dict[str, Candidate]) -> None:
    file = built["onnx-fp32"].file
    assert file is not None
    with pytest.raises(NotReady, match="onnxruntime-gpu"):
        open_model(file, device="cuda")


def on_gpu(runtime: str) -> Any:
    lack = lacking(runtime)
    reason = "" if lack is None else lack.found
    marks = [pytest.mark.gpu, pytest.mark.skipif(lack is not None, reason=reason)]
    return pytest.param(runtime, marks=marks)


@pytest.mark.parametrize("runtime", [on_gpu("onnxruntime"), on_gpu("torch")])
def test_on_a_gpu_it_answers_as_on_the_cpu(
    runtime: str, built: dict[str, Candidate], expected: Any, folder: Path
) -> None:
    for candidate in of(runtime, built, folder):
        assert candidate.file is not None
        model = open_model(
            candidate.file,
            runtime=candidate.runtime,
            features=folder / "features.onnx",
            precision=candidate.precision,
            device="cuda",
        )
        on_device = replace(candidate, model=model)
        whole = model.run(columns())
        assert whole.dtype == np.float32
        bound = device_tolerance(GOLDEN_TOLERANCE, device="cuda", precision=candidate.precision)
        np.testing.assert_allclose(whole, candidate.model.run(columns()), atol=bound)  # type: ignore[union-attr]
        np.testing.assert_allclose(whole, expected, atol=TOLERANCE[candidate.precision] + bound)
        _check_threads(on_device, whole, atol=bound)


def test_the_same_module_gives_the_same_openvino_file(
    built: dict[str, Candidate], tmp_path: Path
) -> None:
    again = build_of(Three, tmp_path, task=TASK, runtimes=["openvino"]).candidates
    other = {candidate.name: candidate.file for candidate in again}["openvino-fp32"]
    file = built["openvino-fp32"].file
    assert file is not None
    assert other is not None
    assert file.read_bytes() == other.read_bytes()


def test_openvino_tells_nobody_and_forks_nothing(built: dict[str, Candidate], folder: Path) -> None:
    file = built["openvino-fp32"].file
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from torchyard.runtimes import open_model\n"
        "forks = []\n"
        "os.register_at_fork(before=lambda: forks.append(1))\n"
        "open_model(Path(sys.argv[1]), runtime='openvino', features=Path(sys.argv[2]))\n"
        "assert not [n for n in sys.modules if n.startswith('openvino_telemetry.')]\n"
        "assert not forks\n"
    )
    command = [sys.executable, "-c", script, str(file), str(folder / "features.onnx")]
    subprocess.run(command, check=True)


_LET_GO_ELSEWHERE = """
import gc, os, signal, sys, threading
from pathlib import Path
from torchyard.runtimes import open_model

signal.signal(signal.SIGTERM, lambda *_: print("handled", flush=True))
models = [open_model(Path(sys.argv[1]), runtime="openvino", features=Path(sys.argv[2]))]
held, go = threading.Event(), threading.Event()

def let_go():
    model = models.pop()
    held.set()
    go.wait()
    del model
    gc.collect()

thread = threading.Thread(target=let_go)
thread.start()
held.wait()
go.set()
thread.join()
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_signal_is_handled_after_another_thread_let_a_model_go(
    built: dict[str, Candidate], folder: Path
) -> None:
    """OpenVINO's plug-in sets a thread's stack for signals, and freed it in any other thread."""
    file = str(built["openvino-fp32"].file)
    command = [
        sys.executable, "-X", "faulthandler", "-c", _LET_GO_ELSEWHERE, file,
        str(folder / "features.onnx"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "handled\n"


def test_every_runtime_has_a_plan() -> None:
    assert {plan.runtime for plan in PLANS} == set(VARIANT_FILES)
