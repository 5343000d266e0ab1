"""PyTorch without the project's code: a program of ``torch.export``, run as it is or compiled.

The file is a zip of ``body.pt2``, from feature tensors to logits, and ``answers.onnx``, from logits
to calibrated answers. A program holds code, which runs with all rights: open one only of a maker
who is trusted for code (``records.evidence.CODE_FILES``).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from torchyard.features.session import open_session
from torchyard.runtimes.onnx import OnnxRunner
from torchyard.runtimes.parts import damaged, read_parts
from torchyard.runtimes.runner import Answers, Array, missing

if TYPE_CHECKING:
    import torch

MEMBERS = ("body.pt2", "answers.onnx")
LOGITS = "logits"

_Program = Callable[[dict[str, "torch.Tensor"]], "torch.Tensor"]


@final
class ProgramRunner:
    """A program and the graph behind it.

    Args:
        program: from tensors by name to logits.
        inputs: their names.
        answers: from logits to answers.
        device: where the program runs, in PyTorch's words.
    """

    def __init__(
        self, program: _Program, *, inputs: tuple[str, ...], answers: OnnxRunner, device: str
    ) -> None:
        self._program = program
        self._answers = answers
        self._device = device
        self.inputs = inputs
        self.output = answers.output

    def run(self, feed: Mapping[str, Array]) -> Answers:
        """Answer some rows."""
        import torch

        with torch.inference_mode():
            tensors = {name: torch.from_numpy(feed[name]).to(self._device) for name in self.inputs}
            logits = self._program(tensors).cpu().numpy()
        return self._answers.run({LOGITS: logits})


def open_exported(
    path: Path, *, inputs: tuple[str, ...], threads: int, device: str
) -> ProgramRunner:
    """Open a program that PyTorch runs operation by operation.

    Args:
        path: the file.
        inputs: names of the tensors that the program takes.
        threads: threads inside one operation, of this whole process.
        device: where it runs, in PyTorch's words.

    Raises:
        BadRecord: it is missing or damaged.
        NotReady: PyTorch is not installed.
    """
    torch, parts = _torch(path, threads), read_parts(path, MEMBERS)
    try:
        exported = torch.export.load(io.BytesIO(parts["body.pt2"]))
        program = (exported if device == "cpu" else _moved(exported, device)).module()
    except Exception as error:  # a damaged program raises anything
        raise damaged(path, str(error).splitlines()[0], "a program of torch.export") from error
    return ProgramRunner(
        lambda tensors: program(tensors=tensors), inputs=inputs, answers=_answers(parts, path),
        device=device,
    )  # fmt: skip


def open_compiled(
    path: Path, *, inputs: tuple[str, ...], threads: int, device: str
) -> ProgramRunner:
    """Open a program that AOTInductor has compiled, for the kind of machine that it was made on.

    Args: as ``open_exported``.

    Raises:
        BadRecord: it is missing or damaged.
        NotReady: PyTorch is not installed.
    """
    torch, parts = _torch(path, threads), read_parts(path, MEMBERS)
    try:
        program = torch._inductor.aoti_load_package(io.BytesIO(parts["body.pt2"]))
    except Exception as error:  # a damaged package raises anything
        found = str(error).splitlines()[0]
        raise damaged(path, found, "a package of AOTInductor for this machine") from error
    return ProgramRunner(
        lambda tensors: program(tensors=tensors), inputs=inputs, answers=_answers(parts, path),
        device=device,
    )  # fmt: skip


def _answers(parts: Mapping[str, bytes], path: Path) -> OnnxRunner:
    return OnnxRunner(open_session(parts["answers.onnx"], where=str(path)), where=path)


def _moved(exported: torch.export.ExportedProgram, device: str) -> torch.export.ExportedProgram:
    """The program on another device: weights, constants, and devices that its nodes name.

    In float32 as it was judged: of convolutions, PyTorch would take ten bits of it on a GPU.
    """
    import torch
    from torch.export.passes import move_to_device_pass

    torch.backends.cudnn.allow_tf32 = False
    return move_to_device_pass(exported, device)


def _torch(path: Path, threads: int) -> Any:
    try:
        import torch
        import torch._inductor
        import torch.export
    except ImportError as error:
        raise missing("PyTorch", "train", where=str(path)) from error
    torch.set_num_threads(threads)
    return torch
