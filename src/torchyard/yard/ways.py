"""The four ways in: who trains a project's module, what decides the weights, and the call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torchyard.core.record import Json, to_json
from torchyard.project import Project
from torchyard.records.training import IDLE, Way
from torchyard.yard.building import build_module
from torchyard.yard.results import Featured, OpenProject
from torchyard.yard.sources import model_source
from torchyard.yard.workspace import LoadedProject

if TYPE_CHECKING:
    from torch import nn

    from torchyard.train import Checkpoints, Trained, Watch


def way_of(project: Project, module: nn.Module) -> Way:
    """Who trains a module that the project built."""
    from torchyard.train.lightning_parts import lightning_package

    if project.weights is not None:
        return "weights"
    if project.fit is not None:
        return "fit"
    return "lightning" if lightning_package(module) else "loop"


def weights_file(loaded: LoadedProject) -> Path | None:
    """The file of weights that the project names; None when it names none."""
    weights = loaded.project.weights
    return None if weights is None else loaded.workspace.folder / weights


def decided_by(opened: OpenProject, featured: Featured) -> dict[str, Json]:
    """Everything that decides a run's weights: the same gives the same."""
    training = to_json(opened.project.training)
    inputs: dict[str, Json] = {
        "data": featured.version.digest,
        "features": featured.graph.digest,
        "split": to_json(opened.project.split),
        "code": model_source(opened.loaded),
        "training": {name: value for name, value in training.items() if name not in IDLE},
    }
    path = weights_file(opened.loaded)
    if path is not None:
        from torchyard.train import digest_weights

        inputs["weights"] = digest_weights(path)
    return inputs


def train_in(
    way: Way, opened: OpenProject, featured: Featured, *, watch: Watch, checkpoints: Checkpoints
) -> Trained:
    """Train the project's module, or read its weights.

    Raises:
        BadModel: the module or its weights are at fault.
        Stopped: ``watch`` asked for it; where the run stood is saved.
    """
    from torchyard.train import train, train_by_fit, train_by_weights, train_lightning
    from torchyard.yard.ranks import ranks_of

    project = opened.project
    settings = project.training
    path = weights_file(opened.loaded)

    def build() -> nn.Module:
        return build_module(project, featured.graph)

    if path is not None:
        return train_by_weights(build, path, settings=settings)
    training, validation = featured.examples("train"), featured.examples("validation")
    if project.fit is not None:
        return train_by_fit(
            project.fit, build, training=training, validation=validation, settings=settings,
            features=featured.graph, watch=watch, checkpoints=checkpoints,
        )  # fmt: skip
    if way == "lightning":
        return train_lightning(
            build, training=training, validation=validation, settings=settings, watch=watch,
            checkpoints=checkpoints,
        )  # fmt: skip
    with ranks_of(opened, featured, checkpoints) as ranks:
        return train(
            build, training=training, validation=validation, settings=settings, watch=watch,
            checkpoints=checkpoints, ranks=ranks,
        )  # fmt: skip
