"""Candidates: the trained model in PyTorch, and what each runtime makes of it.

A build that fails becomes a finding on its variant; the others go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from torchyard.core.errors import YardError
from torchyard.evaluate import apply_calibration
from torchyard.optimize.plans import PLANS, Plan, Workbench
from torchyard.records.calibration import Calibration
from torchyard.records.evidence import VARIANT_FILES, Runtime
from torchyard.records.schema import Task
from torchyard.runtimes import open_model

if TYPE_CHECKING:
    from torch import nn

Columns = Mapping[str, "np.ndarray[Any, np.dtype[Any]]"]


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
    runtime: Runtime
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
    runtimes: Sequence[Runtime] = ("onnxruntime",),
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
        folder: each servable variant goes to ``folder/<name>/<file of its runtime>``.
        runtimes: what the module is built for.
    """
    weights = sum(p.numel() * p.element_size() for p in module.parameters())
    yardstick = EagerModel(encoder, module, task=task, calibration=calibration)
    folder.mkdir(parents=True, exist_ok=True)
    work = Workbench(module, features, tensors, task=task, calibration=calibration, folder=folder)
    candidates = [Candidate("torch-fp32", "torch", "fp32", None, yardstick, weights)]
    for plan in PLANS:
        if plan.runtime in runtimes and plan.is_possible():
            candidates.append(_attempt(plan, work, folder / plan.name))
    work.clear()
    return tuple(candidates)


def _attempt(plan: Plan, work: Workbench, folder: Path) -> Candidate:
    path = folder / VARIANT_FILES[plan.runtime]
    try:
        plan.build(work, path)
        model = open_model(
            path, runtime=plan.runtime, features=work.features, precision=plan.precision
        )
    except Exception as error:  # exporters and quantizers raise anything
        kind = "" if isinstance(error, YardError) else f"{type(error).__name__}: "
        # it is sealed, and names no machine
        finding = f"{kind}{error}".replace(f"{folder.parent}/", "")
        return Candidate(plan.name, plan.runtime, plan.precision, None, None, 0, finding)
    return Candidate(plan.name, plan.runtime, plan.precision, path, model, path.stat().st_size)
