"""Triton Inference Server: the binary of nvidia-pytriton with its Python backend, or another one.

``TRITON_HOME`` names a Triton of one's own that has the ONNX Runtime backend (in
its ``bin`` and ``backends``); the settings say which backend is used.
"""

import os
import shutil
import sys
from pathlib import Path

import numpy
import pytriton
from onnx_model import FILE, NAME, PORT, SETTINGS, OnnxModel

HERE = Path(__file__).resolve().parent
TYPES = {
    "tensor(float)": "TYPE_FP32", "tensor(double)": "TYPE_FP64", "tensor(int64)": "TYPE_INT64",
    "tensor(string)": "TYPE_STRING",
}  # fmt: skip


def main():
    """Write a model repository, then become the server."""
    is_python = SETTINGS["backend"] == "python"
    folder = Path("models", NAME, "1").absolute()
    folder.mkdir(parents=True)
    (folder.parent / "config.pbtxt").write_text(configuration(OnnxModel()))
    if is_python:
        home = Path(pytriton.__file__).parent / "tritonserver"
        backends = with_stub(home)
        (folder / "model.py").write_text(findable() + (HERE / "triton_model.py").read_text())
    else:
        home = Path(os.environ["TRITON_HOME"])
        backends = home / "backends"
        shutil.copy(FILE, folder / "model.onnx")
    binary = str(home / "bin" / "tritonserver")
    os.execv(
        binary,
        [
            binary, "--model-repository", "models", "--backend-directory", str(backends),
            "--http-address", "127.0.0.1", "--http-port", str(PORT), "--http-thread-count",
            str(SETTINGS["http_threads"]), "--allow-grpc", "false", "--allow-metrics", "false",
            "--log-info", "false",
        ],
    )  # fmt: skip


def findable():
    """Lines that let the backend's own Python find this environment's packages."""
    return f"import sys\n\nsys.path[:0] = {[str(HERE), str(Path(numpy.__file__).parents[1])]}\n"


def with_stub(home):
    """The Python backend with the stub that the wheel has for this Python, in a folder here."""
    backends = Path("backends").absolute()
    shutil.copytree(home / "backends", backends)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = home / "python_backend_stubs" / version / "triton_python_backend_stub"
    shutil.copy(stub, backends / "python" / stub.name)
    libraries = home.parents[1] / "nvidia_pytriton.libs"  # the stub looks beside its old place
    os.environ["LD_LIBRARY_PATH"] = str(libraries)
    return backends


def configuration(model):
    """The model's ``config.pbtxt``: dynamic batching that never waits."""
    inputs = ", ".join(
        f'{{ name: "{node.name}" data_type: {TYPES[node.type]} dims: {list(node.shape[1:])} }}'
        for node in model.session.get_inputs()
    )
    classes = model.session.get_outputs()[0].shape[1]
    backend = SETTINGS["backend"]
    threads = SETTINGS.get("threads", 1)
    parameters = "" if backend == "python" else "".join(
        f'parameters {{ key: "{key}" value: {{ string_value: "{value}" }} }}\n'
        for key, value in (
            ("intra_op_thread_count", threads), ("inter_op_thread_count", 1),
            ("session.intra_op.allow_spinning", 0),
        )
    )  # fmt: skip
    return (
        f'name: "{NAME}"\nbackend: "{backend}"\nmax_batch_size: {SETTINGS["batch"]}\n'
        f"input [{inputs}]\n"
        f'output [{{ name: "probabilities" data_type: TYPE_FP32 dims: [{classes}] }}]\n'
        f"dynamic_batching {{ }}\n{parameters}"
        f"instance_group [{{ count: {SETTINGS['workers']} kind: KIND_CPU }}]\n"
    )


if __name__ == "__main__":
    main()
