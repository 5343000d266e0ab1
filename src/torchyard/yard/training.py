"""The train stage: a run tracked from before its first step, that goes on where it was stopped."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from torchyard.core.record import Json, to_json, write_record
from torchyard.records.training import Check, Run, Way
from torchyard.yard.building import build_module
from torchyard.yard.preflight import checked
from torchyard.yard.results import Featured, OpenProject, TrainedModel
from torchyard.yard.sources import model_source
from torchyard.yard.stages import stage_key
from torchyard.yard.tracking import Recording, recorded
from torchyard.yard.tuned import study_tags
from torchyard.yard.underway import Underway, clear_forgotten
from torchyard.yard.ways import decided_by, train_in, way_of

if TYPE_CHECKING:
    from torchyard.train import Trained, Watch


def train_model(opened: OpenProject, featured: Featured) -> TrainedModel:
    """Train the project's module, or go on with it where the last sitting stood.

    Raises:
        BadModel: the module does not fit the features, fails, or its loss is not finite.
        NotReady: another process is training the same.
        Stopped: a signal asked for it; where it stood is kept.
    """
    inputs = _inputs(opened, featured)
    underway = Underway(opened.workspace.runs / stage_key(inputs))

    def make(folder: Path) -> None:
        with underway.held():
            _Stage(opened, featured, underway).train_into(folder)

    def summarize(folder: Path) -> str:
        run = TrainedModel(folder, featured).run
        best = run.best
        chosen = (
            f"best of {len(run.curve)} epochs is {best.number} "
            f"(validation loss {best.validation_loss:.4f})"
            if best is not None
            else "weights as they were given"
        )
        return f"run {run.id[:8]}: {run.parameters:,} parameters, {chosen}"

    folder = opened.stages.run("train", inputs, make, summarize)
    underway.clear()
    clear_forgotten(opened.workspace.runs, now=time.time())
    return TrainedModel(folder, featured)


def _inputs(opened: OpenProject, featured: Featured) -> dict[str, Json]:
    inputs = decided_by(opened, featured)
    # a search's choice decides what the run's record says, too
    return inputs if opened.tuned is None else {**inputs, "tuned": to_json(opened.tuned)}


class _Stage:
    """One sitting of a run."""

    def __init__(self, opened: OpenProject, featured: Featured, underway: Underway) -> None:
        self._opened = opened
        self._featured = featured
        self._underway = underway
        self._source = model_source(opened.loaded)

    def train_into(self, folder: Path) -> None:
        """Train, and leave the weights, the trace and the run's record in a folder."""
        from torchyard.train import StopSignals, probe, save_weights

        project, featured = self._opened.project, self._featured
        with (
            StopSignals.heard() as signals,
            recorded(self._opened, featured, self._underway, source=self._source) as recording,
        ):
            training = featured.examples("train")
            module = build_module(project, featured.graph)
            way = way_of(project, module)
            recording.active.tag({"torchyard.way": way, **study_tags(self._opened)})
            probe(module, featured.graph, training, project.task)
            watch = recording.watch(signals)
            checks = checked(self._opened, featured, self._underway, watch)
            recording.active.record("checks.json", to_json(checks))
            trained = self._trained(way, watch)
            trained.trace.write(folder / "trace.safetensors")
            digest = save_weights(trained.module, folder / "weights.safetensors")
            run = self._run(way, recording, trained, digest, checks)
            write_record(folder / "run.json", run)
            recording.finish(trained, run, folder)

    def _trained(self, way: Way, watch: Watch) -> Trained:
        every = self._opened.project.training.checkpoint_seconds
        checkpoints = self._underway.checkpoints(every=every)
        return train_in(way, self._opened, self._featured, watch=watch, checkpoints=checkpoints)

    def _run(
        self,
        way: Way,
        recording: Recording,
        trained: Trained,
        digest: str,
        checks: tuple[Check, ...],
    ) -> Run:
        featured = self._featured
        return Run(
            id=recording.active.id,
            status="finished",
            way=way,
            training=self._opened.project.training,
            dataset=featured.version.digest,
            features=featured.graph.digest,
            model_source=self._source,
            parameters=sum(p.numel() for p in trained.module.parameters()),
            train_rows=featured.examples("train").rows,
            validation_rows=featured.examples("validation").rows,
            curve=trained.curve,
            best_epoch=trained.best_epoch,
            steps=trained.trace.steps,
            resumes=trained.resumes,
            seconds=trained.seconds,
            weights_sha256=digest,
            environment=recording.environment,
            checks=checks,
            notes=(*recording.notes, *trained.notes),
            tuned=self._opened.tuned,
        )
