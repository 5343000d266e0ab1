"""OpenVINO, on the CPU: a model's body as its intermediate representation.

The file is a zip of ``model.xml`` and ``model.bin``, both read from memory: it can name no other
file. On some CPUs OpenVINO computes in bfloat16 unless told otherwise, so the precision that a
variant was judged with is asked for by name.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, final

import numpy as np

from torchyard.core.errors import BadModel
from torchyard.runtimes.parts import damaged, read_parts, write_parts
from torchyard.runtimes.runner import OUTPUTS, Answers, Array, missing

MEMBERS = ("model.xml", "model.bin")
_TELEMETRY = "openvino_telemetry"
_CONVERT = f"""
import sys
sys.modules["{_TELEMETRY}"] = None
import openvino
openvino.save_model(openvino.convert_model(sys.argv[1]), sys.argv[2], False)
"""
_PRECISIONS = {"bf16": "bf16"}  # what is quantized runs as its file says, whatever is asked


@final
class OpenVinoRunner:
    """A compiled model; each thread has an inference request of its own.

    Args:
        compiled: what ``openvino.Core.compile_model`` gives.
        where: what to call its file in errors.

    Raises:
        BadRecord: it answers something else than one of ``OUTPUTS``.
    """

    def __init__(self, compiled: Any, *, where: Path) -> None:
        names = [name for output in compiled.outputs for name in output.get_names()]
        fitting = [name for name in OUTPUTS if name in names]
        if len(fitting) != 1 or len(compiled.outputs) != 1:
            raise damaged(where, f"outputs {', '.join(names)}", " or ".join(OUTPUTS))
        self.inputs = tuple(entry.get_any_name() for entry in compiled.inputs)
        self.output = fitting[0]
        self._compiled = compiled
        self._own = threading.local()

    def run(self, feed: Mapping[str, Array]) -> Answers:
        """Answer some rows."""
        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._compiled.create_infer_request()
        # NumPy has two names for 64-bit integers, and OpenVINO knows one of them
        known = {name: array.view(array.dtype.str) for name, array in feed.items()}
        made = request.infer(known, share_inputs=True, share_outputs=True)
        return np.array(made[0], dtype=np.float32)  # its memory is the request's, used again


def open_openvino(path: Path, *, threads: int, precision: str) -> OpenVinoRunner:
    """Open a zip of OpenVINO's intermediate representation.

    Args:
        path: the file.
        threads: threads inside one call.
        precision: what the variant was judged with: ``bf16``, or else float32 where nothing in the
            file says otherwise.

    Raises:
        BadRecord: it is missing, damaged, or answers something else.
        NotReady: OpenVINO is not installed.
    """
    try:
        openvino, core = _core()
    except ImportError as error:
        raise missing("OpenVINO", "openvino", where=str(path)) from error
    parts = read_parts(path, MEMBERS)
    weights = np.frombuffer(parts["model.bin"], dtype=np.uint8)
    settings = {
        "INFERENCE_PRECISION_HINT": _PRECISIONS.get(precision, "f32"),
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # several workers would be pinned to the same cores
    }
    try:
        model = core.read_model(parts["model.xml"], openvino.Tensor(weights))
        return OpenVinoRunner(core.compile_model(model, "CPU", settings), where=path)
    except RuntimeError as error:
        raise damaged(path, str(error).splitlines()[0], "a model that OpenVINO opens") from error


@cache
def _core() -> tuple[Any, Any]:
    """The library and its core, one for the whole process and for good.

    Without its telemetry, which would fork this process to tell its maker of it. For good, because
    its plug-in for CPUs gives the thread that loads it another stack for signals, and takes that
    away in whichever thread lets go of the plug-in last: the next signal would end the process.
    """
    sys.modules.setdefault(_TELEMETRY, None)  # type: ignore[arg-type] # so that it is not found
    import openvino

    core = openvino.Core()
    core.get_property("CPU", "FULL_DEVICE_NAME")  # loads the plug-in, which the core then keeps
    return openvino, core


def convert(body: Path, path: Path) -> None:
    """Make an OpenVINO file of an ONNX body; the same body gives the same bytes.

    OpenVINO numbers what it makes since the process began, so this has a process of its own.

    Args:
        body: from feature tensors to answers.
        path: where the zip goes.

    Raises:
        NotReady: OpenVINO is not installed.
        BadModel: it cannot take the body.
    """
    if importlib.util.find_spec("openvino") is None:
        raise missing("OpenVINO", "openvino", where=str(path))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        done = subprocess.run(
            [sys.executable, "-c", _CONVERT, str(body), str(folder / MEMBERS[0])],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            words = done.stderr.strip().splitlines() or ["no word"]
            raise BadModel(
                where="OpenVINO's conversion",
                found=words[-1],
                expected="a graph that OpenVINO takes",
                remedy="Leave 'openvino' out of runtimes, or use other operations.",
            )
        write_parts(path, {member: (folder / member).read_bytes() for member in MEMBERS})
