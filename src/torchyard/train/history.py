"""Reading back what MLflow holds of runs. Nothing here changes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from torchyard.train.database import open_client

_PAGE = 200


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run as MLflow has it: times in milliseconds since 1970-01-01 UTC, metrics the last values.

    ``ended_ms`` is None until it ends; of a run that goes on, it is when it was stopped before.
    ``folder`` is where its files are.
    """

    id: str
    status: str
    began_ms: int
    ended_ms: int | None
    parameters: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]
    folder: Path

    @property
    def files(self) -> list[str]:
        """The names of its files, with their folders, sorted."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.folder).as_posix() for path in found)


@final
class History:
    """The runs that torchyard recorded, by MLflow's tracking URI and the folder of their files."""

    def __init__(self, uri: str, files: Path) -> None:
        self._client = open_client(uri)
        self._files = files

    def newest(self) -> Iterator[Recorded]:
        """Every run of every experiment, the one that began last first, page by page."""
        experiments = [one.experiment_id for one in self._client.search_experiments()]
        token = None
        while experiments:
            page = self._client.search_runs(
                experiments, order_by=["attributes.start_time DESC"], max_results=_PAGE,
                page_token=token,
            )  # fmt: skip
            ours = (run for run in page if "torchyard.key" in run.data.tags)
            yield from (_recorded(run, self._files) for run in ours)
            token = page.token
            if not token:
                return

    def run(self, run_id: str) -> Recorded:
        """A run as it is now."""
        return _recorded(self._client.get_run(run_id), self._files)

    def curve(self, run_id: str, name: str) -> list[tuple[int, float]]:
        """A metric by step, in the order of steps; empty when it was never recorded."""
        history = self._client.get_metric_history(run_id, name)
        return sorted((one.step, one.value) for one in history)

    def last_ms(self, run_id: str, name: str) -> int | None:
        """When a metric was recorded last."""
        history = self._client.get_metric_history(run_id, name)
        return max((one.timestamp for one in history), default=None)


def _recorded(run: Any, files: Path) -> Recorded:
    folder = Path(url2pathname(urlsplit(run.info.artifact_uri).path))
    if not folder.exists():  # the project was moved since
        folder = files / run.info.run_id / "artifacts"
    return Recorded(
        id=run.info.run_id,
        status=run.info.status,
        began_ms=run.info.start_time,
        ended_ms=run.info.end_time,
        parameters=dict(sorted(run.data.params.items())),
        tags=dict(run.data.tags),
        metrics=dict(sorted(run.data.metrics.items())),
        folder=folder,
    )
