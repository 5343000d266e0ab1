"""Opening an ONNX file with ONNX Runtime: whole, from its own bytes, and nothing else.

A file may name other files that hold its weights, and ONNX Runtime knows a second format that it
trusts more than it should. Neither is opened: of a release only what its manifest lists is read.
What the graph computes is not bounded here: the signature vouches for that.
"""

from __future__ import annotations

import io
import os
from contextlib import redirect_stdout
from functools import cache
from typing import TYPE_CHECKING, Any

from torchyard.core.errors import BadRecord, NotReady
from torchyard.records.evidence import Device

if TYPE_CHECKING:
    import onnxruntime

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
# Of the provider's documented options, those whose defaults do not serve. Rows go there and back
# with every call, and what a GPU has no kernel for, such as looking up texts, runs on the CPU: so
# nothing is bound to the GPU's memory beforehand.
_CUDA_OPTIONS = {
    "device_id": "0",  # the first that CUDA_VISIBLE_DEVICES shows
    # an exhaustive search for convolutions begins anew with every number of rows
    "cudnn_conv_algo_search": "HEURISTIC",
    # several models and servers share the memory: twice what is asked for is not to be taken
    "arena_extend_strategy": "kSameAsRequested",
    # else float32 would be multiplied with ten bits of it, which is not what was judged
    "use_tf32": "0",
}
_OF_CUDA = ("cuda", "cudnn", "cublas")


def has_cuda() -> bool:
    """Whether the ONNX Runtime that is installed was built for NVIDIA's GPUs."""
    import onnxruntime

    return _CUDA in onnxruntime.get_available_providers()


def open_session(
    content: bytes, *, where: str, threads: int = 1, device: Device = "cpu"
) -> onnxruntime.InferenceSession:
    """Open an ONNX file's bytes.

    Args:
        content: the file.
        where: what to call it in errors.
        threads: threads inside one call, at least 1. They do not spin while they wait, so that
            several sessions can share the cores.
        device: where it runs; on a GPU in float32 where the graph says so, without TF32.

    Raises:
        BadRecord: it is no ONNX graph, is damaged, or names another file that holds a part of it.
        NotReady: ``device`` is a GPU that this ONNX Runtime does not know, or cannot use.
    """
    import onnxruntime

    providers: list[Any] = [_CPU]
    if device == "cuda":
        if not has_cuda():
            raise _unusable(where, "an ONNX Runtime without CUDA")
        _load_cuda()
        providers = [(_CUDA, _CUDA_OPTIONS), _CPU]
    options = _options(threads)
    try:
        # left to itself, it would go on with the CPU and tell nobody but its log
        session = onnxruntime.InferenceSession(
            content, options, providers=providers, enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime raises its own family under no common base
        if device == "cuda" and any(word in str(error).lower() for word in _OF_CUDA):
            raise _unusable(where, f"a GPU that cannot be used: {error}") from error
        raise BadRecord(
            where=where,
            found=str(error),
            expected="an ONNX graph, whole in one file, that ONNX Runtime can open",
            remedy="Restore the file from its release, or export the variant again.",
        ) from error
    if device == "cuda" and _CUDA not in session.get_providers():
        raise _unusable(where, "a CUDA or cuDNN that ONNX Runtime cannot load")
    return session


def _options(threads: int) -> onnxruntime.SessionOptions:
    import onnxruntime

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
    return options


@cache
def _load_cuda() -> None:
    """Load CUDA's libraries from packages beside ONNX Runtime, where they are installed so."""
    import onnxruntime

    preload = getattr(onnxruntime, "preload_dlls", None)  # since ONNX Runtime 1.21
    if preload is not None:
        with redirect_stdout(io.StringIO()):  # it prints what it does not find, which may be fine
            preload()


def _unusable(where: str, found: str) -> NotReady:
    return NotReady(
        where=where,
        found=found,
        expected="an ONNX Runtime that computes on a GPU, as device 'cuda' asks for",
        remedy="Install onnxruntime-gpu[cuda,cudnn] in the place of onnxruntime, or use the CPU.",
    )
