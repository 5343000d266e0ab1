"""ONNX Runtime, on the CPU or on a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, final

from torchyard.features.session import open_session
from torchyard.records.evidence import Device
from torchyard.runtimes.parts import damaged
from torchyard.runtimes.runner import OUTPUTS, Answers, Array

if TYPE_CHECKING:
    import onnxruntime


@final
class OnnxRunner:
    """A session whose one answer is one of ``OUTPUTS``.

    Args:
        session: opened.
        where: what to call its file in errors.

    Raises:
        BadRecord: it answers something else.
    """

    def __init__(self, session: onnxruntime.InferenceSession, *, where: Path) -> None:
        outputs = {node.name: node.type for node in session.get_outputs()}
        fitting = [name for name in OUTPUTS if outputs.get(name) == "tensor(float)"]
        if len(fitting) != 1:
            listed = ", ".join(f"{name}: {kind}" for name, kind in outputs.items())
            expected = f"one output, {' or '.join(OUTPUTS)}: tensor(float)"
            raise damaged(where, f"outputs {listed}", expected)
        self.session = session
        self.inputs = tuple(node.name for node in session.get_inputs())
        self.output = fitting[0]
        self._outputs = fitting

    def run(self, feed: Mapping[str, Array]) -> Answers:
        """Answer some rows."""
        answers: Answers = self.session.run(self._outputs, feed)[0]
        return answers


def open_onnx(path: Path, *, threads: int, device: Device) -> OnnxRunner:
    """Open an ONNX file.

    Raises:
        BadRecord: it is missing, damaged or something else, names another file that holds a part of
            it, or answers something else.
        NotReady: ``device`` is a GPU that this ONNX Runtime cannot use.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise damaged(path, error.strerror or str(error), "a readable ONNX file") from error
    session = open_session(content, where=str(path), threads=threads, device=device)
    return OnnxRunner(session, where=path)
