"""How each candidate is built: one plan per runtime and precision, over what they share."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.core.errors import BadModel
from torchyard.optimize.export import answers_onnx, export_module, finish, merge
from torchyard.optimize.programs import compile_program, export_program
from torchyard.optimize.quantize import quantize
from torchyard.records.calibration import Calibration
from torchyard.records.evidence import Runtime
from torchyard.records.schema import Task
from torchyard.runtimes.openvino import convert
from torchyard.runtimes.parts import write_parts

if TYPE_CHECKING:
    import torch
    from torch import nn

_CPU = Path("/proc/cpuinfo")


class Workbench:
    """What the plans share: the module, and its ONNX export, made once.

    Args:
        module: trained, in evaluation mode.
        features: the feature graph's file.
        tensors: training rows as feature tensors.
        task: what is predicted.
        calibration: from logits to answers.
        folder: for what is made on the way; ``clear`` takes it away.
    """

    def __init__(
        self,
        module: nn.Module,
        features: Path,
        tensors: Mapping[str, np.ndarray[Any, np.dtype[Any]]],
        *,
        task: Task,
        calibration: Calibration,
        folder: Path,
    ) -> None:
        self.module = module
        self.features = features
        self.tensors = tensors
        self.task = task
        self.calibration = calibration
        self._way = tempfile.TemporaryDirectory(dir=folder, prefix="way-")
        self.folder = Path(self._way.name)
        self._trouble: Exception | None = None

    @cached_property
    def sample(self) -> dict[str, torch.Tensor]:
        """Two rows of every tensor, to trace with."""
        import torch

        return {name: torch.from_numpy(array[:2].copy()) for name, array in self.tensors.items()}

    @property
    def exported(self) -> Path:
        """The module as ONNX, from feature tensors to logits.

        Raises:
            BadModel: the exporter cannot follow the module; it is not asked twice.
        """
        path = self.folder / "exported.onnx"
        if self._trouble is not None:
            raise BadModel(
                where=type(self.module).__name__,
                found="no ONNX file to start from",
                expected="what the fp32 export makes",
                remedy="Mend the export first.",
            ) from self._trouble
        if not path.exists():
            try:
                export_module(self.module, self.sample, path)
            except Exception as error:
                self._trouble = error
                raise
        return path

    @cached_property
    def program(self) -> bytes:
        """The module as a program of ``torch.export``."""
        return export_program(self.module, self.sample)

    @property
    def answers(self) -> bytes:
        """The calibration as ONNX, from logits to answers."""
        path = self.folder / "answers.onnx"
        answers_onnx(self.exported, task=self.task, calibration=self.calibration, path=path)
        return path.read_bytes()

    def clear(self) -> None:
        """Take away what was made on the way."""
        self._way.cleanup()


@dataclass(frozen=True)
class Plan:
    """One candidate: its name, what opens it, what it computes in, and how it is built."""

    name: str
    runtime: Runtime
    precision: str
    build: Callable[[Workbench, Path], None]
    is_possible: Callable[[], bool] = lambda: True


def _onnx_fp32(work: Workbench, path: Path) -> None:
    merge(work.features, work.exported, task=work.task, calibration=work.calibration, path=path)


def _onnx_int8(work: Workbench, path: Path) -> None:
    quantized = work.folder / "quantized.onnx"
    quantize(work.exported, work.tensors, quantized)
    merge(work.features, quantized, task=work.task, calibration=work.calibration, path=path)


def _openvino(work: Workbench, path: Path) -> None:
    body = work.folder / "body.onnx"
    finish(work.exported, task=work.task, calibration=work.calibration, path=body)
    convert(body, path)


def _export(work: Workbench, path: Path) -> None:
    write_parts(path, {"body.pt2": work.program, "answers.onnx": work.answers})


def _aoti(work: Workbench, path: Path) -> None:
    package = compile_program(work.program, work.folder)
    write_parts(path, {"body.pt2": package, "answers.onnx": work.answers})


def _has_bf16() -> bool:
    """Whether this processor computes in bfloat16; elsewhere it would be imitated."""
    flags = _CPU.read_text().split() if _CPU.exists() else []
    return "avx512_bf16" in flags or "amx_bf16" in flags


PLANS = (
    Plan("onnx-fp32", "onnxruntime", "fp32", _onnx_fp32),
    Plan("onnx-int8", "onnxruntime", "int8", _onnx_int8),
    Plan("openvino-fp32", "openvino", "fp32", _openvino),
    Plan("openvino-bf16", "openvino", "bf16", _openvino, is_possible=_has_bf16),
    Plan("export-fp32", "torch", "fp32", _export),
    Plan("aoti-fp32", "aotinductor", "fp32", _aoti),
)
