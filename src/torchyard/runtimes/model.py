"""One opened model: raw columns in, calibrated answers out. ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from torchyard.core.errors import BadModel, BadRecord, BadUsage, nearest
from torchyard.features.host import HostSteps
from torchyard.features.session import open_session

if TYPE_CHECKING:
    import onnxruntime

Columns = Mapping[str, np.ndarray[Any, np.dtype[Any]]]
Answers = np.ndarray[Any, np.dtype[np.float32]]

OUTPUTS = ("probabilities", "predictions")
RUNTIMES = ("onnxruntime",)


@final
class Model:
    """A session that is open for good. ``run`` may be called from several threads at once.

    Attributes:
        inputs: the raw fields it reads, in the order of the graph's inputs. Host steps that the
            file lists (splitting texts, decoding pictures) are part of the model.
        output: what it answers with: ``probabilities`` of classes, or ``predictions`` of a number.
    """

    __slots__ = ("_direct", "_file", "_session", "_steps", "inputs", "output")

    def __init__(
        self, session: onnxruntime.InferenceSession, *, file: str, output: str, steps: HostSteps
    ) -> None:
        self._session = session
        self._file = file
        self._steps = steps
        self.output = output
        names = tuple(node.name for node in session.get_inputs())
        self._direct = tuple(name for name in names if name not in steps.fields)
        self.inputs: tuple[str, ...] = steps.raw_inputs(names)

    def run(self, columns: Columns) -> Answers:
        """Answer some rows.

        Args:
            columns: field name to raw column as in ARCHITECTURE.md, "Raw columns". Fields that the
                model does not read are passed over.

        Returns:
            ``float32 [rows, classes]``: the probability of each class, 0 to 1; of a number
            ``float32 [rows, 3]``: value, low and high, in the label's unit.

        Raises:
            BadUsage: a column the model reads is missing, or a host step's is of another kind.
            BadData: a picture cannot be decoded.
            BadModel: the graph or a tokenizer failed on these rows.
        """
        try:
            feed = {name: columns[name] for name in self._direct}
            if self._steps:
                feed |= self._steps.run(columns)
        except KeyError as error:
            raise BadUsage(
                where=self._file,
                found=f"no column {error}",
                expected=f"columns {', '.join(self.inputs)}",
                remedy="Pass one raw column for every field that the model reads.",
            ) from error
        try:
            answer: Answers = self._session.run([self.output], feed)[0]
        except Exception as error:  # ONNX Runtime raises its own family under no common base
            raise BadModel(
                where=self._file,
                found=str(error),
                expected="an answer for these columns",
                remedy="Compare their types and shapes with the graph's inputs.",
            ) from error
        return answer


def open_model(path: Path, *, runtime: str = "onnxruntime", threads: int = 1) -> Model:
    """Open one variant's file.

    Args:
        path: an ONNX file whose one answer is ``probabilities``, ``float32 [rows, classes]``, or
            ``predictions``, ``float32 [rows, 3]``.
        runtime: ``onnxruntime`` is the only one.
        threads: threads inside one call, at least 1. They do not spin while they wait, so that
            several sessions can share the cores.

    Raises:
        BadUsage: the runtime is not known, or ``threads`` is below 1.
        BadRecord: the file or its list of host steps is missing, damaged or something else, names
            another file that holds a part of it, or declares more than ``records/sizes.py`` allows.
        NotReady: a library that its host steps need is not installed.
    """
    if runtime not in RUNTIMES:
        raise BadUsage(
            where=f"runtime of {path.name}",
            found=repr(runtime),
            expected="a runtime this torchyard can open",
            remedy=nearest(runtime, RUNTIMES),
        )
    if threads < 1:
        raise BadUsage(
            where=f"threads for {path.name}",
            found=str(threads),
            expected="1 or more",
            remedy="Leave it out to use one thread.",
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _damaged(path, error.strerror or str(error), "a readable ONNX file") from error
    session = open_session(content, where=str(path), threads=threads)
    outputs = {node.name: node.type for node in session.get_outputs()}
    fitting = [name for name in OUTPUTS if outputs.get(name) == "tensor(float)"]
    if len(fitting) != 1:
        listed = ", ".join(f"{name}: {kind}" for name, kind in outputs.items())
        expected = f"one output, {' or '.join(OUTPUTS)}: tensor(float)"
        raise _damaged(path, f"outputs {listed}", expected)
    steps = HostSteps.of_session(session, where=str(path))
    return Model(session, file=path.name, output=fitting[0], steps=steps)


def _damaged(path: Path, found: str, expected: str) -> BadRecord:
    return BadRecord(
        where=str(path),
        found=found,
        expected=expected,
        remedy="Restore the file from its release, or export the variant again.",
    )
