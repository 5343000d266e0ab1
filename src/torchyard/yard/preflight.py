"""Pre-flight of a run: the checks wired to the project's rows, features and serving path.

A run is checked once, before its first step. What was found stays in its folder, so a run that goes
on after it was stopped is not checked again, and ends up in its record.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from torchyard.core.files import write_atomically
from torchyard.core.record import from_json, to_json
from torchyard.records.calibration import AS_TRAINED
from torchyard.records.training import Check
from torchyard.yard.building import build_module
from torchyard.yard.results import Featured, OpenProject
from torchyard.yard.underway import Underway

if TYPE_CHECKING:
    from torch import nn

    from torchyard.train import Watch
    from torchyard.train.extremes import RealRow
    from torchyard.train.preflight import Preflight

_FILE = "checks.json"
_SERVED_ROWS = 32


def fly(opened: OpenProject, featured: Featured, watch: Watch | None = None) -> Preflight:
    """Check the project's module against its features and rows; seconds, and nothing is kept.

    Args:
        opened: the project.
        featured: what would be learnt from.
        watch: asked before each check whether to stop.

    Raises:
        Stopped: ``watch`` asked for it.
        BadModel: the module does not take the features, or gives no logits.
        BadData: a label is none of the task's classes.
    """
    from torchyard.train import probe
    from torchyard.train.preflight import preflight
    from torchyard.train.watch import stopped

    def before(name: str) -> None:
        opened.progress.tick(f"Pre-flight: {name} ...")
        why = watch.should_stop() if watch is not None else ""
        if why:
            raise stopped(why, where=f"pre-flight, before '{name}'")

    project = opened.project
    training = featured.examples("train")
    probe(build_module(project, featured.graph), featured.graph, training, project.task)
    return preflight(
        lambda: build_module(project, featured.graph),
        training=training,
        validation=featured.examples("validation"),
        settings=project.training,
        row=_real_row(featured),
        serve=lambda module: serving_gap(opened, featured, module),
        before=before,
    )


def checked(
    opened: OpenProject, featured: Featured, underway: Underway, watch: Watch | None = None
) -> tuple[Check, ...]:
    """The checks of a run: made before its first step, and found again when it goes on.

    None where ``ty.Training(preflight=False)`` says so, or where weights are given, which learn no
    more. Warnings are told.

    Raises:
        BadModel: a check failed; it is named.
        Stopped: ``watch`` asked for it.
    """
    from torchyard.train.preflight import stopping

    kept = underway.folder / _FILE
    if kept.exists():
        return tuple(from_json(Check, one, where=_FILE) for one in json.loads(kept.read_text()))
    project = opened.project
    if underway.has_saved or not project.training.preflight or project.weights is not None:
        return ()
    found = fly(opened, featured, watch)
    opened.progress.note(found.summary)
    for check in found.checks:
        if check.outcome != "pass":
            mark = {"warn": "warning", "fail": "failed"}[check.outcome]
            opened.progress.note(f"{mark}: {check.name}: {check.found}. {check.remedy}")
    refusal = stopping(found)
    if refusal is not None:
        raise refusal
    write_atomically(kept, json.dumps(to_json(found.checks)).encode())
    return found.checks


def serving_gap(opened: OpenProject, featured: Featured, module: nn.Module) -> float:
    """The largest difference between answers of a module served and in PyTorch.

    Of numbers as a share of the largest one, at least 1. Training rows go through the one file that
    serving would run, untrained as the module is.

    Raises:
        BadModel: the module cannot be exported.
    """
    import torch

    from torchyard.features import Encoder, columns_from_frame
    from torchyard.optimize.build import EagerModel
    from torchyard.optimize.export import export_module, merge
    from torchyard.runtimes import open_model

    task = opened.project.task
    places = featured.sample("train", _SERVED_ROWS, seed=0)
    rows = featured.rows_at("train", places, featured.inputs.names)
    columns = columns_from_frame(featured.inputs, rows)
    encoder = Encoder(featured.graph_file)
    tensors = encoder.encode(columns)
    with tempfile.TemporaryDirectory() as folder:
        exported, whole = Path(folder) / "exported.onnx", Path(folder) / "model.onnx"
        sample = {name: torch.from_numpy(array[:2].copy()) for name, array in tensors.items()}
        export_module(module, sample, exported)
        merge(featured.graph_file, exported, task=task, calibration=AS_TRAINED, path=whole)
        served = open_model(whole).run(columns)
    plain = EagerModel(encoder, module, task=task, calibration=AS_TRAINED).run(columns)
    largest = max(1.0, float(np.abs(plain).max()))
    return float(np.abs(served - plain).max()) / largest


def _real_row(featured: Featured) -> RealRow:
    """A training row with the fields that the features read."""
    from torchyard.features import Encoder, columns_from_frame
    from torchyard.train.extremes import RealRow

    inputs = featured.inputs
    row = featured.rows_at("train", featured.sample("train", 1, seed=0), inputs.names)
    return RealRow(
        inputs, columns_from_frame(inputs, row), Encoder(featured.graph_file, threads=1).encode
    )
