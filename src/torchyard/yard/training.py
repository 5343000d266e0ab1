"""The train stage: a run tracked from before its first step, that goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchyard.core.record import Json, to_json, write_record
from torchyard.records.training import Environment, Epoch, Run
from torchyard.yard.results import Featured, OpenProject, TrainedModel
from torchyard.yard.sources import model_source
from torchyard.yard.stages import stage_key
from torchyard.yard.underway import Underway

if TYPE_CHECKING:
    from torchyard.train import ActiveRun, Tracker, Trained


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
    return TrainedModel(folder, featured)


def tracker_of(opened: OpenProject) -> Tracker:
    """Where the project's runs are recorded."""
    from torchyard.train import Tracker

    return Tracker(opened.workspace.tracking_url, opened.workspace.tracking_files)


def _inputs(opened: OpenProject, featured: Featured) -> dict[str, Json]:
    """Everything that decides the weights."""
    training = to_json(opened.project.training)
    del training["checkpoint_seconds"]
    return {
        "features": featured.graph.digest,
        "data": featured.version.digest,
        "split": to_json(opened.project.split),
        "model": model_source(opened.loaded),
        "training": training,
    }


class _Stage:
    """One sitting of a run."""

    def __init__(self, opened: OpenProject, featured: Featured, underway: Underway) -> None:
        self._opened = opened
        self._featured = featured
        self._underway = underway
        self._source = model_source(opened.loaded)

    def train_into(self, folder: Path) -> None:
        """Train, and leave the weights, the trace and the run's record in a folder."""
        from torchyard.train import capture_environment, probe, save_weights

        project, featured = self._opened.project, self._featured
        training = featured.examples("train")
        probe(project.model(featured.graph), featured.graph, training, project.task)
        environment = capture_environment(self._opened.workspace.folder)
        with tracker_of(self._opened).run(
            project.name, parameters=to_json(project.training), tags=self._tags(environment),
            begun=self._underway.run_id,
        ) as active:  # fmt: skip
            self._underway.begin(active.id)
            active.record("environment.json", to_json(environment))
            trained = self._trained(active)
            trained.trace.write(folder / "trace.safetensors")
            digest = save_weights(trained.module, folder / "weights.safetensors")
            run = self._run(active.id, trained, digest, environment)
            write_record(folder / "run.json", run)
            active.record("run.json", to_json(run))
            for name in ("weights.safetensors", "trace.safetensors"):
                active.file(folder / name)

    def _trained(self, active: ActiveRun) -> Trained:
        from torchyard.train import StopSignals, train

        project, featured = self._opened.project, self._featured
        settings = project.training
        with StopSignals.heard() as signals:
            return train(
                lambda: project.model(featured.graph),
                training=featured.examples("train"),
                validation=featured.examples("validation"),
                settings=settings,
                watch=_watch(self._opened, active, signals, featured.examples("train").rows),
                checkpoints=self._underway.checkpoints(every=settings.checkpoint_seconds),
            )

    def _tags(self, environment: Environment) -> dict[str, str]:
        return {
            "torchyard.dataset": self._featured.version.digest,
            "torchyard.features": self._featured.graph.digest,
            "torchyard.source": self._source,
            "torchyard.key": self._underway.folder.name,
            "torchyard.git_commit": environment.git_commit or "none",
        }

    def _run(self, run_id: str, trained: Trained, digest: str, environment: Environment) -> Run:
        featured = self._featured
        return Run(
            id=run_id,
            status="finished",
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
            environment=environment,
            notes=trained.notes,
        )


def _watch(opened: OpenProject, active: ActiveRun, signals: Any, rows: int) -> Any:
    """Tells the screen and MLflow, and stops at a signal."""
    from torchyard.train import Moment, Watch

    class Told(Watch):
        def on_moment(self, moment: Moment) -> None:
            minutes, seconds = divmod(round(moment.seconds_left), 60)
            opened.progress.tick(
                f"Training: epoch {moment.epoch} of {moment.epochs}, {moment.batch:,} of "
                f"{moment.batches:,} steps, loss {moment.loss:.4f}, "
                f"{moment.rows_per_second:,.0f} rows/s, at most {minutes}:{seconds:02d} left ..."
            )

        def on_epoch(self, epoch: Epoch) -> None:
            opened.progress.note(
                f"epoch {epoch.number}: loss {epoch.train_loss:.4f}, validation "
                f"{epoch.validation_loss:.4f} ({rows / epoch.seconds:,.0f} rows/s)"
            )
            active.metrics(
                {"train_loss": epoch.train_loss, "validation_loss": epoch.validation_loss},
                step=epoch.number,
            )

        def on_note(self, text: str) -> None:
            opened.progress.note(text)

        def should_stop(self) -> str:
            return str(signals.received)

    return Told()
