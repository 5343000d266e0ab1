"""Where a project's things are, and loading its ``project.py``."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from torchyard.core.errors import BadProject, NotReady, YardError
from torchyard.core.uris import sqlite_uri
from torchyard.project import Project

PROJECT_FILE = "project.py"
SETTINGS_FILE = "torchyard.toml"
STATE_FOLDER = ".torchyard"
_LIGHTNING = ("lightning", "lightning.pytorch", "pytorch_lightning")


@dataclass(frozen=True)
class Workspace:
    """The folder of one project: ``project.py`` and, beside it, ``.torchyard/``."""

    folder: Path

    @classmethod
    def find(cls, start: Path) -> Workspace:
        """The nearest folder at or above ``start`` that holds a ``project.py``.

        Raises:
            BadProject: there is none.
        """
        start = start.resolve()
        for folder in (start, *start.parents):
            if (folder / PROJECT_FILE).is_file():
                return cls(folder)
        raise BadProject(
            where=str(start),
            found=f"no {PROJECT_FILE} here or above",
            expected="a project folder",
            remedy="Change into one, or make one with: torchyard init NAME",
        )

    def owns(self, file: str) -> bool:
        """Whether a file is the project's: in its folder, and of no environment that lies there."""
        prefix = Path(sys.prefix)
        is_installed = prefix.is_relative_to(self.folder) and Path(file).is_relative_to(prefix)
        return Path(file).is_relative_to(self.folder) and not is_installed

    @property
    def settings(self) -> Path:
        """What the project sets of its server; the file need not be there."""
        return self.folder / SETTINGS_FILE

    @property
    def state(self) -> Path:
        """Everything the project makes; deleting it starts anew."""
        return self.folder / STATE_FOLDER

    @property
    def data(self) -> Path:
        """Dataset versions."""
        return self.state / "data"

    @property
    def stages(self) -> Path:
        """What stages made, by the digest of their inputs."""
        return self.state / "stages"

    @property
    def runs(self) -> Path:
        """Runs that are under way, or were stopped: their checkpoints."""
        return self.state / "runs"

    @property
    def reproductions(self) -> Path:
        """Runs that are trained again, or were, by their id."""
        return self.state / "reproductions"

    @property
    def environments(self) -> Path:
        """Environments that runs are trained again in, by the digest of their lock."""
        return self.state / "environments"

    @property
    def studies(self) -> Path:
        """What searches found, by their key."""
        return self.state / "studies"

    @property
    def studies_database(self) -> Path:
        """Optuna's database of searches."""
        return self.state / "studies.db"

    @property
    def releases(self) -> Path:
        """Sealed releases, by the hex digits of their id."""
        return self.state / "releases"

    @property
    def keys(self) -> Path:
        """The signing key."""
        return self.state / "keys"

    @property
    def trusted(self) -> Path:
        """Public keys whose releases are accepted."""
        return self.keys / "trusted"

    @property
    def api_keys(self) -> Path:
        """What is kept of the keys of the server's clients; the file need not be there."""
        return self.keys / "api.json"

    @property
    def server(self) -> Path:
        """What a running server and its workers say of themselves."""
        return self.state / "server"

    @property
    def predictions(self) -> Path:
        """The prediction log."""
        return self.state / "predictions"

    @property
    def labels(self) -> Path:
        """The label log."""
        return self.state / "labels"

    @property
    def reports(self) -> Path:
        """Monitoring reports."""
        return self.state / "reports"

    @property
    def tracking_url(self) -> str:
        """MLflow's database."""
        return sqlite_uri(self.tracking_database)

    @property
    def tracking_database(self) -> Path:
        """The file that holds MLflow's database."""
        return self.state / "mlflow.db"

    @property
    def tracking_files(self) -> Path:
        """MLflow's files."""
        return self.state / "mlflow"

    @property
    def channels_url(self) -> str:
        """The channel events' database."""
        return sqlite_uri(self.state / "channels.db")


@dataclass(frozen=True)
class LoadedProject:
    """A project and the other files of its folder that it was made from."""

    project: Project
    workspace: Workspace
    imported: tuple[Path, ...]


def load_project(workspace: Workspace) -> LoadedProject:
    """Run ``project.py`` and return what it calls ``project``.

    Raises:
        BadProject: the file fails, with the line at fault, or binds no ``ty.Project``.
        NotReady: it imports Lightning, which is not installed.
    """
    path = workspace.folder / PROJECT_FILE
    spec = importlib.util.spec_from_file_location("project", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    sys.path.insert(0, str(workspace.folder))
    try:
        spec.loader.exec_module(module)
    except YardError as error:
        raise type(error)(
            where=f"{_line(error, workspace)}: {error.where}",
            found=error.found,
            expected=error.expected,
            remedy=error.remedy,
        ) from error
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name in _LIGHTNING:
            raise NotReady(
                where=_line(error, workspace),
                found=f"no library '{error.name}'",
                expected="Lightning, which a LightningModule is of",
                remedy="Install it with: pip install 'torchyard[lightning]'",
            ) from error
        raise BadProject(
            where=_line(error, workspace),
            found=f"{type(error).__name__}: {error}",
            expected="a file that runs and binds 'project'",
            remedy=_remedy(error),
        ) from error
    finally:
        sys.path.remove(str(workspace.folder))
        imported = _forget(set(sys.modules) - before, workspace)
    return LoadedProject(_bound_project(module, path), workspace, imported)


def _bound_project(module: ModuleType, path: Path) -> Project:
    project = getattr(module, "project", None)
    if not isinstance(project, Project):
        raise BadProject(
            where=str(path),
            found="no 'project'" if project is None else f"'project', a {type(project).__name__}",
            expected="project = ty.Project(...)",
            remedy="Bind the project to that name at the top level of the file.",
        )
    return project


def _remedy(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name in ("torch", "lightning_fabric"):
        return "Training needs more than serving: pip install 'torchyard[train]'"
    return "Mend that line; the file must also run with plain python."


def _line(error: BaseException, workspace: Workspace) -> str:
    """The last line of the user's own files that an error passed through."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name} line {error.lineno}"
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if workspace.owns(frame.filename)
    ]
    return f"{Path(own[-1].filename).name} line {own[-1].lineno}" if own else PROJECT_FILE


def _forget(names: set[str], workspace: Workspace) -> tuple[Path, ...]:
    """Drop the project's own modules, so that another project's ``model`` is not mistaken.

    Returns:
        Their files.
    """
    files = []
    for name in names:
        file = getattr(sys.modules[name], "__file__", None)
        if file and workspace.owns(file):
            files.append(Path(file))
            del sys.modules[name]
    return tuple(sorted(files))
