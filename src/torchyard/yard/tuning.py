"""The search stage: trials of one study, one after another, until there are as many as asked for.

What is under way lies in ``runs/<key>/`` as of any run, for the study and for each trial; what came
of it in ``studies.db`` (Optuna's), ``studies/<key>/`` and MLflow. The test split is not read.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from torchyard.core.errors import BadModel, BadProject, BadUsage
from torchyard.core.files import write_atomically
from torchyard.core.record import Json, read_record, to_json, write_record
from torchyard.records.search import SearchSpace, Study, Trial
from torchyard.yard.preflight import fly
from torchyard.yard.results import Featured, OpenProject
from torchyard.yard.sources import model_source
from torchyard.yard.stages import stage_key
from torchyard.yard.tracking import Recording, recorded
from torchyard.yard.trying import Limits, make_trial, trial_underway
from torchyard.yard.tuned import STUDY, refuse_both, with_chosen
from torchyard.yard.underway import Underway
from torchyard.yard.ways import decided_by

if TYPE_CHECKING:
    from torchyard.train.search import Search, Trying

_CHECKS = "checks.json"
_MOST_FAILURES = 5  # in a row, with nothing else, that end a search


def tune(
    opened: OpenProject,
    featured: Featured,
    *,
    trials: int | None = None,
    minutes: float | None = None,
    given: Collection[str] = (),
) -> Study:
    """Search for the settings with the lowest validation loss, or go on with a search.

    Args:
        opened: the project, which declares what may be changed.
        featured: its data and features.
        trials: how many there shall be in all; as declared when None.
        minutes: when to end at the latest; the trial under way then goes on next time.
        given: settings that the caller replaced.

    Raises:
        BadProject: the project declares no search.
        BadUsage: there are no trials or minutes to search in, or the caller replaced a setting that
            is searched.
        BadModel: a check before the first trial fails, or the first five trials do.
        NotReady: another process is at the same search.
        Stopped: a signal asked for it; what was tried is kept.
    """
    space = _searched(opened, trials, minutes)
    refuse_both(given, space.settings, where="--set", by="ty.Search chooses")
    inputs = decided_by(opened, featured)
    key = _key(inputs, space)
    underway = Underway(opened.workspace.runs / key)
    started = time.monotonic()
    opened.progress.begin("tune")
    with underway.held():
        sitting = _Sitting(opened, featured, underway, inputs, space)
        study, made = sitting.sit(trials or space.trials, minutes)
    underway.clear()
    opened.progress.end(
        "tune", _summary(study), seconds=time.monotonic() - started, skipped=made == 0
    )
    return study


class _Sitting:
    """The part of a search that this process does."""

    def __init__(
        self,
        opened: OpenProject,
        featured: Featured,
        underway: Underway,
        inputs: dict[str, Json],
        space: SearchSpace,
    ) -> None:
        self._opened = opened
        self._featured = featured
        self._underway = underway
        self._inputs = inputs
        self._space = space
        self._folder = opened.workspace.studies / underway.folder.name

    def sit(self, wanted: int, minutes: float | None) -> tuple[Study, int]:
        """The study with so many trials, or what the time sufficed for; and how many are new."""
        from torchyard.train import StopSignals
        from torchyard.train.search import opened_search

        workspace, key = self._opened.workspace, self._underway.folder.name
        workspace.state.mkdir(parents=True, exist_ok=True)
        seed = self._opened.project.training.seed
        with (
            StopSignals.heard() as signals,
            opened_search(workspace.studies_database, key, self._space, seed=seed) as search,
        ):
            before = len(search.trials)
            if before >= wanted and self._is_kept(before):
                return read_record(Study, self._folder / STUDY), 0
            for trial in search.trials:  # a process may have been killed before it cleared them
                trial_underway(workspace, key, trial).clear()
            limits = Limits(wanted, minutes, lambda: signals.received)
            if search.run is not None:
                self._underway.begin(search.run)
            source = model_source(self._opened.loaded)
            with recorded(self._opened, self._featured, self._underway, source=source) as recording:
                search.keep(run=recording.active.id)
                recording.active.tag(_tags(self._opened, key))
                self._search(search, recording, limits)
                return self._finish(search, recording), len(search.trials) - before

    def _search(self, search: Search, recording: Recording, limits: Limits) -> None:
        while len(search.trials) < limits.trials:
            limits.refuse_stopped()
            if limits.is_late():
                break
            trying = search.ask()
            if trying is None:
                self._opened.progress.note("every combination has been tried")
                break
            try:
                self._check_once(trying, recording)
                is_over = not make_trial(
                    self._opened, self._featured, trying, limits,
                    study=self._underway.folder.name, parent=recording.active.id,
                )  # fmt: skip
            except BaseException:
                trying.interrupt()
                raise
            if is_over:
                trying.interrupt()
                break
            trials = search.trials
            self._keep(trials, recording.active.id, {})
            self._opened.progress.note(_line(trials, limits.trials))
            _refuse_hopeless(trials)

    def _check_once(self, trying: Trying, recording: Recording) -> None:
        """Pre-flight, before the first trial alone: of the settings as they are declared.

        Raises:
            BadModel: a check failed; it is named.
        """
        from torchyard.train.preflight import stopping

        path = self._folder / _CHECKS
        if path.exists() or not self._opened.project.training.preflight:
            return
        found = fly(with_chosen(self._opened, {}, trying.model), self._featured)
        self._opened.progress.note(found.summary)
        refusal = stopping(found)
        if refusal is not None:
            raise refusal
        recording.active.record(_CHECKS, to_json(found.checks))
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, b"{}")

    def _finish(self, search: Search, recording: Recording) -> Study:
        """The study with its importance, in pictures and in MLflow."""
        from torchyard.train.search_pictures import draw_importance, draw_trials

        trials, active = search.trials, recording.active
        study = self._keep(trials, active.id, search.importance())
        pictures = {"history.png": draw_trials(trials)} if trials else {}
        if study.importance:
            pictures["importance.png"] = draw_importance(study.importance, of=len(study.ranked))
        for name, picture in pictures.items():
            write_atomically(self._folder / name, picture)
            active.content(f"pictures/{name}", picture)
        active.record(STUDY, to_json(study))
        best = study.best
        found = {"best_validation_loss": best.value} if best and best.value is not None else {}
        counts = {"tried": len(trials), "pruned": study.pruned, "failed": study.failed}
        active.metrics({**found, **counts})
        return study

    def _keep(self, trials: tuple[Trial, ...], run: str, importance: dict[str, float]) -> Study:
        study = Study(
            key=self._underway.folder.name,
            run=run,
            inputs=self._inputs,
            space=self._space,
            trials=trials,
            importance=importance,
            updated=datetime.now(UTC).isoformat(),
        )
        write_record(self._folder / STUDY, study)
        return study

    def _is_kept(self, trials: int) -> bool:
        """Whether the study's record is whole, so that nothing is left to be done."""
        path = self._folder / STUDY
        if not path.exists():
            return False
        study = read_record(Study, path)
        return len(study.trials) == trials and (self._folder / "history.png").exists()


