"""Candidates: the trained model as torch fp32, ONNX fp32 and ONNX int8.

A build that fails becomes a finding on its variant; the others go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from torchyard.core.errors import BadModel, YardError
from torchyard.evaluate import apply_calibration
from torchyard.optimize.export import export_module, merge
from torchyard.optimize.width import is_wide
from torchyard.records.calibration import Calibration
from torchyard.records.schema import Task
from torchyard.runtimes import open_model

if TYPE_CHECKING:
    from torch import nn

Columns = Mapping[str, "np.ndarray[Any, np.dtype[Any]]"]

# rows that the int8 ranges are taken from
CALIBRATION_ROWS = 2_048
WIDE_CALIBRATION_ROWS = 256
_WIDE_BATCH = 32


class Runnable(Protocol):
    """From raw columns to calibrated answers, ``float32 [rows, outputs]``."""

    def run(self, columns: Columns) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Answer the rows."""


@dataclass(frozen=True)
class Candidate:
    """A way to run the model: ``model`` answers, or ``finding`` says why it cannot.

    ``file`` is None for the yardstick, which needs the module's Python code and is not served.
    """

    name: str
    runtime: Literal["onnxruntime", "torch"]
    precision: str
    file: Path | None
    model: Runnable | None
    size_bytes: int
    finding: str | None = None


class Encodes(Protocol):
    """From raw columns to feature tensors: what the feature graph does."""

    def encode(self, columns: Columns) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
        """Feature tensors by name."""


class EagerModel:
    """The yardstick: feature graph, then the module in PyTorch, then the calibration in float64."""

    def __init__(
        self, encoder: Encodes, module: nn.Module, *, task: Task, calibration: Calibration
    ) -> None:
        self._encoder = encoder
        self._module = module
        self._task = task
        self._calibration = calibration

    def run(self, columns: Columns) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Calibrated answers, ``float32 [rows, outputs]``."""
        import torch

        with torch.inference_mode():
            tensors = {
                name: torch.from_numpy(array)
                for name, array in self._encoder.encode(columns).items()
            }
            logits = self._module(**tensors).double().numpy()
        return apply_calibration(logits, self._calibration, self._task).astype(np.float32)


def build_candidates(
    module: nn.Module,
    *,
    encoder: Encodes,
    features: Path,
    tensors: Mapping[str, np.ndarray[Any, np.dtype[Any]]],
    task: Task,
    calibration: Calibration,
    folder: Path,
) -> tuple[Candidate, ...]:
    """Build every candidate.

    Args:
        module: trained, in evaluation mode.
        encoder: the opened feature graph.
        features: the feature graph's file.
        tensors: training rows as feature tensors: the first two trace the export, the first
            ``CALIBRATION_ROWS`` (of wide rows ``WIDE_CALIBRATION_ROWS``) set the int8 ranges.
        task: what is predicted.
        calibration: from logits to answers.
        folder: each servable variant goes to ``folder/<name>/model.onnx``.
    """
    weights = sum(p.numel() * p.element_size() for p in module.parameters())
    yardstick = EagerModel(encoder, module, task=task, calibration=calibration)
    eager = Candidate("torch-fp32", "torch", "fp32", None, yardstick, weights)
    exported = folder / "exported.onnx"
    folder.mkdir(parents=True, exist_ok=True)

    def fp32(path: Path) -> None:
        import torch

        sample = {name: torch.from_numpy(array[:2].copy()) for name, array in tensors.items()}
        export_module(module, sample, exported)
        merge(features, exported, task=task, calibration=calibration, path=path)

    def int8(path: Path) -> None:
        quantized = folder / "quantized.onnx"
        _need_export(exported, module)
        quantize(exported, tensors, quantized)
        merge(features, quantized, task=task, calibration=calibration, path=path)
        quantized.unlink()

    candidates = (
        eager,
        _attempt("onnx-fp32", "fp32", folder, fp32),
        _attempt("onnx-int8", "int8", folder, int8),
    )
    exported.unlink(missing_ok=True)
    return candidates


def _need_export(exported: Path, module: nn.Module) -> None:
    if not exported.exists():
        raise BadModel(
            where=f"{type(module).__name__}, int8",
            found="no ONNX file to start from",
            expected="what the fp32 export makes",
            remedy="Mend the export first.",
        )


def quantize(
    model: Path, tensors: Mapping[str, np.ndarray[Any, np.dtype[Any]]], path: Path
) -> None:
    """Static int8 by QDQ nodes: unsigned activations, signed weights per channel.

    Static, so that an answer does not depend on the rest of its batch; unsigned activations,
    because signed ones are several times slower on x86 (measured).
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Rows(CalibrationDataReader):  # type: ignore[misc]
        """Feeds the calibration rows, batch by batch, once."""

        def __init__(self) -> None:
            self._batches = _calibration_batches(tensors)

        def get_next(self) -> dict[str, np.ndarray[Any, np.dtype[Any]]] | None:
            return next(self._batches, None)

    # the quantizer advises a pre-processing step that has just been done
    logging.getLogger().addFilter(_hush)
    prepared = path.with_suffix(".prepared.onnx")
    try:
        _prepare(model, prepared)
        quantize_static(
            str(prepared), str(path), Rows(), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gemm", "Conv"],
        )  # fmt: skip
    finally:
        logging.getLogger().removeFilter(_hush)
        prepared.unlink(missing_ok=True)


def _prepare(model: Path, path: Path) -> None:
    """Fuse and simplify a graph for the quantizer.

    Symbolic shapes only help the rest, and following them fails on some transformers.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    try:
        quant_pre_process(str(model), str(path))
    except Exception:  # it raises anything
        quant_pre_process(str(model), str(path), skip_symbolic_shape=True)


def _calibration_batches(
    tensors: Mapping[str, np.ndarray[Any, np.dtype[Any]]],
) -> Iterator[dict[str, np.ndarray[Any, np.dtype[Any]]]]:
    """The rows that the int8 ranges are taken from: narrow ones in one batch, wide ones in many.

    A picture or a text holds hundreds of activations of every layer, so fewer of them say as much.
    """
    shapes = [(array.dtype.name, array.shape[1:]) for array in tensors.values()]
    wide = (WIDE_CALIBRATION_ROWS, _WIDE_BATCH)
    rows, step = wide if is_wide(shapes) else (CALIBRATION_ROWS, CALIBRATION_ROWS)
    for first in range(0, rows, step):
        batch = {name: array[first : min(first + step, rows)] for name, array in tensors.items()}
        if all(array.shape[0] for array in batch.values()):
            yield batch


def _hush(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


def _attempt(name: str, precision: str, folder: Path, build: Callable[[Path], None]) -> Candidate:
    path = folder / name / "model.onnx"
    try:
        build(path)
        model = open_model(path)
    except Exception as error:  # exporters and quantizers raise anything
        kind = "" if isinstance(error, YardError) else f"{type(error).__name__}: "
        finding = f"{kind}{error}".replace(f"{folder}/", "")  # it is sealed, and names no machine
        return Candidate(name, "onnxruntime", precision, None, None, 0, finding)
    return Candidate(name, "onnxruntime", precision, path, model, path.stat().st_size)
