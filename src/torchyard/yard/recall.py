"""A finished run, read back from what was recorded of it.

From its files, which lie in the project's state by its id, and not through MLflow: another version
of MLflow, as in an environment that is built anew, could not open the database.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from torchyard.core.digest import digest_file, short
from torchyard.core.errors import BadRecord, BadUsage, NotFound, NotReady
from torchyard.core.record import from_json
from torchyard.core.wording import listed
from torchyard.records.dataset import DatasetVersion
from torchyard.records.training import Run
from torchyard.yard.datasets import open_dataset
from torchyard.yard.tracking import CODE
from torchyard.yard.workspace import PROJECT_FILE, Workspace

if TYPE_CHECKING:
    from torchyard.train import Trace

_RECORD = "run.json"


@dataclass(frozen=True)
class Recalled:
    """A run's files: its record, its trace, its weights, its code."""

    folder: Path

    @cached_property
    def run(self) -> Run:
        """The run's record.

        Raises:
            BadRecord: it is damaged, or was written by another version of torchyard.
        """
        path = self.folder / _RECORD
        try:
            content = json.loads(path.read_bytes())
        except ValueError as error:
            raise self._damaged(path, str(error)) from error
        return from_json(Run, content, where=f"{self.id[:8]}/{_RECORD}")

    @property
    def id(self) -> str:
        """The run's id, MLflow's."""
        return self.folder.parent.name

    @cached_property
    def trace(self) -> Trace:
        """Its losses, and digests of its tensors, step by step.

        Raises:
            BadRecord: it is missing or damaged.
        """
        from torchyard.train import Trace

        path = self.folder / "trace.safetensors"
        try:
            return Trace.read(path)
        except BadRecord as error:
            raise self._damaged(path, error.found) from error

    @cached_property
    def weights(self) -> Path | None:
        """The file of its weights; None when it was taken away.

        Raises:
            BadRecord: it is damaged.
        """
        path = self.folder / "weights.safetensors"
        if not path.exists():
            return None
        found = digest_file(path)
        if found != self.run.weights_sha256:
            raise self._damaged(path, f"a file with the digest {found}")
        return path

    @cached_property
    def code(self) -> dict[str, Path]:
        """The project's own files as they were, by their names in the project's folder.

        Raises:
            NotFound: the run keeps none.
        """
        folder = self.folder / CODE
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = {str(path.relative_to(folder)): path for path in paths}
        if PROJECT_FILE not in files:
            commit = self.run.environment.git_commit
            raise NotFound(
                where=f"run {self.id[:8]}, {CODE}/",
                found=f"no {PROJECT_FILE}",
                expected="the project's files as they were",
                remedy="An earlier torchyard recorded none"
                + (f": they are those of git commit {commit[:12]}." if commit else "."),
            )
        return files

    def version(self, workspace: Workspace) -> DatasetVersion:
        """The dataset version that the run learnt from.

        Raises:
            NotFound: the project does not keep it any more.
        """
        dataset = open_dataset(workspace)
        for version in dataset.versions():
            if version.digest == self.run.dataset:
                return version
        raise NotFound(
            where=f"run {self.id[:8]}, dataset '{dataset.name}'",
            found=f"no version {short(self.run.dataset)} among {len(dataset.versions())}",
            expected="the rows that the run learnt from",
            remedy="Restore .torchyard/data, or add the same rows again: torchyard data add",
        )

    def _damaged(self, path: Path, found: str) -> BadRecord:
        return BadRecord(
            where=f"run {self.id[:8]}, {path.name}",
            found=found,
            expected="the file as the run left it",
            remedy=f"Restore {path} from a copy, or train anew.",
        )


def recall(workspace: Workspace, ref: str | None = None) -> Recalled:
    """A finished run by its id or the start of it; the latest when not named.

    Raises:
        NotFound: no run's id starts so, or none is finished.
        BadUsage: several start so.
        NotReady: it is not finished.
    """
    if ref is None:
        return _latest(workspace)
    found = [path for path in _finished(workspace) if ref and path.parent.name.startswith(ref)]
    if len(found) > 1:
        raise BadUsage(
            where="run",
            found=f"{ref!r}, with which the ids of {len(found)} finished runs start: "
            f"{listed([path.parent.name for path in found])}",
            expected="the start of one id",
            remedy="Write more of it.",
        )
    if not found:
        raise _unfinished(workspace, ref)
    return Recalled(found[0])


def _finished(workspace: Workspace) -> list[Path]:
    """Folders of the files of runs that have a record: only finished ones do."""
    found = workspace.tracking_files.glob(f"*/artifacts/{_RECORD}")
    return sorted(path.parent for path in found)


def _latest(workspace: Workspace) -> Recalled:
    from torchyard.yard.runs import list_runs

    kept = {path.parent.name: path for path in _finished(workspace)}
    for one in list_runs(workspace) if kept else ():
        if one.run in kept:
            return Recalled(kept[one.run])
    raise NotFound(
        where="runs of this project",
        found="none that is finished",
        expected="a finished run",
        remedy="Train one with: torchyard train",
    )


def _unfinished(workspace: Workspace, ref: str) -> NotReady:
    """The refusal of a run that has no record.

    Raises:
        NotFound: there is no such run at all.
    """
    from torchyard.yard.runs import find_run

    tracked = find_run(workspace, ref).run
    if tracked.status == "finished":
        return NotReady(
            where=f"run {tracked.run[:8]}",
            found=f"no {_RECORD} among its files",
            expected="what the run recorded of itself",
            remedy=f"Restore {workspace.tracking_files / tracked.run} from a copy.",
        )
    return NotReady(
        where=f"run {tracked.run[:8]}",
        found=f"status {tracked.status}",
        expected="a finished run",
        remedy="Run torchyard train to its end first; it goes on where it stood.",
    )
