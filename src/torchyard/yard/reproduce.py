"""A run trained again from what was recorded of it, and held against it bit by bit.

Everything happens in ``reproductions/<run>/<environment>/`` of the project's state: the run's code
as it was, the dataset version that it learnt from, features fitted anew, its settings, seed and
threads, and the same stages. One that was stopped goes on; one that is finished leaves its weights,
its trace and the answer.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from torchyard.core.errors import NotReady
from torchyard.core.files import held, write_atomically
from torchyard.core.record import Json, from_json, to_json, write_record
from torchyard.records.dataset import DatasetVersion
from torchyard.records.reproduction import Changed, Reproduction
from torchyard.records.training import Environment
from torchyard.yard.environments import (
    Lock,
    build_environment,
    check_own_version,
    environment_difference,
    find_uv,
    is_built,
    run_inside,
)
from torchyard.yard.featuring import fit_features
from torchyard.yard.parting import compare_answers, first_parting
from torchyard.yard.recall import Recalled, recall
from torchyard.yard.results import OpenProject, TrainedModel
from torchyard.yard.stages import Progress, Stages
from torchyard.yard.training import train_model
from torchyard.yard.tuned import with_tuned
from torchyard.yard.workspace import LoadedProject, Workspace, load_project

HERE = "here"
_ENVIRONMENT = "environment.json"


def reproduce(
    workspace: Workspace, ref: str | None, *, here: bool, progress: Progress
) -> Reproduction:
    """Train a run again from its record, and say whether the same weights came of it.

    Args:
        workspace: the project.
        ref: a finished run's id or the start of it; the latest when None.
        here: train in the environment that is here, even if it is not the run's.
        progress: told what goes on.

    Raises:
        NotFound: the run, its dataset version or its code is not there.
        BadUsage: several runs' ids start so.
        BadRecord: what was recorded is damaged.
        NotReady: the run is not finished, its environment cannot be built, or another process is
            reproducing it.
        Stopped: a signal asked for it; where it stood is kept.
    """
    recalled = recall(workspace, ref)
    # whatever is missing is missed before anything is built or trained
    version = recalled.version(workspace)
    _ = recalled.code, recalled.trace, recalled.weights
    if not here:
        lock = Lock.of(recalled.run.environment)
        if lock != Lock.of(_environment(workspace)):
            return _elsewhere(workspace, recalled, lock, progress)
    return _trained_again(workspace, recalled, version, progress)


def _elsewhere(
    workspace: Workspace, recalled: Recalled, lock: Lock, progress: Progress
) -> Reproduction:
    """The same, inside an environment that is built as the run's was."""
    check_own_version(recalled.run.environment)
    started = time.monotonic()
    progress.begin("environment")
    is_there = is_built(lock, workspace.environments)
    python = build_environment(lock, workspace.environments, uv=find_uv())
    progress.end(
        "environment",
        f"{lock.digest}: Python {lock.python}, {len(lock.packages)} packages, as the run had them",
        seconds=time.monotonic() - started,
        skipped=is_there,
    )
    answer = run_inside(
        python,
        ["reproduce", recalled.id, "--here", "--json", "--project", str(workspace.folder)],
        progress=progress,
    )
    found = from_json(Reproduction, answer, where="the answer of the other environment")
    return dataclasses.replace(found, trained_in=lock.digest)


def _trained_again(
    workspace: Workspace, recalled: Recalled, version: DatasetVersion, progress: Progress
) -> Reproduction:
    from torchyard.train.kernels import with_threads

    # MLflow's database stays: another version of it could not open it, and this one holds it open
    environment = Lock.of(_environment(workspace)).digest
    place = workspace.reproductions / recalled.id / environment
    with _held(place, recalled), with_threads(recalled.run.environment.threads):
        opened = _rebuilt(workspace, recalled, place, progress)
        trained = train_model(opened, fit_features(opened, version))
        found = _compared(recalled, opened, trained)
        for path in trained.folder.iterdir():
            path.replace(place / path.name)
        write_record(place / "reproduction.json", found)
        _clear_state(opened.workspace)
    return found


