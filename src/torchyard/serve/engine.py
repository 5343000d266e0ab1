"""One release, ready to answer rows. No transport: no requests, sockets, queues or logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Protocol, final

import msgspec

from torchyard.core.digest import short
from torchyard.core.errors import BadModel, BadRecord, NotReady, YardError
from torchyard.records.abstaining import Abstention
from torchyard.records.dataset import Profile
from torchyard.records.evidence import AskedDevice, Device, Latency, Variant
from torchyard.records.manifest import Manifest
from torchyard.records.schema import Schema, Task
from torchyard.records.tuning import TunedRelease
from torchyard.records.verdicts import Objective
from torchyard.runtimes import Answers, Columns, Model, open_model
from torchyard.runtimes.devices import device_tolerance
from torchyard.serve.abstaining import Abstained, Abstainer, JudgedScores
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.serve.soundness import soundness_of
from torchyard.serve.tuning.kept import device_of
from torchyard.serve.tuning.pace import best_batch_rows, is_cheap
from torchyard.serve.tuning.warming import warmed

Scores = Sequence[list[float]]

_REPLAY_ROWS = 64
_TENSORS_SAVE = 4


class ServableRelease(Protocol):
    """What serving reads of an opened release; ``torchyard.release.Release`` is one."""

    @property
    def id(self) -> str:
        """``sha256:`` and 64 hex digits."""

    @property
    def manifest(self) -> Manifest:
        """Its model's name and its ladder."""

    @property
    def schema(self) -> Schema:
        """The raw fields of a row."""

    @property
    def task(self) -> Task:
        """What is predicted."""

    @property
    def variants(self) -> dict[str, Variant]:
        """Servable variants by name, as they were measured."""

    @property
    def golden_tolerance(self) -> float:
        """How far a replayed golden answer may be off, see ``replay``."""

    def variant_path(self, name: str) -> Path:
        """The file of a variant."""

    @property
    def features_path(self) -> Path:
        """The feature graph, before a variant that begins at the feature tensors."""

    @property
    def later(self) -> tuple[str, ...]:
        """Names of fields that are known too late for a request."""

    @property
    def abstention(self) -> Abstention | None:
        """When it does not answer; None where it always does."""

    @property
    def objective(self) -> Objective | None:
        """The service level that it was judged by; None where none was declared."""

    @property
    def reference(self) -> Profile:
        """What training had in each field."""

    def golden_requests(self) -> list[dict[str, Any]]:
        """Rows as JSON objects."""

    def golden_answers(self) -> list[list[float]]:
        """Their answers, in the order of the task's outputs."""


