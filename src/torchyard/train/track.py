"""Tracking: every run in MLflow from its first second, ended with how it ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torchyard.core.errors import Stopped
from torchyard.core.record import Json

# MLflow refuses longer values
_LONGEST_VALUE = 500


class ActiveRun:
    """A run that is being recorded. Metrics go in batches: one by one MLflow takes 16 ms each."""

    def __init__(self, client: Any, run_id: str) -> None:
        self._client = client
        self.id = run_id

    def metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Record numbers of one step."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(
            self.id, metrics=[Metric(name, value, now, step) for name, value in values.items()]
        )

    def record(self, name: str, content: Json) -> None:
        """Keep a record as a JSON file of the run."""
        self._client.log_dict(self.id, content, name)

    def file(self, path: Path) -> None:
        """Keep a file with the run."""
        self._client.log_artifact(self.id, str(path))

    def tag(self, **tags: str) -> None:
        """Label the run."""
        for name, value in tags.items():
            self._client.set_tag(self.id, name, value)


class Tracker:
    """Where runs are recorded: an MLflow tracking URI and, for new experiments, a folder."""

    def __init__(self, uri: str, files: Path) -> None:
        self._uri = uri
        self._files = files

    @contextmanager
    def run(
        self,
        experiment: str,
        *,
        parameters: Mapping[str, Json],
        tags: Mapping[str, str],
        begun: str | None = None,
    ) -> Iterator[ActiveRun]:
        """Record a run while the block lasts.

        An exception ends it as FAILED with its text; being stopped, as KILLED.

        Args:
            experiment: the project's name.
            parameters: the run's settings.
            tags: what it is made from.
            begun: the run that goes on, when it was stopped or killed before; a new one begins when
                it is not given, or nowhere to be found.
        """
        client = self._client()
        run = self._again(client, begun) if begun else None
        if run is None:
            started = client.create_run(self._experiment(client, experiment), tags=dict(tags))
            run = ActiveRun(client, started.info.run_id)
        try:
            if run.id != begun:
                self._parameters(client, run.id, parameters)
            yield run
        except BaseException as error:
            killed = isinstance(error, (KeyboardInterrupt, SystemExit, Stopped))
            run.tag(error=f"{type(error).__name__}: {error}"[:_LONGEST_VALUE])
            client.set_terminated(run.id, "KILLED" if killed else "FAILED")
            raise
        client.set_terminated(run.id, "FINISHED")

    @staticmethod
    def _again(client: Any, run_id: str) -> ActiveRun | None:
        from mlflow.exceptions import MlflowException

        try:
            client.update_run(run_id, status="RUNNING")
            for tag in client.get_run(run_id).data.tags.keys() & {"error"}:
                client.delete_tag(run_id, tag)
        except MlflowException:
            return None
        return ActiveRun(client, run_id)

    def resume(self, run_id: str) -> ActiveRun:
        """A finished run, to add evidence to."""
        return ActiveRun(self._client(), run_id)

    def _client(self) -> Any:
        from mlflow import MlflowClient

        # MLflow and its migrations narrate every table they make
        for name in ("alembic", "mlflow"):
            logging.getLogger(name).setLevel(logging.WARNING)
        return MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)

    def _experiment(self, client: Any, name: str) -> str:
        known = client.get_experiment_by_name(name)
        if known is not None:
            return str(known.experiment_id)
        self._files.mkdir(parents=True, exist_ok=True)
        return str(client.create_experiment(name, artifact_location=self._files.as_uri()))

    @staticmethod
    def _parameters(client: Any, run_id: str, parameters: Mapping[str, Json]) -> None:
        from mlflow.entities import Param

        client.log_batch(
            run_id,
            params=[Param(name, str(value)[:_LONGEST_VALUE]) for name, value in parameters.items()],
        )
