"""Static int8 by ONNX Runtime."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from torchyard.optimize.width import is_wide

# rows that the int8 ranges are taken from
CALIBRATION_ROWS = 2_048
WIDE_CALIBRATION_ROWS = 256
_WIDE_BATCH = 32


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
