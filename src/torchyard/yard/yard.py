"""``ty.Yard``: one Python call per stage, the same that the command line makes.

Example::

    import torchyard as ty

    released = ty.Yard("examples/flights").ship()
    print(released.id, released.report.metrics["auroc"].value)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torchyard.core.record import Json
from torchyard.records.ageing import Staleness
from torchyard.records.dataset import DatasetVersion
from torchyard.records.difference import DatasetDiff
from torchyard.records.verdicts import Verdict
from torchyard.records.weaknesses import FieldCost
from torchyard.yard import datasets, operate, runs
from torchyard.yard.ageing import kept_staleness
from torchyard.yard.evaluating import evaluate_model
from torchyard.yard.featuring import fit_features
from torchyard.yard.judging import judge_evaluated, today
from torchyard.yard.operator import Operator
from torchyard.yard.optimizing import optimize_model
from torchyard.yard.preflight import fly
from torchyard.yard.releasing import Released, release
from torchyard.yard.results import Evaluated, Featured, OpenProject, Optimized, TrainedModel
from torchyard.yard.runs import RunComparison, RunDetails, TrackedRun
from torchyard.yard.settings import Settings, changed
from torchyard.yard.stages import Progress, Silent, Stages
from torchyard.yard.training import train_model
from torchyard.yard.tuned import with_latest_study
from torchyard.yard.workspace import Workspace, load_project

if TYPE_CHECKING:
    from torchyard.data.check import Validation
    from torchyard.data.versions import Dataset
    from torchyard.records.readiness import Readiness
    from torchyard.records.reproduction import Reproduction
    from torchyard.records.search import Study
    from torchyard.train.preflight import Preflight
    from torchyard.yard.attributing import Attribution


class Yard(Operator):
    """A project's folder, and one call per stage of its lifecycle.

    Each call does what is still to be done before it: ``ship`` on a fresh folder does everything.
    ``training`` are settings that replace those of the project file for one call; with ``tuned`` it
    takes what the latest search that fits the project chose (``NotFound`` where there is none).

    Args:
        folder: at or below the one that holds ``project.py``.
        progress: told what goes on; nobody when left out.
        data_only: open it for its datasets; then a folder without a project file will do.

    Raises:
        BadProject: there is no project file.
    """

    def __init__(
        self,
        folder: str | Path = ".",
        *,
        progress: Progress | None = None,
        data_only: bool = False,
    ) -> None:
        find = datasets.data_workspace if data_only else Workspace.find
        self.workspace = find(Path(folder))
        self._progress = progress or Silent()

    @staticmethod
    def init(folder: str | Path) -> Yard:
        """Write a new project that ships as it is, and open it."""
        from torchyard.yard.init import init_project

        return Yard(init_project(Path(folder)))

    def open(self, training: Settings | None = None) -> OpenProject:
        """Load ``project.py``.

        Raises:
            BadProject: the file does not load, or a gate names a metric that the task has not.
            BadUsage: ``training`` names a setting that does not exist, has another type or is out
                of its range.
        """
        from torchyard.evaluate import check_gates, check_operating
        from torchyard.evaluate.ageing import check_ageing_metric

        loaded = load_project(self.workspace)
        check_operating(loaded.project.task)
        if loaded.project.staleness is not None:
            check_ageing_metric(loaded.project.staleness.metric, loaded.project.task)
        check_gates(loaded.project.gates, loaded.project.task, today=today())
        if training:
            settings = changed(loaded.project.training, training)
            project = dataclasses.replace(loaded.project, training=settings)
            loaded = dataclasses.replace(loaded, project=project)
        return OpenProject(loaded, Stages(self.workspace.stages, self._progress))

    def dataset(self, name: str = datasets.DEFAULT) -> Dataset:
        """The versions of a dataset; it need not have any yet."""
        return datasets.open_dataset(self.workspace, name)

    def dataset_names(self) -> list[str]:
        """Every dataset that has been kept, in the order of the alphabet."""
        return datasets.dataset_names(self.workspace)

    def find_data(self, ref: str = "latest") -> tuple[Dataset, DatasetVersion]:
        """A dataset version and its dataset: by number, tag, digest, or ``holdout@latest``.

        The version's record is without the values of personal fields.

        Raises:
            NotFound: nothing answers to it.
        """
        from torchyard.data.personal import publishable

        dataset, version = datasets.find_version(self.workspace, ref)
        return dataset, publishable(version)

    def add_data(
        self,
        source: object = None,
        *,
        reason: str = "",
        name: str = datasets.DEFAULT,
        append: bool = False,
        infer: bool = False,
    ) -> DatasetVersion:
        """Read, validate and keep data as a version.

        Args:
            source: as in ``ty.Project(data=...)``; the project's own when left out.
            reason: kept with the version.
            name: of the dataset; training takes ``data``.
            append: keep the rows of the latest version too, before these.
            infer: hold the rows against a schema that is proposed for them, and not the project's.

        Raises:
            BadData: the data cannot be read, or does not fit the schema and the checks.
        """
        if infer and source is not None:
            return datasets.add_inferred(
                self.workspace, source, progress=self._progress, reason=reason, name=name,
                append=append,
            )  # fmt: skip
        return datasets.add_data(
            self.open(), source=source, reason=reason, name=name, append=append
        )

    def validate_data(self, source: object = None) -> Validation:
        """Hold data against the schema and the checks; keep nothing.

        Args:
            source: as in ``ty.Project(data=...)``; the project's own when left out.

        Raises:
            BadData: the data cannot be read, lacks a field or has another type.
        """
        return datasets.check_data(self.open(), source)

    def delete_data(
        self, where: str, *, reason: str, name: str = datasets.DEFAULT
    ) -> DatasetVersion:
        """Keep the latest version without some rows as a new one; earlier versions keep them.

        Args:
            where: an SQL condition on one row, for example ``age < 18``.
            reason: kept with the version.
            name: of the dataset.

        Raises:
            BadUsage: the condition cannot be read, or there is no reason.
            BadData: it holds for no row or for all, or what is left cannot be learnt from.
        """
        return datasets.delete_rows(self.workspace, where, reason=reason, name=name)

    def diff_data(self, before: str, after: str, *, key: Sequence[str] = ()) -> DatasetDiff:
        """What changed from one dataset version to another, each named as in ``find_data``.

        Args:
            before: the earlier version.
            after: the later one.
            key: fields that name a row together; when left out, a field that both versions declare
                unique, if there is one.

        Raises:
            NotFound: a name means no version.
            BadUsage: the key is not among the fields of both, or some rows share theirs.
        """
        from torchyard.data.diff import diff

        first, second = (
            datasets.rows(*datasets.find_version(self.workspace, ref)) for ref in (before, after)
        )
        return diff(first, second, key=key)

    def train(self, *, training: Settings | None = None, tuned: bool = False) -> TrainedModel:
        """Data, features and training."""
        return train_model(*self._featured(training, tuned))

    def tune(
        self, *, trials: int | None = None, minutes: float | None = None,
        training: Settings | None = None,
    ) -> Study:  # fmt: skip
        """Search for the settings with the lowest validation loss, or go on with a search.

        As ``tuning.tune``: until there are so many ``trials`` in all, or the ``minutes`` are over.

        Raises:
            BadProject: the project declares no search.
        """
        from torchyard.yard.tuning import tune

        opened, featured = self._featured(training, tuned=False)
        return tune(opened, featured, trials=trials, minutes=minutes, given=training or {})

    def preflight(self, *, training: Settings | None = None) -> Preflight:
        """Data, features, and the checks that ``train`` makes before its first step.

        Raises:
            BadModel: the module does not take the features, or gives no logits.
        """
        return fly(*self._featured(training, tuned=False))

    def runs(self, *, limit: int | None = None) -> tuple[TrackedRun, ...]:
        """Every run that was recorded, or the newest ones, newest first.

        A run that MLflow holds for running, but that no process is at, is ``interrupted``.
        """
        return runs.list_runs(self.workspace, limit=limit)

    def find_run(self, ref: str) -> RunDetails:
        """Everything that was recorded of a run, by its id or the start of it.

        Raises:
            NotFound: no run's id starts so.
            BadUsage: several do.
        """
        return runs.find_run(self.workspace, ref)

    def compare_runs(self, a: str, b: str) -> RunComparison:
        """Two runs side by side: their numbers, and what else differs.

        Args:
            a: the id of a run, or the start of it.
            b: another one's.

        Raises:
            NotFound: no run's id starts so.
            BadUsage: several do.
        """
        return runs.compare_runs(self.find_run(a), self.find_run(b))

    def reproduce(self, run: str | None = None, *, here: bool = False) -> Reproduction:
        """Train a run again from its record: identical, or the first step and tensor that differ.

        Args:
            run: a finished run's id or the start of it; the latest when left out.
            here: train in the environment that is here; left out, one as the run's is built first
                where other packages are installed.

        Raises:
            NotFound: the run, its dataset version or its code is not there.
            NotReady: the run is not finished, or its environment cannot be built.
        """
        from torchyard.yard.reproduce import reproduce

        return reproduce(self.workspace, run, here=here, progress=self._progress)

    def score(self) -> Readiness:
        """The ML Test Score (Breck et al. 2017): 28 tests, each answered from evidence.

        Raises:
            NotTrusted: a release in the folder is not what it was sealed as.
        """
        from torchyard.yard.readiness import rate

        return rate(self.open().loaded)

    def evaluate(self, *, training: Settings | None = None, tuned: bool = False) -> Evaluated:
        """Everything up to the report on the test split."""
        opened, featured = self._featured(training, tuned)
        return evaluate_model(opened, train_model(opened, featured))

    def verdicts(self, evaluated: Evaluated) -> tuple[Verdict, ...]:
        """What can be decided of the gates before variants are built."""
        return judge_evaluated(self.open(), evaluated)

    def report(self, evaluated: Evaluated) -> Path:
        """Write an evaluation's report as HTML, beside it Markdown and JSON; the HTML page."""
        from torchyard.yard.report import write_report

        opened, verdicts = self.open(), self.verdicts(evaluated)
        aged = kept_staleness(opened, evaluated.trained.featured, evaluated.task)
        return write_report(opened.loaded, evaluated, verdicts, staleness=aged)

    def explain(
        self, rows: int | Sequence[Mapping[str, Json]], *, training: Settings | None = None,
        tuned: bool = False,
    ) -> tuple[Attribution, ...]:  # fmt: skip
        """What each field of some rows did to the model's answer, see ``attributing``.

        Args:
            rows: as a request has them; or the number of a test row, from 1.
            training: settings that replace those of the project file.
            tuned: take what the latest search chose.
        """
        from torchyard.yard.attributing import attribute_rows, row_of_test

        opened, featured = self._featured(training, tuned)
        evaluated = evaluate_model(opened, train_model(opened, featured))
        asked = [row_of_test(evaluated, rows)] if isinstance(rows, int) else rows
        return attribute_rows(opened, evaluated, asked)

    def costs(
        self, *, training: Settings | None = None, tuned: bool = False
    ) -> tuple[FieldCost, ...]:
        """Train again without each field in turn: what is lost, what is saved."""
        from torchyard.yard.field_costs import cost_fields

        opened, featured = self._featured(training, tuned)
        return cost_fields(opened, evaluate_model(opened, train_model(opened, featured)))

    def staleness(self, *, training: Settings | None = None, tuned: bool = False) -> Staleness:
        """How quality falls with the model's age.

        Raises:
            BadProject: the project does not declare ``staleness=``.
        """
        from torchyard.yard.ageing import age_declared

        opened, featured = self._featured(training, tuned)
        return age_declared(opened, evaluate_model(opened, train_model(opened, featured)))

    def optimize(self, *, training: Settings | None = None, tuned: bool = False) -> Optimized:
        """Everything up to measured variants."""
        return _optimize(*self._featured(training, tuned))

    def release(self, *, training: Settings | None = None, tuned: bool = False) -> Released:
        """Everything up to a sealed release. Traffic is not touched.

        Raises:
            Refused: no variant clears every required gate.
        """
        opened, featured = self._featured(training, tuned)
        return release(opened, _optimize(opened, featured))

    def ship(self, *, training: Settings | None = None, tuned: bool = False) -> Released:
        """Everything up to a release; the model's first one is deployed.

        A later release waits for a decision: ``deploy`` gives it all traffic or a canary's share.

        Raises:
            Refused: no variant clears every required gate.
        """
        opened, featured = self._featured(training, tuned)
        made = release(opened, _optimize(opened, featured))
        if opened.project.name not in operate.states(self.workspace):
            self.deploy(made.id, reason="first release")
            self.mirror_names(opened.project.name)
        return made

    def _featured(self, training: Settings | None, tuned: bool) -> tuple[OpenProject, Featured]:
        """The project, with what a search chose if that is asked for, and its features."""
        opened = self.open(training)
        featured = fit_features(opened, datasets.training_data(opened))
        if tuned:
            opened = with_latest_study(opened, featured, given=training or {})
        return opened, featured


def _optimize(opened: OpenProject, featured: Featured) -> Optimized:
    return optimize_model(opened, evaluate_model(opened, train_model(opened, featured)))
