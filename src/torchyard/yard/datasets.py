"""Datasets of a project, and of a folder without one: add, check, delete from, name, find."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torchyard.core.digest import short
from torchyard.core.errors import BadProject, BadUsage, NotFound
from torchyard.data.rules import Checks
from torchyard.project.project import is_name
from torchyard.records.dataset import DatasetVersion
from torchyard.records.schema import Schema, Task
from torchyard.yard.found import alike, sentence, severity
from torchyard.yard.results import OpenProject
from torchyard.yard.stages import Progress
from torchyard.yard.workspace import PROJECT_FILE, STATE_FOLDER, Workspace, load_project

if TYPE_CHECKING:
    from torchyard.data.check import Validation
    from torchyard.data.diff import Rows
    from torchyard.data.source import Source
    from torchyard.data.versions import Dataset

DEFAULT = "data"


@dataclass(frozen=True)
class Declared:
    """What rows are held against."""

    schema: Schema
    task: Task | None
    checks: Checks

    @classmethod
    def by(cls, opened: OpenProject) -> Declared:
        """As the project file says."""
        return cls(opened.project.schema, opened.project.task, opened.project.checks)


def data_workspace(start: Path) -> Workspace:
    """The project at or above a folder; without one, the nearest folder that keeps datasets.

    Without either, the folder itself: the first dataset makes it one.

    Raises:
        BadProject: there is no such folder.
    """
    try:
        return Workspace.find(start)
    except BadProject:
        if not start.is_dir():
            raise
        start = start.resolve()
        for folder in (start, *start.parents):
            if (folder / STATE_FOLDER / "data").is_dir():
                return Workspace(folder)
        return Workspace(start)


def open_dataset(workspace: Workspace, name: str = DEFAULT) -> Dataset:
    """A dataset by name, which need not have versions yet.

    Raises:
        BadUsage: that cannot be a name.
    """
    if not is_name(name):
        raise BadUsage(
            where="dataset name",
            found=repr(name),
            expected="a letter, then lower-case letters, digits and dashes",
            remedy="For example: torchyard data add rows.csv --name holdout",
        )
    from torchyard.data.versions import Dataset

    return Dataset(workspace.data, name)


def dataset_names(workspace: Workspace) -> list[str]:
    """Every dataset that has been kept, in the order of the alphabet."""
    return sorted(path.parent.name for path in workspace.data.glob("*/versions"))


def find_version(workspace: Workspace, ref: str) -> tuple[Dataset, DatasetVersion]:
    """The version that a reference names, and its dataset.

    Args:
        workspace: where datasets are kept.
        ref: ``latest``, a number, a tag or the start of a digest; of another dataset than
            ``data`` as in ``holdout@latest``.

    Raises:
        NotFound: nothing answers to it.
    """
    name, at, version = ref.rpartition("@")
    dataset = open_dataset(workspace, name if at else DEFAULT)
    if not dataset.versions():
        kept = dataset_names(workspace)
        raise NotFound(
            where=f"dataset '{dataset.name}'",
            found="no versions",
            expected=f"one of {', '.join(kept)}" if kept else "a dataset",
            remedy=f"Name it, as in {kept[0]}@latest."
            if kept
            else "Add one with: torchyard data add",
        )
    return dataset, dataset.version(version or "latest")


def rows(dataset: Dataset, version: DatasetVersion) -> Rows:
    """A version and how to read it, for a comparison."""
    from torchyard.data.diff import Rows

    return Rows(version, lambda names: dataset.chunks(version, columns=names))


def add_data(
    opened: OpenProject,
    *,
    source: object = None,
    reason: str = "",
    name: str = DEFAULT,
    append: bool = False,
) -> DatasetVersion:
    """Read, validate and keep data; the same content is the same version."""
    rows = project_source(opened, source)
    dataset = open_dataset(opened.workspace, name)
    declared = Declared.by(opened)
    return keep(dataset, rows, declared, progress=opened.progress, reason=reason, append=append)


def add_inferred(
    workspace: Workspace,
    source: object,
    *,
    progress: Progress,
    reason: str = "",
    name: str = DEFAULT,
    append: bool = False,
) -> DatasetVersion:
    """Keep data under a schema that is proposed for it; no project file is needed.

    Behind earlier rows the schema of these is meant: one proposed for a part may be another.
    """
    from torchyard.data.propose import propose
    from torchyard.data.source import open_source

    dataset, origin = open_dataset(workspace, name), _beside(workspace.folder, source)
    if append and dataset.versions():
        schema = dataset.version().schema
    else:
        progress.begin("data")
        schema = propose(open_source(origin, folder=workspace.folder)).schema
    rows = open_source(origin, folder=workspace.folder, schema=schema)
    declared = Declared(schema, None, Checks())
    return keep(dataset, rows, declared, progress=progress, reason=reason, append=append)


def keep(
    dataset: Dataset,
    rows: Source,
    declared: Declared,
    *,
    progress: Progress,
    reason: str = "",
    append: bool = False,
) -> DatasetVersion:
    """Keep rows as a version of a dataset, and say what was found."""
    started = time.monotonic()
    progress.begin("data")
    known = {version.digest for version in dataset.versions()}
    bring_in = dataset.append if append else dataset.add
    version = bring_in(
        rows, declared.schema, task=declared.task, checks=declared.checks, reason=reason
    )
    _tell(progress, version, started, skipped=version.digest in known)
    return version


def training_data(opened: OpenProject) -> DatasetVersion:
    """The version to train on: the project's data, with what was appended and deleted since.

    The project's data is read and kept as by ``add_data``. If the latest version was made from it
    by appending and deleting, that one is meant: nobody deletes rows to train on them.
    """
    dataset = open_dataset(opened.workspace)
    before = dataset.version() if dataset.versions() else None
    version = add_data(opened)
    if before is None or version == before or version not in dataset.lineage(before):
        return version
    dataset.make_latest(before)
    opened.progress.note(
        f"trained on is version {before.number}, made from it by {before.operation}"
        + (f" ({before.reason})" if before.reason else "")
        + f": {before.rows:,} rows"
    )
    return before


def check_data(opened: OpenProject, source: object = None) -> Validation:
    """Hold data against the project's schema and checks; keep nothing."""
    from torchyard.data.check import validate

    declared = Declared.by(opened)
    return validate(
        project_source(opened, source), declared.schema, task=declared.task, checks=declared.checks
    )


