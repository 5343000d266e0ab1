"""Tracking: every run in MLflow from its first second, ended with how it ended."""

from __future__ import annotations

import itertools
import math
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from torchyard.core.errors import Stopped, YardError
from torchyard.core.record import Json
from torchyard.train.database import open_client, settle

# MLflow refuses more
_LONGEST_PARAMETER = 6000
_LONGEST_TAG = 8000
_MOST_METRICS = 1000
# a line of a table; the whole error is a file of the run
_LONGEST_ERROR = 500
ERRORS = "errors"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Point:
    """A metric's value at a step. ``at_ms`` is when, in milliseconds since 1970-01-01 UTC."""

    name: str
    step: int
    value: float
    at_ms: int = field(default_factory=_now_ms)


class ActiveRun:
    """A run that is being recorded. Metrics go in batches: one by one MLflow takes 16 ms each.

    A run that goes on from a checkpoint passes by steps that an earlier sitting recorded already:
    each metric is recorded once per step.
    """

    def __init__(self, client: Any, run_id: str, *, known: Iterable[tuple[str, int]] = ()) -> None:
        self._client = client
        self.id = run_id
        self._before = frozenset(known)
        self._told = set(self._before)

    def metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Record numbers of one step, but for those that an earlier sitting recorded."""
        self.add([Point(name, step, value) for name, value in values.items()])

    def add(self, points: Iterable[Point]) -> None:
        """Record some points, but for those that an earlier sitting recorded."""
        self._record([one for one in points if (one.name, one.step) not in self._before])

    def complete(self, points: Iterable[Point]) -> None:
        """Record those of some points that neither this sitting nor an earlier one has."""
        self._record([one for one in points if (one.name, one.step) not in self._told])

    def next_step(self, name: str) -> int:
        """The step after the last one that a metric was recorded at; 0 when it was at none."""
        return 1 + max((step for known, step in self._told if known == name), default=-1)

    def reads(self, name: str, *, digest: str, source: str, part: str) -> None:
        """Say which dataset the run learns from, so that MLflow shows it beside the run."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(name, digest, source_type="torchyard", source=source)
        given = DatasetInput(dataset, [InputTag("mlflow.data.context", part)])
        self._client.log_inputs(self.id, datasets=[given])

    def record(self, name: str, content: Json) -> None:
        """Keep a record as a JSON file of the run."""
        self._client.log_dict(self.id, content, name)

    def text(self, name: str, content: str) -> None:
        """Keep a text as a file of the run; ``name`` may have folders."""
        self.content(name, content.encode())

    def content(self, name: str, content: bytes) -> None:
        """Keep some bytes as a file of the run; ``name`` may have folders."""
        place = Path(name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / place.name
            path.write_bytes(content)
            self.file(path, folder="" if str(place.parent) == "." else str(place.parent))

    def file(self, path: Path, *, folder: str = "") -> None:
        """Keep a file with the run, in a folder of the run's files."""
        self._client.log_artifact(self.id, str(path), folder or None)

    def tag(self, tags: Mapping[str, str]) -> None:
        """Label the run."""
        from mlflow.entities import RunTag

        labels = [RunTag(name, value[:_LONGEST_TAG]) for name, value in tags.items()]
        self._client.log_batch(self.id, tags=labels)

    def _record(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        for first in range(0, len(points), _MOST_METRICS):
            batch = points[first : first + _MOST_METRICS]
            metrics = [Metric(one.name, one.value, one.at_ms, one.step) for one in batch]
            self._client.log_batch(self.id, metrics=metrics)
            self._told.update((one.name, one.step) for one in batch)


@final
class Batch:
    """Points on their way to a run, recorded together every few seconds.

    Each time takes MLflow some 16 ms, however many they are: an epoch of a small model, and a
    project's own numbers several times a second, would wait for it.
    """

    def __init__(self, active: ActiveRun, every: float, clock: Callable[[], float]) -> None:
        self._active = active
        self._every = every
        self._clock = clock
        self._points: list[Point] = []
        self._sent = clock()

    @classmethod
    @contextmanager
    def to(
        cls, active: ActiveRun, *, every: float = 5.0, clock: Callable[[], float] = time.monotonic
    ) -> Iterator[Batch]:
        """A batch for a run, which is sent when the block ends, however it ends."""
        batch = cls(active, every, clock)
        try:
            yield batch
        except BaseException as error:
            with _noted(error):
                batch.send()
            raise
        batch.send()

    def add(self, points: Iterable[Point]) -> None:
        """Put points in."""
        self._points += points

    @property
    def is_due(self) -> bool:
        """Whether the last time is some seconds ago."""
        return self._clock() - self._sent >= self._every

    def send_if_due(self) -> None:
        """Record what is in it, if the last time is some seconds ago."""
        if self._points and self.is_due:
            self.send()

    def send(self) -> None:
        """Record what is in it."""
        points, self._points = self._points, []
        self._sent = self._clock()
        self._active.add(points)


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

        An exception ends it as FAILED, being stopped as KILLED: its first line is the tag
        ``error``, the whole of it a file in ``errors/`` named by the time.

        Args:
            experiment: the project's name.
            parameters: the run's settings.
            tags: what it is made from.
            begun: the run that goes on, when it was stopped or killed before; a new one begins when
                it is not given, or nowhere to be found.
        """
        client = self._opened()
        run = _again(client, begun) if begun else None
        if run is None:
            started = client.create_run(self._experiment(client, experiment), tags=dict(tags))
            run = ActiveRun(client, started.info.run_id)
        try:
            if run.id != begun:
                _record_parameters(client, run.id, parameters)
            yield run
        except BaseException as error:
            _end_badly(client, run, error)
            raise
        client.set_terminated(run.id, "FINISHED")

    def resume(self, run_id: str) -> ActiveRun:
        """A finished run, to add evidence to."""
        return ActiveRun(self._opened(), run_id)

    def _opened(self) -> Any:
        """MLflow's client; a project that was moved or copied writes to its own folder."""
        client = open_client(self._uri)
        settle(self._uri, self._files)
        return client

    def _experiment(self, client: Any, name: str) -> str:
        known = client.get_experiment_by_name(name)
        if known is not None:
            return str(known.experiment_id)
        self._files.mkdir(parents=True, exist_ok=True)
        return str(client.create_experiment(name, artifact_location=self._files.as_uri()))


def thinned(losses: Sequence[float], *, most: int = 1000) -> list[tuple[int, float]]:
    """The losses of a run's steps in at most so many points: steps, from 1, and mean losses.

    Each point is the mean of a stretch of equally many steps (the last one may be shorter), and
    stands at its last step.

    Example:
        >>> thinned([3.0, 1.0, 2.0, 4.0, 5.0], most=3)
        [(2, 2.0), (4, 3.0), (5, 5.0)]
    """
    length = -(-len(losses) // most)
    stretches = [losses[first : first + length] for first in range(0, len(losses), length or 1)]
    ends = itertools.accumulate(map(len, stretches))
    return [(end, math.fsum(one) / len(one)) for end, one in zip(ends, stretches, strict=True)]


def describe_error(error: BaseException) -> dict[str, Json]:
    """An error as a record: a refusal in its four parts, any error with its traceback.

    Example:
        >>> describe_error(ValueError("no rows"))["text"]
        'ValueError: no rows'
    """
    parts = error.as_dict() if isinstance(error, YardError) else {}
    lines = traceback.format_exception(error)
    return {"text": f"{type(error).__name__}: {error}", **parts, "traceback": "".join(lines)}


def _again(client: Any, run_id: str) -> ActiveRun | None:
    """A run that goes on, knowing what it recorded before; None when it is gone."""
    from mlflow.exceptions import MlflowException

    try:
        client.update_run(run_id, status="RUNNING")
        data = client.get_run(run_id).data
        for tag in data.tags.keys() & {"error"}:
            client.delete_tag(run_id, tag)
        known = [
            (name, one.step)
            for name in data.metrics
            for one in client.get_metric_history(run_id, name)
        ]
    except MlflowException:
        return None
    return ActiveRun(client, run_id, known=known)


def _record_parameters(client: Any, run_id: str, parameters: Mapping[str, Json]) -> None:
    from mlflow.entities import Param

    client.log_batch(
        run_id,
        params=[Param(name, str(value)[:_LONGEST_PARAMETER]) for name, value in parameters.items()],
    )


def _end_badly(client: Any, run: ActiveRun, error: BaseException) -> None:
    """Record how a run ended; what keeps it from being recorded does not hide the error itself."""
    was_stopped = isinstance(error, (KeyboardInterrupt, SystemExit, Stopped))
    found = describe_error(error)
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
    with _noted(error):
        client.set_terminated(run.id, "KILLED" if was_stopped else "FAILED")
        run.tag({"error": found["text"][:_LONGEST_ERROR]})
        run.record(f"{ERRORS}/{moment}.json", found)


@contextmanager
def _noted(error: BaseException) -> Iterator[None]:
    """What fails in the block, after an error that ends a run, is noted on that error."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as failure:
        error.add_note(f"The run's end could not be recorded either: {failure}")