def _compared(recalled: Recalled, opened: OpenProject, trained: TrainedModel) -> Reproduction:
    before, after = recalled.run, trained.run
    identical = before.weights_sha256 == after.weights_sha256
    inputs = {
        "features": Changed(recorded=before.features, now=after.features),
        "code": Changed(recorded=before.model_source, now=after.model_source),
    }
    return Reproduction(
        run=before.id,
        identical=identical,
        first_difference=None if identical else first_parting(recalled, trained),
        environment=environment_difference(before.environment, after.environment),
        inputs={name: one for name, one in inputs.items() if one.recorded != one.now},
        weights_sha256=Changed(recorded=before.weights_sha256, now=after.weights_sha256),
        metrics=compare_answers(recalled, opened.project, trained, identical=identical),
        trained_in=HERE,
    )


def _rebuilt(
    workspace: Workspace, recalled: Recalled, place: Path, progress: Progress
) -> OpenProject:
    """The project as it was, in a folder of the same name; the data stays where it is."""
    again, now = Workspace(place / workspace.folder.name), to_json(_environment(workspace))
    _clear(again, now)
    for name, path in recalled.code.items():
        (again.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, again.folder / name)
    _link_others(workspace.folder, again.folder)
    _link_beside(workspace.folder, place)
    if not again.data.is_symlink():
        again.data.symlink_to(os.path.relpath(workspace.data, again.state))
    loaded = load_project(again)
    settings = dataclasses.replace(recalled.run.training, preflight=False)
    project = dataclasses.replace(loaded.project, training=settings)
    if project.weights is not None:  # beside the project, or anywhere
        weights = str(workspace.folder / project.weights)
        project = dataclasses.replace(project, weights=weights)
    opened = OpenProject(
        LoadedProject(project, again, loaded.imported), Stages(again.stages, progress)
    )
    return with_tuned(opened, recalled.run.tuned)


def _clear(again: Workspace, now: Json) -> None:
    """Take away an earlier reproduction, but for one that was stopped in such an environment."""
    kept = again.state / _ENVIRONMENT
    again.state.mkdir(parents=True, exist_ok=True)
    if not (kept.exists() and json.loads(kept.read_text()) == now):
        _clear_state(again)
    for path in (*again.folder.iterdir(), *again.folder.parent.iterdir()):
        if path not in (again.state, again.folder):
            _remove(path)
    write_atomically(kept, json.dumps(now).encode())


def _clear_state(again: Workspace) -> None:
    for path in again.state.iterdir():
        if path != again.tracking_database:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _link_others(source: Path, target: Path) -> None:
    """Files beside the code that are no code, such as a tokenizer's, are those of today."""
    for path in source.iterdir():
        place = target / path.name
        if path.name.startswith(".") or path.name == "__pycache__" or path.suffix == ".py":
            continue
        if place.is_dir():
            _link_others(path, place)
        elif not place.exists():
            place.symlink_to(path)


def _link_beside(source: Path, place: Path) -> None:
    """Modules beside the project's folder, which its code may have put on the path."""
    with suppress(OSError):  # a folder that may not be listed
        for path in source.parent.iterdir():
            is_module = path.suffix == ".py" or (path / "__init__.py").exists()
            if is_module and path != source:
                (place / path.name).symlink_to(path)


def _environment(workspace: Workspace) -> Environment:
    """This environment, the state of the project's repository aside."""
    from torchyard.train import capture_environment

    found = capture_environment(workspace.folder, diff=b"")
    return dataclasses.replace(found, git_commit=None, git_diff_sha256=None)


@contextmanager
def _held(folder: Path, recalled: Recalled) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with held(folder, wait=False):
            yield
    except BlockingIOError as error:
        raise NotReady(
            where=f"run {recalled.id[:8]}",
            found="another process that reproduces it",
            expected="one at a time",
            remedy="Wait for it, or stop it: this one then goes on where it stood.",
        ) from error