@final
class Engine:
    """A release with its first variant open. ``score`` may be called from several threads.

    Attributes:
        release: the release's id, ``sha256:...``.
        version: its twelve digits, the model version of the Open Inference Protocol.
        model: the model's name.
        variant: the name of the variant that answers.
        precision: what it computes in.
        device: where it runs.
        schema: the raw fields of a row.
        task: what is predicted.
        max_rows: most rows of one request.
        decoder: reads this release's rows.
        abstains: whether it may leave a row without an answer.
        objective: the service level that it was judged by, if any.
        reference: what training had in each field.
        example: a golden request as JSON; empty until ``open_engine`` has replayed them.
        is_cheap: whether it may run on the loop, see ``tuning/pace.py``; never on a GPU.
        measured: rows of a call and its seconds (median), as they were measured.
        best_batch_rows: rows per call, see there.
    """

    def __init__(
        self,
        release: ServableRelease,
        *,
        max_rows: int,
        threads: int = 1,
        device: AskedDevice = "cpu",
        tuned: TunedRelease | None = None,
    ) -> None:
        name = release.manifest.ladder[0]
        variant = release.variants[name]
        self.release = release.id
        self.version = short(release.id)
        self.model = release.manifest.model
        self.variant = name
        self.schema = release.schema
        self.task = release.task
        self.max_rows = max_rows
        self.decoder = RowDecoder(release.schema, max_rows=max_rows, later=release.later)
        self.precision = variant.precision
        where, kinds = f"release {self.version}, variant {name}", _kinds(release.schema)
        self.device: Device = device_of(variant, kinds, asked=device, tuned=tuned, where=where)
        self.take_cost(_known(variant, self.device, tuned))
        self.objective = release.objective
        self.reference = release.reference
        self.example = b""
        rule = release.abstention
        self.abstains = rule is not None
        self._abstainer = None if rule is None else Abstainer(rule, release.schema, release.task)
        self._fault = soundness_of(release.task)
        self._model: Model = _opened(release, name, threads=threads, device=self.device)

    def take_cost(self, latency: Sequence[Latency]) -> None:
        """Go by these calls from now on; before the engine serves."""
        self.is_cheap = self.device == "cpu" and is_cheap(latency, _kinds(self.schema))
        self.measured = tuple((seen.batch, seen.p50_ms / 1000) for seen in latency)
        self.best_batch_rows = best_batch_rows(latency, cheap=self.is_cheap)

    def score(self, rows: Sequence[object]) -> Scores:
        """Calibrated answers to decoded rows: one list per row, in the order of the task's outputs.

        Of a release that may abstain they are ``JudgedScores``, else a list.

        Raises:
            BadData: a picture cannot be read.
            BadModel: the graph failed, or an answer is unsound: see ``serve/soundness``.
        """
        columns = self.decoder.columns(rows)
        answers = self.answer(columns, len(rows))
        scores: list[list[float]] = answers.tolist()
        abstained = self.judge(columns, answers)
        return scores if abstained is None else JudgedScores(scores, abstained)

    def answer(self, columns: Columns, rows: int) -> Answers:
        """Calibrated answers to raw columns, ``float32 [rows, outputs]``: what ``score`` lists.

        Args:
            columns: as in ARCHITECTURE.md, "Raw columns", by field name.
            rows: how many there are.

        Raises:
            BadData: a picture cannot be read.
            BadModel: the graph failed, or an answer is unsound: see ``serve/soundness``.
        """
        answers = self._model.run(columns)
        shape = (rows, len(self.task.outputs))
        fault = f"answers {answers.shape}" if answers.shape != shape else self._fault(answers)
        if fault:
            raise BadModel(
                where=f"release {self.version}, variant {self.variant}",
                found=fault,
                expected=f"sound {self.task.output_name} {shape}",
                remedy="Bound fields with extreme values, or: torchyard rollback",
            )
        return answers

    def rows_in(self, size_bytes: int) -> int:
        """About the most rows in a body of that size: as tensors a row takes a part of its JSON."""
        return 1 + _TENSORS_SAVE * size_bytes // max(len(self.example), 1)

    def judge(self, columns: Columns, answers: Answers) -> list[Abstained | None] | None:
        """For each row why it is not answered, or None; None of a release that never abstains."""
        return None if self._abstainer is None else self._abstainer.judge(columns, answers)


def open_engine(
    release: ServableRelease,
    *,
    max_rows: int,
    threads: int = 1,
    device: AskedDevice = "cpu",
    tuned: TunedRelease | None = None,
) -> Engine:
    """Open a release's first variant, replay its golden requests through it, and warm it.

    Args:
        release: an opened release.
        max_rows: most rows of one request.
        threads: threads inside one model call.
        device: where it is to run; ``auto`` goes by what was tuned, else by what is worth it.
        tuned: how this machine runs it best; None to believe the machine that sealed it, of a GPU
            to measure it now.

    Raises:
        NotReady: a golden request is refused, or its answer differs by more than the release's
            tolerance; or a GPU is asked for, and cannot be used.
        BadRecord: the variant's file is damaged.
    """
    engine = Engine(release, max_rows=max_rows, threads=threads, device=device, tuned=tuned)
    _replay(engine, release)
    request = release.golden_requests()[0]
    engine.example = msgspec.json.encode(request)
    _warm(engine, request)
    return engine