def delete_rows(
    workspace: Workspace, where: str, *, reason: str, name: str = DEFAULT
) -> DatasetVersion:
    """Keep the latest version without the rows that a condition holds for.

    In a project, the labels that are left must still be fit to learn from.
    """
    project = (workspace.folder / PROJECT_FILE).exists()
    task = load_project(workspace).project.task if project else None
    return open_dataset(workspace, name).delete(where, reason=reason, task=task)


def project_source(opened: OpenProject, source: object = None) -> Source:
    """The project's data, or another source, read as its schema and its task's label say."""
    from torchyard.data.labels import label_field
    from torchyard.data.source import open_source

    folder = opened.workspace.folder
    origin = opened.project.data if source is None else _beside(folder, source)
    project = opened.project
    declared = Schema(fields=(*project.schema.fields, label_field(project.task)))
    return open_source(origin, folder=folder, schema=declared)


def _beside(folder: Path, source: object) -> object:
    """A path inside the project as one from its folder, so that records do not name a machine."""
    if isinstance(source, (str, Path)) and Path(source).is_relative_to(folder):
        return str(Path(source).relative_to(folder))
    return source


def _tell(progress: Progress, version: DatasetVersion, started: float, *, skipped: bool) -> None:
    for finding in alike(version.findings):
        examples = f", such as {'; '.join(finding.examples[:2])}" if finding.examples else ""
        progress.note(f"{severity(finding)}: {sentence(finding)}{examples}")
    summary = f"version {version.number} ({short(version.digest)}): {version.rows:,} rows"
    if version.quarantined:
        summary += f", {version.quarantined:,} set aside"
    progress.end("data", summary, seconds=time.monotonic() - started, skipped=skipped)
