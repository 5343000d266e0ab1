"""Runs in MLflow without training: made by the tracker, in a database that is migrated once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from torchyard.core.record import to_json
from torchyard.records.training import Environment
from torchyard.train import ActiveRun, Tracker
from torchyard.train.database import open_client
from torchyard.yard.tracking import ENVIRONMENT
from torchyard.yard.underway import Underway
from torchyard.yard.workspace import Workspace

HERE = Environment(
    python="3.11.7", platform="Linux", processor="EPYC", cores=2, memory_gib=24.0,
    accelerator="none", packages={"numpy": "2.0.0", "torch": "2.9.0+cpu"}, git_commit="0" * 40,
    git_diff_sha256=None,
)  # fmt: skip


class Killed(BaseException):
    """Stands for a kill: nobody says how the run ended."""


@cache
def migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        with Tracker(f"sqlite:///{path}", Path(folder)).run("none", parameters={}, tags={}):
            pass
        return path.read_bytes()


def workspace_in(folder: Path) -> Workspace:
    """A project's folder whose runs are recorded by ``record``; its file is never loaded."""
    (folder / "project.py").write_text("raise AssertionError\n")
    workspace = Workspace(folder)
    workspace.state.mkdir()
    workspace.tracking_database.write_bytes(migrated())
    return workspace


@contextmanager
def recording(
    workspace: Workspace,
    *,
    key: str = "k",
    parameters: Mapping[str, object] | None = None,
    tags: Mapping[str, str] | None = None,
    environment: Environment = HERE,
    code: str = "layers = 1\n",
    ends: BaseException | None = None,
) -> Iterator[ActiveRun]:
    """A run as the train stage begins one; ``ends`` is raised last, ``Killed`` by nobody caught."""
    tracker = Tracker(workspace.tracking_url, workspace.tracking_files)
    given = {
        "torchyard.key": key, "torchyard.way": "loop", "torchyard.dataset": "sha256:d1",
        "torchyard.features": "sha256:f1", "torchyard.source": "sha256:s1", **(tags or {}),
    }  # fmt: skip
    block = tracker.run("demo", parameters=parameters or {"seed": 1}, tags=given)
    active = block.__enter__()
    Underway(workspace.runs / key).begin(active.id)
    active.record(ENVIRONMENT, to_json(environment))
    active.text("code/project.py", code)
    yield active
    if ends is None or isinstance(ends, Killed):
        block.__exit__(None, None, None)
        if ends is not None:
            open_client(workspace.tracking_url).update_run(active.id, status="RUNNING")
        return
    with suppress(type(ends)):
        try:
            raise ends
        except BaseException as error:
            block.__exit__(type(error), error, error.__traceback__)


def finish(active: ActiveRun, *losses: float, weights: str = "sha256:w1") -> None:
    """What the train stage records last: a curve, whose last epoch is the best."""
    for epoch, loss in enumerate(losses, start=1):
        active.metrics({"train_loss": loss - 0.1, "validation_loss": loss}, step=epoch)
    active.metrics({
        "best_train_loss": losses[-1] - 0.1, "best_validation_loss": losses[-1],
        "seconds": 12.5, "steps": 40.0,
    })  # fmt: skip
    active.tag({"torchyard.weights": weights})
