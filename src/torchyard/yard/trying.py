"""One trial of a search: trained as any run is, recorded in short, ended early where hopeless.

Not here: what to try, see ``train/search.py``.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, final

from torchyard.core.errors import BadProject, Stopped, YardError
from torchyard.core.record import Json, to_json
from torchyard.records.search import Trial
from torchyard.records.training import Epoch, Way
from torchyard.yard.building import build_module
from torchyard.yard.results import Featured, OpenProject
from torchyard.yard.stages import stage_key
from torchyard.yard.tracking import BEST, tracker_of
from torchyard.yard.tuned import with_chosen
from torchyard.yard.underway import Underway
from torchyard.yard.ways import train_in, way_of
from torchyard.yard.workspace import Workspace

if TYPE_CHECKING:
    from torchyard.train import ActiveRun, Trained, Watch
    from torchyard.train.search import Trying

_LATE = "the time is over"
_HOPELESS = "worse than half of the trials before it"
# what a LightningModule's own optimizers decide
_MODULES_OWN = ("learning_rate", "weight_decay", "optimizer", "schedule", "warmup")
# what keeps the record of a trial: a fault of theirs says nothing about its settings
_RECORDERS = ("mlflow", "sqlalchemy", "sqlite3", "optuna")


@final
@dataclass
class Limits:
    """How long a search goes on.

    Attributes:
        trials: how many there shall be in all.
        minutes: from now; None for no limit.
        stop: why a signal asks to stop; empty when none does.
    """

    trials: int
    minutes: float | None
    stop: Callable[[], str]
    _began: float = field(default_factory=time.monotonic)

    def is_late(self) -> bool:
        """Whether the time is over."""
        return self.minutes is not None and time.monotonic() - self._began >= 60 * self.minutes

    def why_stop(self) -> str:
        """Why a trial should stop where it stands; empty when it should go on."""
        return self.stop() or (_LATE if self.is_late() else "")

    def refuse_stopped(self) -> None:
        """Stop between two trials.

        Raises:
            Stopped: a signal asks for it.
        """
        from torchyard.train.watch import stopped

        why = self.stop()
        if why:
            raise stopped(why, where="search")


def trial_underway(workspace: Workspace, study: str, trial: Trial | Trying) -> Underway:
    """Where a trial keeps where it stands: of the same study and settings, the same place."""
    chosen = {"study": study, "settings": trial.settings, "model": trial.model}
    return Underway(workspace.runs / stage_key(chosen))


def make_trial(
    opened: OpenProject,
    featured: Featured,
    trying: Trying,
    limits: Limits,
    *,
    study: str,
    parent: str,
) -> bool:
    """Train with the settings of a trial and end it; whatever goes wrong with them ends it too.

    Args:
        opened: the project.
        featured: its data and features.
        trying: the trial; ended here.
        limits: told when to stop.
        study: the study's key.
        parent: the study's MLflow run.

    Returns:
        False where the time ran out: the trial stands where it stood, and is not ended.

    Raises:
        Stopped: a signal asked for it; where it stood is kept.
        OSError: the disk is full, or cannot be read.
    """
    underway = trial_underway(opened.workspace, study, trying)
    began = time.monotonic()
    outcome: Literal["complete", "pruned", "failed"]
    try:
        with (
            underway.held(),
            tracker_of(opened).run(
                opened.project.name, parameters=_parameters(opened, trying),
                tags=_tags(opened, featured, trying, study, parent, underway),
                begun=underway.run_id,
            ) as active,
        ):  # fmt: skip
            underway.begin(active.id)
            trying.keep(run=active.id)
            outcome, seconds = _train(opened, featured, trying, limits, underway, active)
    except Stopped as error:
        if error.found == _LATE:
            return False
        raise
    except Exception as error:  # whatever a project's code raises for some settings
        if _is_of_the_record(error):
            raise
        outcome = "failed"
        reason = " ".join(f"{_kind(error)}{error}".split())
        trying.end("failed", seconds=time.monotonic() - began, reason=reason)
    else:
        trying.end(outcome, seconds=seconds)
    underway.clear()
    _release_memory(failed=outcome == "failed")
    return True


def _train(
    opened: OpenProject,
    featured: Featured,
    trying: Trying,
    limits: Limits,
    underway: Underway,
    active: ActiveRun,
) -> tuple[Literal["complete", "pruned"], float]:
    """Train a trial; how it ended, and its seconds."""
    from torchyard.train import probe

    began = time.monotonic()
    chosen = with_chosen(opened, trying.settings, trying.model)
    project = chosen.project
    module = build_module(project, featured.graph)
    way = way_of(project, module)
    active.tag({"torchyard.way": way})
    _check_used(way, trying)
    probe(module, featured.graph, featured.examples("train"), project.task)
    del module
    checkpoints = underway.checkpoints(every=project.training.checkpoint_seconds)
    watch = _watch(chosen, trying, limits, active)
    try:
        trained = train_in(way, chosen, featured, watch=watch, checkpoints=checkpoints)
    except Stopped as error:
        if error.found != _HOPELESS:
            raise
        seconds = time.monotonic() - began
        active.metrics({f"{BEST}validation_loss": trying.lowest or 0.0, "seconds": seconds})
        active.tag({"torchyard.outcome": "pruned"})
        return "pruned", seconds
    for epoch in trained.curve:  # those before it went on from a checkpoint
        trying.report(epoch.number, epoch.validation_loss)
    _record(trained, active)
    return "complete", trained.seconds


def _check_used(way: Way, trying: Trying) -> None:
    """Refuse to search what changes nothing.

    Raises:
        BadProject: the module is Lightning's and does not use a setting.
    """
    unused = [name for name in _MODULES_OWN if name in trying.settings]
    if way == "lightning" and unused:
        raise BadProject(
            where=f"ty.Search(..., {unused[0]}=)",
            found="a setting that a LightningModule does not use: its optimizers are its own",
            expected="an argument of the module",
            remedy=f"Let it take one, and search it: model=dict({unused[0]}=...).",
        )


def _record(trained: Trained, active: ActiveRun) -> None:
    """The numbers of a trial; its weights are not kept."""
    best = trained.curve[trained.best_epoch - 1]
    active.metrics({
        f"{BEST}train_loss": best.train_loss, f"{BEST}validation_loss": best.validation_loss,
        "seconds": trained.seconds, "steps": trained.trace.steps,
        "parameters": sum(one.numel() for one in trained.module.parameters()),
    })  # fmt: skip
    active.tag({"torchyard.outcome": "complete"})


def _watch(opened: OpenProject, trying: Trying, limits: Limits, active: ActiveRun) -> Watch:
    from torchyard.train import Moment, Watch
    from torchyard.train.watch import stopped

    last = opened.project.training.max_epochs

    class Told(Watch):
        def on_moment(self, moment: Moment) -> None:
            opened.progress.tick(
                f"Trial {trying.number} of {limits.trials}: epoch {moment.epoch} of "
                f"{moment.epochs}, loss {moment.loss:.4f} ..."
            )

        def on_epoch(self, epoch: Epoch) -> None:
            losses = {"train_loss": epoch.train_loss, "validation_loss": epoch.validation_loss}
            active.metrics(losses, step=epoch.number)
            trying.report(epoch.number, epoch.validation_loss)
            # after its last epoch there is nothing left to save
            if epoch.number < last and trying.is_hopeless():
                raise stopped(_HOPELESS, where=f"trial {trying.number}")

        def should_stop(self) -> str:
            return limits.why_stop()

    return Told()


def _parameters(opened: OpenProject, trying: Trying) -> dict[str, Json]:
    arguments = {f"model.{name}": value for name, value in trying.model.items()}
    return {**to_json(opened.project.training), **trying.settings, **arguments}


def _tags(
    opened: OpenProject,
    featured: Featured,
    trying: Trying,
    study: str,
    parent: str,
    underway: Underway,
) -> dict[str, str]:
    return {
        "mlflow.parentRunId": parent,
        "mlflow.runName": f"{opened.project.name} study {study[:6]} trial {trying.number}",
        "torchyard.study": study,
        "torchyard.trial": str(trying.number),
        "torchyard.key": underway.folder.name,
        "torchyard.dataset": featured.version.digest,
        "torchyard.features": featured.graph.digest,
    }


def _kind(error: Exception) -> str:
    """What kind of error it is, where its text does not say so itself."""
    return "" if isinstance(error, YardError) else f"{type(error).__name__}: "


def _is_of_the_record(error: Exception) -> bool:
    """Whether a disk or a database is at fault, and not what a trial chose."""
    return isinstance(error, OSError) or type(error).__module__.split(".")[0] in _RECORDERS


def _release_memory(*, failed: bool) -> None:
    """Give back what a trial took, so that the next one finds all of it.

    Python's own count of references does most of that: to look for cycles takes half a second.
    """
    import torch

    if failed or torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()
