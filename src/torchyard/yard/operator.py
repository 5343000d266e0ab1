"""What is done with releases: serve them, decide who serves, look at what happens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torchyard.records.keys import ApiKey
from torchyard.records.live import MonitorReport
from torchyard.release import Release
from torchyard.yard import keys, operate, serving, watching
from torchyard.yard.operate import Decision
from torchyard.yard.workspace import Workspace

if TYPE_CHECKING:
    from torchyard.package import OnnxPackage
    from torchyard.yard.predicting import PredictedTable
    from torchyard.yard.watching import View


class Operator:
    """A project's folder for those who operate it: nothing here loads ``project.py``.

    Attributes:
        workspace: where everything lies.
    """

    workspace: Workspace

    def serve(
        self, *, announce: Callable[[str], None] = lambda text: None, **settings: object
    ) -> int:
        """Serve every deployed model of the project until SIGTERM or SIGINT.

        Args:
            announce: told, a line each, what a person at the screen wants to know.
            settings: of the server, ``port=9000``; they win over those in ``torchyard.toml``.

        Raises:
            BadUsage: a setting is unknown or out of its range.
        """
        return operate.serve(self.workspace, settings=settings, announce=announce)

    def tune_server(
        self, *, announce: Callable[[str], None] = lambda text: None
    ) -> serving.TunedServer:
        """Measure the deployed releases here; later servers take what was best where left to them.

        Args:
            announce: told, a line each, what is measured.

        Raises:
            NotFound: nothing is deployed.
            BadUsage: a server runs on this project, and would be measured too.
        """
        return serving.tune_server(self.workspace, announce=announce)

    def make_key(
        self, name: str, *, scopes: Sequence[str] = ("predict",), days: int | None = None
    ) -> tuple[str, ApiKey]:
        """Make a key for a client of the server; it is kept nowhere, so hand it over now.

        Args:
            name: whom it is for.
            scopes: what it is for: ``predict``, ``operate``, ``admin``.
            days: until it expires; None for a key that lasts until it is revoked.

        Raises:
            BadUsage: the name is taken or is none, or a scope or the days are out of range.
        """
        return keys.make(self.workspace, name=name, scopes=scopes, days=days)

    def keys(self) -> tuple[tuple[ApiKey, bool], ...]:
        """What is kept of every client's key, and whether its time is over."""
        return keys.listed(self.workspace)

    def revoke_key(self, name: str) -> int:
        """Take a client's key away; how many are left."""
        return keys.revoke(self.workspace, name)

    def deploy(
        self, release: str | None = None, *, weight: float | None = None, reason: str = ""
    ) -> Decision:
        """Give a release all traffic, or as a canary the share ``weight``.

        Args:
            release: an id, the start of one, or a number; the newest when left out.
            weight: above 0 and below 1; None for all traffic.
            reason: kept with the event.
        """
        return operate.deploy_release(self.workspace, release=release, weight=weight, reason=reason)

    def promote(self, *, model: str | None = None, reason: str = "") -> Decision:
        """Give the canary all traffic."""
        return operate.promote_challenger(self.workspace, model=model, reason=reason)

    def rollback(self, *, model: str | None = None, reason: str = "") -> Decision:
        """Drop the canary; without one, return to the champion before."""
        return operate.roll_back(self.workspace, model=model, reason=reason)

    def undeploy(self, *, model: str | None = None, reason: str = "") -> Decision:
        """Take a model out of service; ``rollback`` brings back who served."""
        return operate.undeploy_model(self.workspace, model=model, reason=reason)

    def mirror_names(self, model: str) -> bool:
        """Set MLflow's aliases to what the channel events say; takes seconds to load MLflow.

        Returns:
            False where MLflow is not installed.
        """
        return operate.mirror_names(self.workspace, model)

    def watch(self, *, clock: Callable[[], float]) -> Callable[[], View]:
        """A function that looks at the running server, to be called some times a second."""
        return watching.watch(self.workspace, clock=clock)

    @property
    def server_output(self) -> Path:
        """Where a server's output goes while a screen shows it."""
        return watching.output_file(self.workspace)

    def status(self) -> operate.Status:
        """Who serves what share of each model's traffic, and the server, if one runs."""
        server, workers = operate.running(self.workspace)
        return operate.Status(
            operate.states(self.workspace),
            server,
            workers,
            operate.quarantined(self.workspace),
        )

    def monitor(
        self,
        *,
        every: str = "1d",
        time: str | None = None,
        release: str | None = None,
        model: str | None = None,
    ) -> tuple[MonitorReport, Path]:
        """Hold the logged traffic against a release's reference; the report and its HTML page."""
        return operate.monitor(self.workspace, every=every, time=time, release=release, model=model)

    def predict(
        self,
        source: object,
        target: str | Path,
        *,
        release: str | None = None,
        keep: Sequence[str] | None = None,
        force: bool = False,
        progress: Callable[[int], None] = lambda rows: None,
    ) -> PredictedTable:
        """Answer every row of a table by the engine that answers requests.

        Args:
            source: a path, a URL or a frame; a relative path is relative to here.
            target: .parquet, .csv, .jsonl or .arrow; there whole when all is answered.
            release: an id, the start of one, or a number; the newest when left out.
            keep: columns of the source that stand before the answers; None for all.
            force: replace a file that is there.
            progress: told the rows done so far, now and then.
        """
        from torchyard.yard.predicting import predict_table

        return predict_table(
            self.find_release(release),
            source,
            Path(target),
            folder=Path.cwd(),
            device=operate.asked_device(self.workspace),
            keep=keep,
            force=force,
            progress=progress,
        )

    def releases(self) -> tuple[Release, ...]:
        """Every sealed release, verified, oldest first."""
        return operate.releases(self.workspace)

    def find_release(self, name: str | None = None) -> Release:
        """A release by id, start of id or number; the newest when not named."""
        return operate.find_release(self.workspace, name)

    def card(self, release: str | None = None) -> str:
        """A release's model card, Markdown."""
        return (self.find_release(release).folder / "card.md").read_text()

    def package_onnx(
        self, path: str | Path, *, release: str | None = None, force: bool = False
    ) -> OnnxPackage:
        """Write a release as one ONNX file that plain ONNX Runtime runs, from raw fields to answer.

        Args:
            path: where the file goes.
            release: an id, the start of one, or a number; the newest when left out.
            force: replace a file that is there.

        Raises:
            BadUsage: something is at ``path`` already.
        """
        from torchyard.package import package_onnx

        return package_onnx(self.find_release(release), Path(path), force=force)