def _searched(opened: OpenProject, trials: int | None, minutes: float | None) -> SearchSpace:
    """What is to be searched.

    Raises:
        BadProject: nothing is.
        BadUsage: no trials or minutes are left to do it in.
    """
    for name, value in (("--trials", trials), ("--minutes", minutes)):
        if value is not None and not value > 0:
            raise BadUsage(
                where=name,
                found=str(value),
                expected="above 0",
                remedy="Leave it out, or raise it.",
            )
    space = opened.project.search
    if space is None:
        raise BadProject(
            where="ty.Project(..., search=)",
            found="no search",
            expected="what may be changed",
            remedy="For example search=ty.Search(learning_rate=ty.log_uniform(1e-4, 1e-2)).",
        )
    return space


def _key(inputs: dict[str, Json], space: SearchSpace) -> str:
    """What a study is named by: everything that decides its trials, but for how many there are."""
    fixed = {
        name: value for name, value in inputs["training"].items() if name not in space.settings
    }
    ranges = {"settings": to_json(space.settings), "model": to_json(space.model)}
    return stage_key({**inputs, "training": fixed, "search": ranges})


def _tags(opened: OpenProject, key: str) -> dict[str, str]:
    name = f"{opened.project.name} study {key[:6]}"
    return {"mlflow.runName": name, "torchyard.study": key, "torchyard.way": "search"}


def _line(trials: tuple[Trial, ...], wanted: int) -> str:
    """What came of the last trial."""
    last = trials[-1]
    chosen = ", ".join(f"{name} {_shown(value)}" for name, value in last.chosen.items())
    if last.outcome == "failed":
        return f"trial {last.number} of {wanted}: failed: {last.reason} ({chosen})"
    best = min((one.value for one in trials if one.outcome == "complete" and one.value is not None),
               default=None)  # fmt: skip
    mark = {"pruned": f", pruned after {last.epochs} epochs"}.get(last.outcome, "")
    if last.outcome == "complete" and last.value == best:
        mark = ", the lowest so far"
    return f"trial {last.number} of {wanted}: validation loss {last.value:.4f}{mark} ({chosen})"


def _shown(value: Json) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _summary(study: Study) -> str:
    best = study.best
    found = (
        f"the lowest validation loss is {best.value:.4f}, of trial {best.number}"
        if best is not None
        else "none was trained to its end"
    )
    return (
        f"study {study.key}: {len(study.trials)} trials, {study.pruned} pruned, "
        f"{study.failed} failed; {found}"
    )


def _refuse_hopeless(trials: tuple[Trial, ...]) -> None:
    """End a search whose every trial fails: the fault is not in what they chose.

    Raises:
        BadModel: the first five failed, and all since.
    """
    if len(trials) >= _MOST_FAILURES and all(one.outcome == "failed" for one in trials):
        raise BadModel(
            where="search",
            found=f"{len(trials)} trials, every one of which failed, the last one so: "
            f"{trials[-1].reason}",
            expected="some that can be trained",
            remedy="Mend the model, or narrow the ranges to what works.",
        )