def replay(release: ServableRelease, *, device: AskedDevice = "cpu") -> float:
    """Answer a release's golden requests from its own file, as a worker would.

    A probability may differ from its golden answer by the release's tolerance. A number may by the
    tolerance times the largest of its row's value, low and high, or of a middling row's where that
    is larger: near 0 a number has no scale of its own. What a GPU answers in less than float32 may
    be off by a step of what it computes in, see ``runtimes/devices.py``.

    Returns:
        The largest difference, of numbers as a share of that scale.

    Raises:
        NotReady: a golden request is refused, or the difference exceeds the release's tolerance.
        BadRecord: the variant's file is damaged.
    """
    return _replay(Engine(release, max_rows=_REPLAY_ROWS, device=device), release)


def _replay(engine: Engine, release: ServableRelease) -> float:
    requests, answers = release.golden_requests(), release.golden_answers()
    if not requests or len(requests) != len(answers):
        raise _unlike(
            engine, f"{len(requests)} golden requests, {len(answers)} answers", "the same number"
        )
    scores: list[list[float]] = []
    step = min(_REPLAY_ROWS, engine.max_rows)
    for start in range(0, len(requests), step):
        scores += _answer(engine, requests[start : start + step], start)
    worst, scales = 0.0, _scales(engine.task, answers)
    tolerance = device_tolerance(
        release.golden_tolerance, device=engine.device, precision=engine.precision
    )
    for place, (score, answer, scale) in enumerate(zip(scores, answers, scales, strict=True)):
        if len(score) != len(answer):
            raise _unlike(engine, f"golden answer {place}: {answer}", f"{len(score)} numbers")
        difference = max(abs(one - other) for one, other in zip(score, answer, strict=True)) / scale
        if not difference <= tolerance:
            raise _unlike(
                engine,
                f"golden request {place} answered {score}",
                f"{answer} within {tolerance * scale:g}",
            )
        worst = max(worst, difference)
    return worst


def _scales(task: Task, answers: Sequence[Sequence[float]]) -> list[float]:
    """What a difference of each golden answer is held against, see ``replay``."""
    if not task.is_regression:
        return [1.0] * len(answers)
    sizes = [max(map(abs, answer), default=0.0) for answer in answers]
    middling = median(sizes)
    return [max(size, middling) or 1.0 for size in sizes]


def _answer(engine: Engine, requests: Sequence[Mapping[str, Any]], start: int) -> Scores:
    try:
        return engine.score(engine.decoder.decode(msgspec.json.encode({"rows": requests})).rows)
    except YardError as error:
        raise _unlike(
            engine, f"golden requests from {start} on: {error}", "rows that the schema accepts"
        ) from error


def _kinds(schema: Schema) -> tuple[str, ...]:
    return tuple(field.kind for field in schema.fields)


def _known(variant: Variant, device: Device, tuned: TunedRelease | None) -> tuple[Latency, ...]:
    """What calls take on a device, as far as that was measured: at sealing, it was on a CPU."""
    if tuned is not None and tuned.device == device:
        return tuned.latency
    return variant.latency if device == "cpu" else ()


def _opened(release: ServableRelease, name: str, *, threads: int, device: Device) -> Model:
    path = release.variant_path(name)
    variant = release.variants[name]
    model = open_model(
        path,
        runtime=variant.runtime,
        features=release.features_path,
        threads=threads,
        device=device,
        precision=variant.precision,
    )
    if model.output != release.task.output_name:
        raise BadRecord(
            where=f"release {short(release.id)}, variant {name}",
            found=f"a file that answers with {model.output}",
            expected=f"{release.task.output_name}, as its task is a {release.task.kind}",
            remedy="Build and judge the variants again, then seal.",
        )
    return model


def _warm(engine: Engine, request: Mapping[str, Any]) -> None:
    """Run the batch sizes that serving will use, so that no client pays for first-time work."""
    row = engine.decoder.decode(msgspec.json.encode({"rows": [request]})).rows[0]
    if engine.device == "cuda":
        seen = warmed(engine.score, row)
        if not engine.measured:
            engine.take_cost(seen)
        return
    for rows in sorted({1, 2, engine.best_batch_rows}):
        engine.score([row] * rows)


def _unlike(engine: Engine, found: str, expected: str) -> NotReady:
    return NotReady(
        where=f"release {engine.version}, variant {engine.variant}",
        found=found,
        expected=expected,
        remedy="It does not answer as it was judged: seal it again on a machine like this one.",
    )
