"""Training the project's module once more beside the run, to see what a change makes of it.

The same module, settings and seed on other rows or other features: nothing is tracked and no
weights are kept. Not here: the run itself, see ``training``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchyard.records.calibration import Calibration
from torchyard.records.training import Epoch
from torchyard.yard.building import build_module
from torchyard.yard.featuring import encode_part, fit_training
from torchyard.yard.results import SPLITS, Array, Featured, OpenProject
from torchyard.yard.underway import Underway
from torchyard.yard.ways import train_in, way_of

if TYPE_CHECKING:
    from torchyard.train import Watch


@dataclass(frozen=True)
class Retrained:
    """A module that was trained beside the run, its calibration, and its features."""

    featured: Featured
    module: Any
    calibration: Calibration

    def outputs(self, opened: OpenProject, split: str) -> Array:
        """Its calibrated answers to a part, ``float64 [rows, outputs]``."""
        from torchyard.evaluate import apply_calibration
        from torchyard.train import predict_logits

        logits = predict_logits(self.module, self.featured.examples(split))
        return apply_calibration(logits, self.calibration, opened.project.task)


def retrain(
    opened: OpenProject, featured: Featured, *, told: Callable[[str], None] = lambda text: None
) -> Retrained:
    """Train and calibrate as the run does.

    Args:
        opened: the project, as it is to be trained.
        featured: its rows and fitted features, in a folder of its own.
        told: how far it is, now and then.

    Raises:
        BadModel: the module does not fit these features, or fails.
        Stopped: a signal asked for it.
    """
    from torchyard.evaluate import fit_calibration, label_scale
    from torchyard.train import StopSignals, predict_logits, probe

    project = opened.project
    module = build_module(project, featured.graph)
    probe(module, featured.graph, featured.examples("train"), project.task)
    underway = Underway(featured.folder / "underway")
    with StopSignals.heard() as signals:
        trained = train_in(
            way_of(project, module), opened, featured,
            watch=_watch(project.training.max_epochs, lambda: signals.received, told),
            checkpoints=underway.checkpoints(every=project.training.checkpoint_seconds),
        )  # fmt: skip
    underway.clear()
    module = trained.module.eval()
    calibration = fit_calibration(
        project.task, truth=featured.truth("validation"),
        logits=predict_logits(module, featured.examples("validation")),
        scale=label_scale(project.task, featured.truth("train")), seed=project.training.seed,
    )  # fmt: skip
    return Retrained(featured, module, calibration)


def encode_anew(opened: OpenProject, featured: Featured) -> Featured:
    """Fit the features on the training rows that lie in a folder, and encode all of its parts."""
    graph = fit_training(opened, featured.folder)
    for name in SPLITS:
        encode_part(opened.project.schema, graph, featured.folder, name)
    return dataclasses.replace(featured)  # what was read of the folder before is forgotten


def link_parts(featured: Featured, folder: Path) -> Featured:
    """The same parted rows in another folder, for other features."""
    for name in SPLITS:
        (folder / name).mkdir(parents=True)
        for file in sorted(featured.folder.glob(f"{name}.*")):
            (folder / file.name).symlink_to(file.resolve())
    return Featured(folder, featured.version)


def _watch(epochs: int, stop: Callable[[], str], told: Callable[[str], None]) -> Watch:
    from torchyard.train import Watch

    class Told(Watch):
        def on_epoch(self, epoch: Epoch) -> None:
            told(f"epoch {epoch.number} of {epochs}")

        def should_stop(self) -> str:
            return stop()

    return Told()
