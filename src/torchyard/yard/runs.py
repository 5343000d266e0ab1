"""Runs, looked at: every one that was ever recorded, one of them, and two side by side."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import SequenceMatcher
from itertools import islice
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from torchyard.core.errors import BadUsage, NotFound
from torchyard.core.record import Json, from_json
from torchyard.core.wording import listed
from torchyard.records.training import Environment
from torchyard.yard.tracking import BEST, CODE, ENVIRONMENT
from torchyard.yard.underway import Underway
from torchyard.yard.workspace import Workspace

if TYPE_CHECKING:
    from torchyard.train.history import History, Recorded

Status = Literal["finished", "failed", "stopped", "running", "interrupted"]
Curve = tuple[tuple[int, float], ...]
Value = TypeVar("Value")

_ENDS: dict[str, Status] = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "stopped"}
_CURVES = ("train_loss", "validation_loss")
# what MLflow holds of a run beside the numbers that say how good it is
_ABOUT = ("system/", BEST, "step_loss", "epoch_seconds", *_CURVES)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """A run in a line.

    Attributes:
        run: its id.
        status: ``interrupted`` means that its process was killed, or its machine: MLflow holds it
            for running, and nobody is at it.
        weights_sha256: digest of its weights; None unless it is finished.
        metrics: losses: of the epoch that was kept, or of the last one so far.
        started: when, UTC, ISO 8601.
        seconds: of wall time: of all sittings of a finished run, else from its start to its end,
            to its last sign of life, or to now.
        way: who trained, see ``Run.way``.
        dataset: digest of the dataset version.
    """

    run: str
    status: Status
    weights_sha256: str | None
    metrics: dict[str, float]
    started: str
    seconds: float
    way: str
    dataset: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetails:
    """Everything that was recorded of a run.

    Attributes:
        run: the run in a line.
        parameters: its settings, as texts.
        measured: every other number: of the test part once it was evaluated, steps, parameters.
        features: digest of the feature graph.
        source: digest of the code that the model is made by.
        code: the project's own files, by name.
        environment: where it happened, or happened last; None when it failed before.
        curves: losses by epoch, by name.
        error: how it ended badly: ``text``, ``traceback`` and, of a refusal, its four parts.
        files: the names of its files.
    """

    run: TrackedRun
    parameters: dict[str, str]
    measured: dict[str, float]
    features: str
    source: str
    code: dict[str, str]
    environment: Environment | None
    curves: dict[str, Curve]
    error: dict[str, Json] | None
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair(Generic[Value]):
    """The same thing of two runs; None where one of them has none."""

    a: Value | None
    b: Value | None


@dataclass(frozen=True, slots=True)
class Change:
    """Lines of a file that only the second run has, and that only the first one has."""

    added: int
    removed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunComparison:
    """Two runs side by side: of everything but metrics and curves, what differs.

    Attributes:
        a: the first run.
        b: the second one.
        parameters: settings.
        metrics: every number of both that says how good they are, and how large.
        dataset: digests of their dataset versions, if they differ.
        features: digests of their feature graphs, if they differ.
        code: files of the project, by name.
        packages: versions of what was installed.
        environment: Python and the git commit.
        hardware: the machine.
    """

    a: RunDetails
    b: RunDetails
    parameters: dict[str, Pair[str]]
    metrics: dict[str, Pair[float]]
    dataset: Pair[str] | None
    features: Pair[str] | None
    code: dict[str, Change]
    packages: dict[str, Pair[str]]
    environment: dict[str, Pair[str]]
    hardware: dict[str, Pair[str]]


def list_runs(workspace: Workspace, *, limit: int | None = None) -> tuple[TrackedRun, ...]:
    """Every run of a project, or the newest ones, newest first.

    Raises:
        BadUsage: ``limit`` is below 1.
    """
    if limit is not None and limit < 1:
        raise BadUsage(
            where="runs(limit=)",
            found=str(limit),
            expected="1 or more",
            remedy="Leave it out for all of them.",
        )
    history = _history(workspace)
    if history is None:
        return ()
    newest = islice(history.newest(), limit)
    return tuple(_tracked(workspace, history, one) for one in newest)


def find_run(workspace: Workspace, ref: str) -> RunDetails:
    """A run by its id or the start of it.

    Raises:
        NotFound: no run's id starts so.
        BadUsage: several do.
    """
    history = _history(workspace)
    found: list[Recorded] = []
    if history is not None and ref:
        found = [one for one in history.newest() if one.id.startswith(ref)]
    if history is None or not found:
        raise NotFound(
            where="run",
            found=repr(ref),
            expected="the id of a run, or the start of it",
            remedy="See them all with: torchyard runs",
        )
    if len(found) > 1:
        raise BadUsage(
            where="run",
            found=f"{ref!r}, with which {len(found)} ids start: "
            f"{listed([one.id for one in found])}",
            expected="the start of one id",
            remedy="Write more of it.",
        )
    return _details(workspace, history, found[0])


def compare_runs(a: RunDetails, b: RunDetails) -> RunComparison:
    """Two runs side by side."""
    first, second = a.environment, b.environment
    # one that failed before it could look around differs in nothing that is known
    pair = None if first is None or second is None else (first, second)
    return RunComparison(
        a=a,
        b=b,
        parameters=_differing(a.parameters, b.parameters),
        metrics=_metrics(a, b),
        dataset=_differing({"": a.run.dataset}, {"": b.run.dataset}).get(""),
        features=_differing({"": a.features}, {"": b.features}).get(""),
        code=_changes(a.code, b.code),
        packages=_differing(*(one.packages for one in pair)) if pair else {},
        environment=_differing(*map(_circumstances, pair)) if pair else {},
        hardware=_differing(*(one.hardware for one in pair)) if pair else {},
    )


def _history(workspace: Workspace) -> History | None:
    """The runs of a project; None where none was ever recorded, without loading MLflow."""
    if not workspace.tracking_database.exists():
        return None
    from torchyard.train.history import History

    return History(workspace.tracking_url, workspace.tracking_files)


def _tracked(workspace: Workspace, history: History, one: Recorded) -> TrackedRun:
    one, status = _now(workspace, history, one)
    is_finished = status == "finished"
    prefix = BEST if is_finished else ""
    return TrackedRun(
        run=one.id,
        status=status,
        weights_sha256=one.tags.get("torchyard.weights") if is_finished else None,
        metrics={
            name: one.metrics[prefix + name] for name in _CURVES if prefix + name in one.metrics
        },
        started=datetime.fromtimestamp(one.began_ms / 1000, UTC).isoformat(timespec="seconds"),
        seconds=round(_seconds(history, one, status), 3),
        way=one.tags.get("torchyard.way", ""),
        dataset=one.tags.get("torchyard.dataset", ""),
    )


def _now(workspace: Workspace, history: History, one: Recorded) -> tuple[Recorded, Status]:
    """A run and its status; read again where it may have ended since it was read."""
    if one.status in _ENDS:
        return one, _ENDS[one.status]
    underway = Underway(workspace.runs / one.tags["torchyard.key"])
    if underway.run_id == one.id and underway.is_running():
        return one, "running"
    one = history.run(one.id)
    return one, _ENDS.get(one.status, "interrupted")


def _seconds(history: History, one: Recorded, status: Status) -> float:
    if status == "finished" and "seconds" in one.metrics:
        return one.metrics["seconds"]
    until = one.ended_ms
    if status == "running":
        until = time.time_ns() // 1_000_000
    elif status == "interrupted":
        until = history.last_ms(one.id, "system/memory_mib")
    return 0.0 if until is None else max(0, until - one.began_ms) / 1000


def _details(workspace: Workspace, history: History, one: Recorded) -> RunDetails:
    files = tuple(one.files)
    errors = [name for name in files if name.startswith("errors/")]
    code = [name for name in files if name.startswith(f"{CODE}/")]
    environment = None
    if ENVIRONMENT in files:
        content = json.loads((one.folder / ENVIRONMENT).read_bytes())
        environment = from_json(Environment, content, where=ENVIRONMENT)
    tracked = _tracked(workspace, history, one)
    ended_badly = bool(errors) and tracked.status in ("failed", "stopped")
    return RunDetails(
        run=tracked,
        parameters=one.parameters,
        measured={
            name: value for name, value in one.metrics.items() if not name.startswith(_ABOUT)
        },
        features=one.tags.get("torchyard.features", ""),
        source=one.tags.get("torchyard.source", ""),
        code={
            name.removeprefix(f"{CODE}/"): (one.folder / name).read_text(errors="replace")
            for name in code
        },
        environment=environment,
        curves={name: tuple(history.curve(one.id, name)) for name in _CURVES},
        error=json.loads((one.folder / errors[-1]).read_bytes()) if ended_badly else None,
        files=files,
    )


def _differing(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, Pair[str]]:
    names = [*a, *(name for name in b if name not in a)]
    return {n: Pair(a.get(n), b.get(n)) for n in names if a.get(n) != b.get(n)}


def _metrics(a: RunDetails, b: RunDetails) -> dict[str, Pair[float]]:
    first, second = ({**one.run.metrics, **one.measured} for one in (a, b))
    return {name: Pair(first.get(name), second.get(name)) for name in first | second}


def _changes(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, Change]:
    changes = {}
    for name in sorted(a.keys() | b.keys()):
        if a.get(name) == b.get(name):
            continue
        before, after = (files.get(name, "").splitlines() for files in (a, b))
        parts = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
        changed = [part for part in parts if part[0] != "equal"]
        changes[name] = Change(
            added=sum(last - first for *_, first, last in changed),
            removed=sum(last - first for _, first, last, *_ in changed),
        )
    return changes


def _circumstances(where: Environment) -> dict[str, str]:
    return {
        "python": where.python,
        "git_commit": where.git_commit or "none",
        "git_diff_sha256": where.git_diff_sha256 or "none",
    }
