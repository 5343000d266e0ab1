"""Opening an ONNX file with ONNX Runtime: whole, from its own bytes, and nothing else.

A file may name other files that hold its weights, and ONNX Runtime knows a second format that it
trusts more than it should. Neither is opened: of a release only what its manifest lists is read.
What the graph computes is not bounded here: the signature vouches for that.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from torchyard.core.errors import BadRecord, NotReady

if TYPE_CHECKING:
    import onnxruntime


Device = Literal["cpu", "cuda"]

# what a GPU has no kernel for, such as looking up texts, runs on the CPU
_PROVIDERS: dict[Device, list[str]] = {
    "cpu": ["CPUExecutionProvider"],
    "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"],
}


def open_session(
    content: bytes, *, where: str, threads: int = 1, device: Device = "cpu"
) -> onnxruntime.InferenceSession:
    """Open an ONNX file's bytes.

    Args:
        content: the file.
        where: what to call it in errors.
        threads: threads inside one call, at least 1. They do not spin while they wait, so that
            several sessions can share the cores.
        device: where it runs.

    Raises:
        BadRecord: it is no ONNX graph, is damaged, or names another file that holds a part of it.
        NotReady: ``device`` is a GPU that this ONNX Runtime does not know.
    """
    import onnxruntime

    providers = _PROVIDERS[device]
    if providers[0] not in onnxruntime.get_available_providers():
        raise NotReady(
            where=where,
            found="an ONNX Runtime without CUDA",
            expected="onnxruntime-gpu, to run on a GPU",
            remedy="Install it in the place of onnxruntime, or serve on the CPU.",
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 4  # what is wrong is raised as well
    for name, value in (
        ("session.intra_op.allow_spinning", "0"),
        ("session.load_model_format", "ONNX"),
        # no file lies in it; left out, files of the working directory would be read
        ("session.model_external_initializers_file_folder_path", os.devnull),
    ):
        options.add_session_config_entry(name, value)
    try:
        return onnxruntime.InferenceSession(content, options, providers=providers)
    except Exception as error:  # ONNX Runtime raises its own family under no common base
        raise BadRecord(
            where=where,
            found=str(error),
            expected="an ONNX graph, whole in one file, that ONNX Runtime can open",
            remedy="Restore the file from its release, or export the variant again.",
        ) from error
