"""One opened model: raw columns in, calibrated answers out, whatever runtime answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, final

import numpy as np

from torchyard.core.errors import BadModel, BadUsage, YardError, nearest
from torchyard.features.encode import Encoder
from torchyard.features.host import HostSteps
from torchyard.records.evidence import Device
from torchyard.runtimes.devices import need_gpu
from torchyard.runtimes.onnx import OnnxRunner, open_onnx
from torchyard.runtimes.openvino import open_openvino
from torchyard.runtimes.runner import Answers, Array, Runner

Columns = Mapping[str, np.ndarray[Any, np.dtype[Any]]]

RUNTIMES = ("onnxruntime", "openvino", "aotinductor", "torch")


class Front(Protocol):
    """From raw columns to what a runner takes."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The raw fields that it reads."""

    def encode(self, columns: Columns) -> dict[str, Array]:
        """Make the runner's feed.

        Raises:
            KeyError: a column is missing.
            BadUsage: a column is of another kind than a host step takes.
            BadData: a picture cannot be decoded.
            BadModel: a tokenizer failed.
        """


@final
class Model:
    """A variant that is open for good. ``run`` may be called from several threads at once.

    Args:
        front: from raw columns to what the runner takes.
        runner: from there to answers.
        file: what to call the file in errors.

    Attributes:
        inputs: the raw fields it reads. Host steps (splitting texts, decoding pictures) are part of
            the model.
        output: what it answers with: ``probabilities`` of classes, or ``predictions`` of a number.
    """

    __slots__ = ("_encode", "_file", "_run", "inputs", "output")

    def __init__(self, front: Front, runner: Runner, *, file: str) -> None:
        self._encode = front.encode
        self._run = runner.run
        self._file = file
        self.inputs = front.inputs
        self.output = runner.output

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
            feed = self._encode(columns)
        except KeyError as error:
            raise BadUsage(
                where=self._file,
                found=f"no column {error}",
                expected=f"columns {', '.join(self.inputs)}",
                remedy="Pass one raw column for every field that the model reads.",
            ) from error
        except YardError:
            raise
        except Exception as error:  # a feature graph of its own fails like any graph
            raise self._failed(error) from error
        try:
            return self._run(feed)
        except Exception as error:  # runtimes raise their own families under no common base
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> BadModel:
        return BadModel(
            where=self._file,
            found=str(error),
            expected="an answer for these columns",
            remedy="Compare their types and shapes with the graph's inputs.",
        )


@final
class Direct:
    """The front of a file from raw fields to answers: its host steps, and the rest as it is."""

    __slots__ = ("_direct", "_steps", "inputs")

    def __init__(self, runner: OnnxRunner, *, where: Path) -> None:
        self._steps = HostSteps.of_session(runner.session, where=str(where))
        self._direct = tuple(name for name in runner.inputs if name not in self._steps.fields)
        self.inputs: tuple[str, ...] = self._steps.raw_inputs(runner.inputs)

    def encode(self, columns: Columns) -> dict[str, Array]:
        """The columns that the file reads, and what the host steps make."""
        feed = {name: columns[name] for name in self._direct}
        return feed | self._steps.run(columns) if self._steps else feed


def open_model(
    path: Path,
    *,
    runtime: str = "onnxruntime",
    features: Path | None = None,
    threads: int = 1,
    device: Device = "cpu",
    precision: str = "fp32",
) -> Model:
    """Open one variant's file.

    Args:
        path: of ``onnxruntime``, an ONNX file from raw fields whose one answer is
            ``probabilities``, ``float32 [rows, classes]``, or ``predictions``,
            ``float32 [rows, 3]``; of the others a file from feature tensors to that answer.
        runtime: who runs it: ``onnxruntime``, ``openvino``, ``aotinductor`` or ``torch``. The last
            two run code that the file holds.
        features: the feature graph before it; not for ``onnxruntime``.
        threads: threads inside one call, at least 1. They do not spin while they wait, so that
            several sessions can share the cores.
        device: ``cpu`` or ``cuda``; OpenVINO and what AOTInductor compiled run on the CPU.
        precision: what it was judged with, for a runtime that may choose another one.

    Raises:
        BadUsage: the runtime is not known or lacks its feature graph, or ``threads`` is below 1.
        BadRecord: the file or its list of host steps is missing, damaged or something else, names
            another file that holds a part of it, or declares more than ``records/sizes.py`` allows.
        NotReady: the runtime, or a library that its host steps need, is not installed; or
            ``device`` is a GPU that the runtime cannot use here.
    """
    if runtime not in RUNTIMES:
        raise _refuse(
            f"runtime of {path.name}", repr(runtime), "a runtime this torchyard can open",
            nearest(runtime, RUNTIMES),
        )  # fmt: skip
    if threads < 1:
        raise _refuse(
            f"threads for {path.name}", str(threads), "1 or more", "Leave it out to use one thread."
        )
    if device == "cuda":
        need_gpu(runtime, where=str(path))
    if runtime == "onnxruntime":
        runner = open_onnx(path, threads=threads, device=device)
        return Model(Direct(runner, where=path), runner, file=path.name)
    if features is None:
        raise _refuse(
            path.name, "no feature graph", f"the one that stands before a file of {runtime}",
            "Pass features=, the release's features.onnx.",
        )  # fmt: skip
    encoder = Encoder(features)
    body = _open_body(path, encoder.outputs, runtime, threads, device, precision)
    return Model(encoder, body, file=path.name)


def _open_body(
    path: Path,
    tensors: tuple[str, ...],
    runtime: str,
    threads: int,
    device: Device,
    precision: str,
) -> Runner:
    if runtime == "openvino":
        return open_openvino(path, threads=threads, precision=precision)
    from torchyard.runtimes.programs import open_compiled, open_exported

    opened = open_compiled if runtime == "aotinductor" else open_exported
    return opened(path, inputs=tensors, threads=threads, device=device)


def _refuse(where: str, found: str, expected: str, remedy: str) -> BadUsage:
    return BadUsage(where=where, found=found, expected=expected, remedy=remedy)
