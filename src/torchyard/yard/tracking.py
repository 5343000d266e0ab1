"""What is recorded of a run, from its first second to its last.

First where it comes from, while it goes on its curve and what it takes of the machine, at last what
it made, and how that answers. A run that goes on after it was stopped or killed is one run.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torchyard.core.digest import short
from torchyard.core.record import to_json
from torchyard.records.training import Environment, Epoch, Run
from torchyard.yard.answers import record_answers
from torchyard.yard.environments import moved
from torchyard.yard.results import Featured, OpenProject
from torchyard.yard.underway import Underway
from torchyard.yard.workspace import PROJECT_FILE, LoadedProject

if TYPE_CHECKING:
    from torchyard.train import ActiveRun, StopSignals, Tracker, Trained, Watch
    from torchyard.train.system import SystemSamples
    from torchyard.train.track import Batch, Point

CODE = "code"
ENVIRONMENT = "environment.json"
REQUIREMENTS = "requirements.txt"
DIFF = "uncommitted.diff"
BEST = "best_"


@dataclass(frozen=True)
class Recording:
    """A run that is being recorded.

    Attributes:
        opened: the project.
        featured: what is learnt from.
        active: the run in MLflow.
        environment: where it began.
        samples: what it takes of its machine.
        batch: metrics that are on their way.
        notes: what its record should say besides.
    """

    opened: OpenProject
    featured: Featured
    active: ActiveRun
    environment: Environment
    samples: SystemSamples
    batch: Batch
    notes: tuple[str, ...] = ()

    def watch(self, signals: StopSignals) -> Watch:
        """Tells the screen and MLflow what goes on, and stops at a signal."""
        return _watch(self, signals)

    def finish(self, trained: Trained, run: Run, folder: Path) -> None:
        """Record what the run made: its curve, its files, how it answers."""
        from torchyard.train.pictures import draw_curve
        from torchyard.train.track import Point, thinned

        project, active = self.opened.project, self.active
        self.batch.send()
        steps = [Point("step_loss", n, loss) for n, loss in thinned(trained.trace.losses)]
        active.complete([*itertools.chain(*map(_points, trained.curve)), *steps])
        active.record("run.json", to_json(run))
        for name in ("weights.safetensors", "trace.safetensors"):
            active.file(folder / name)
        if trained.curve:
            picture = draw_curve(trained.curve, best_epoch=trained.best_epoch)
            active.content("pictures/curve.png", picture)
        record_answers(
            active, self.featured, project.task, trained.module, seed=project.training.seed
        )
        active.metrics({
            **{f"{BEST}{name}": loss for name, loss in run.losses.items()},
            "seconds": run.seconds, "steps": run.steps, "parameters": run.parameters,
        })  # fmt: skip
        active.tag({"torchyard.weights": run.weights_sha256, "torchyard.way": run.way})


def tracker_of(opened: OpenProject) -> Tracker:
    """Where the project's runs are recorded."""
    from torchyard.train import Tracker

    return Tracker(opened.workspace.tracking_url, opened.workspace.tracking_files)


@contextmanager
def recorded(
    opened: OpenProject, featured: Featured, underway: Underway, *, source: str
) -> Iterator[Recording]:
    """Record a run while the block lasts, or go on recording the one that is under way.

    Args:
        opened: the project.
        featured: what is learnt from; not read here.
        underway: the run's folder.
        source: digest of the code that the model is made by.
    """
    from torchyard.train import capture_environment
    from torchyard.train.environment import uncommitted_diff
    from torchyard.train.kernels import with_threads
    from torchyard.train.system import SystemSamples
    from torchyard.train.track import Batch

    project = opened.project
    key = underway.folder.name
    tags = {
        "mlflow.runName": f"{project.name} {key[:6]}",
        "torchyard.key": key,
        "torchyard.dataset": featured.version.digest,
        "torchyard.features": featured.graph.digest,
        "torchyard.source": source,
    }
    with tracker_of(opened).run(
        project.name, parameters=to_json(project.training), tags=tags, begun=underway.run_id
    ) as active:
        underway.begin(active.id)
        version = featured.version
        active.reads(
            version.name, digest=short(version.digest), source=version.source, part="training"
        )
        diff = uncommitted_diff(opened.workspace.folder)
        now = capture_environment(opened.workspace.folder, diff=diff)
        environment = underway.began_in(now)
        if environment is now:
            _record_origin(active, opened.loaded, environment, diff)
        notes = [note for note in (moved(environment, now),) if note]
        for note in notes:
            opened.progress.note(note)
        first = active.next_step("system/memory_mib")
        with (
            Batch.to(active) as batch,
            SystemSamples.kept(batch.add, first=first) as samples,
            with_threads(environment.threads),
        ):
            batch.send()
            yield Recording(opened, featured, active, environment, samples, batch, tuple(notes))


def _record_origin(
    active: ActiveRun, loaded: LoadedProject, environment: Environment, diff: bytes
) -> None:
    """Where a run comes from: its code, its commit, its environment and hardware."""
    from torchyard.train.environment import requirements

    folder = loaded.workspace.folder
    for path in (folder / PROJECT_FILE, *loaded.imported):
        active.content(f"{CODE}/{path.relative_to(folder)}", path.read_bytes())
    active.record(ENVIRONMENT, to_json(environment))
    active.text(REQUIREMENTS, requirements(environment.packages))
    if diff:
        active.content(DIFF, diff)
    active.tag({
        "mlflow.source.git.commit": environment.git_commit or "none",
        "torchyard.git_commit": environment.git_commit or "none",
        "torchyard.processor": environment.processor,
        "torchyard.cores": str(environment.cores),
        "torchyard.memory_gib": str(environment.memory_gib),
        "torchyard.accelerator": environment.accelerator,
    })  # fmt: skip


def _points(epoch: Epoch) -> list[Point]:
    """An epoch as metrics."""
    from torchyard.train.track import Point

    return [
        Point("train_loss", epoch.number, epoch.train_loss),
        Point("validation_loss", epoch.number, epoch.validation_loss),
        Point("epoch_seconds", epoch.number, epoch.seconds),
    ]


def _watch(recording: Recording, signals: StopSignals) -> Watch:
    from torchyard.train import Moment, Watch
    from torchyard.train.track import Point

    rows = recording.featured.examples("train").rows
    progress = recording.opened.progress

    def tell(points: list[Point]) -> None:
        recording.batch.add([*points, *recording.samples.take()])
        recording.batch.send_if_due()

    class Told(Watch):
        def on_moment(self, moment: Moment) -> None:
            minutes, seconds = divmod(round(moment.seconds_left), 60)
            progress.tick(
                f"Training: epoch {moment.epoch} of {moment.epochs}, {moment.batch:,} of "
                f"{moment.batches:,} steps, loss {moment.loss:.4f}, "
                f"{moment.rows_per_second:,.0f} rows/s, at most {minutes}:{seconds:02d} left ..."
            )
            step = (moment.epoch - 1) * moment.batches + moment.batch
            tell([Point("live_loss", step, moment.loss)] if recording.batch.is_due else [])

        def on_epoch(self, epoch: Epoch) -> None:
            progress.note(
                f"epoch {epoch.number}: loss {epoch.train_loss:.4f}, validation "
                f"{epoch.validation_loss:.4f} ({rows / epoch.seconds:,.0f} rows/s)"
            )
            tell(_points(epoch))

        def on_metrics(self, step: int, values: Mapping[str, float]) -> None:
            tell([Point(name, step, value) for name, value in values.items()])

        def on_note(self, text: str) -> None:
            progress.note(text)

        def should_stop(self) -> str:
            return signals.received

    return Told()
