"""What is seen of requests and batches: numbers of each, lines of the unusual ones.

An ordinary answer costs one look-up and one append here; a batch a few passes over its requests.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import final

from torchyard.core.errors import Overloaded, YardError
from torchyard.serve.abstaining import JudgedScores
from torchyard.serve.calls import Call
from torchyard.serve.engine import Engine
from torchyard.serve.running import Ran, Waiting
from torchyard.serve.telemetry.families import STAGES
from torchyard.serve.telemetry.lines import Lines
from torchyard.serve.telemetry.metrics import Labels, Metrics, Series
from torchyard.serve.telemetry.request_ids import NAME, well_formed
from torchyard.serve.telemetry.traces import Traces

Observe = Callable[[Sequence[Waiting], Ran, float], None]

MOST_A_SECOND = 100  # lines of refused and slow requests: a flood of them is not to cost service
_FINE = frozenset(("200", "202", "OK"))
# refused before any route is known, so that nobody told ``refused``
_REASONS = {"405": "method_not_allowed"}


@final
@dataclass(slots=True, kw_only=True)
class RequestWatch:
    """Sees every answer, refusal and batch of a worker. Use from the loop's thread only.

    Attributes:
        metrics: counts.
        lines: output.
        clock: seconds, monotonic.
        make_id: a new id for a request or an incident.
        slow_s: an answer that took longer is told.
        access_share: the share of ordinary answers that is told.
        traces: told of them too, where traces are asked for.
        wall_clock: seconds since the epoch.
    """

    metrics: Metrics
    lines: Lines
    clock: Callable[[], float]
    make_id: Callable[[], str]
    slow_s: float
    access_share: float
    traces: Traces | None = None
    wall_clock: Callable[[], float] = time.time
    _answered: dict[Labels, Series] = field(default_factory=dict)
    _tell_s: float = field(init=False)
    _second: int = 0
    _told: int = 0  # lines of unusual requests in this second
    _chance: random.Random = field(default_factory=random.Random)  # a sample of lines, no result

    def __post_init__(self) -> None:
        self._tell_s = -1.0 if self.access_share > 0 else self.slow_s

    def answered(self, call: Call, code: str) -> None:
        """Count an answer under its code: HTTP's status, or gRPC's by name."""
        now = self.clock()
        seconds = now - call.arrived
        labels = (call.model, call.route, code)
        series = self._answered.get(labels)
        if series is None:
            series = self._answered[labels] = self.metrics.series("request_seconds", labels)
        series.pending.append(seconds)
        if seconds > self._tell_s or code not in _FINE:
            self._unusual(call, code, seconds)
        if self.traces is not None:
            self.traces.answered(call, code, now)

    def refused(self, call: Call, error: YardError) -> None:
        """Count and tell a refusal, by its code alone: its words may quote the request."""
        self._refused(call, error.code)

    def failed(self, call: Call, fault: Exception) -> str:
        """Tell a fault of ours; the incident that finds its line."""
        incident = self.make_id()
        self.metrics.count("refusals", (call.model, "internal"))
        self.lines.tell(
            "error", "fault", route=call.route, model=call.model, code="internal",
            ms=self._ms(call), client=call.client, request_id=self._name(call),
            incident=incident, fault=fault,
        )  # fmt: skip
        return incident

    def batches(self, engine: Engine) -> Observe:
        """What an engine's batcher tells of each batch: see ``Batcher``."""
        model, abstains = engine.model, engine.abstains
        decode, queue, run, encode, _ = self._stages(model)
        rows, clock = self.metrics.series("batch_rows", (model,)), self.clock
        tally, wall_clock = self.metrics.tally((model, engine.release)), self.wall_clock

        def observe(batch: Sequence[Waiting], ran: Ran, landed: float) -> None:
            began, count, now = ran.began, len(batch), clock()
            decoded = [one.queued_at - one.call.arrived for one in batch]
            queued = [began - one.queued_at for one in batch]
            size = sum([len(one.rows) for one in batch])
            decode.pending += decoded
            queue.pending += queued
            run.pending.append(ran.seconds)
            encode.add((now - landed) / count, count)
            rows.pending.append(size)
            tally.last_at = wall_clock()
            if tally.is_torn:
                tally.count_torn(batch, ran, landed, now)
            else:
                tally.count(size, count, sum(decoded), sum(queued), ran, landed, now)
            if self.traces is not None:
                self.traces.ran(batch, ran, landed, now)
            if abstains:
                self._count_abstained(model, ran)
            for one in batch:
                if one.deadline < now:
                    self.metrics.count("late_answers", (model,))
            self.metrics.fold_some()

        return observe

    def unanswered(self, engine: Engine, call: Call, fault: Exception) -> None:
        """Count a request that waited for a release and gets no answer from it.

        Who waited too long was in no batch; whatever else there is comes of one, told right after.
        """
        tally = self.metrics.tally((engine.model, engine.release))
        in_batch = not isinstance(fault, Overloaded)
        tally.fail(self.clock() - call.arrived, in_batch=in_batch)

    def logged(self, engine: Engine, *, since: float, requests: int) -> float:
        """Count what handing some answers to the prediction log took; when it was done."""
        now = self.clock()
        self._stages(engine.model)[-1].add((now - since) / requests, requests)
        return now

    def _stages(self, model: str) -> list[Series]:
        return [self.metrics.series("stage_seconds", (model, stage)) for stage in STAGES]

    def _count_abstained(self, model: str, ran: Ran) -> None:
        for scores in ran.answers:
            if isinstance(scores, JudgedScores):
                for why in scores.abstained:
                    if why is not None:
                        self.metrics.count("abstentions", (model, why.code))

    def _unusual(self, call: Call, code: str, seconds: float) -> None:
        if code in _FINE:
            is_slow = seconds > self.slow_s
            if (is_slow and self._has_room()) or self._chance.random() < self.access_share:
                self.lines.tell(
                    "warning" if is_slow else "info", "slow" if is_slow else "answered",
                    route=call.route, model=call.model, code=code, ms=1000 * seconds,
                    client=call.client, request_id=self._name(call),
                )  # fmt: skip
        elif call.route == "unreadable" or code in _REASONS:
            self._refused(call, _REASONS.get(code, "bad_http"))

    def _refused(self, call: Call, reason: str) -> None:
        self.metrics.count("refusals", (call.model, reason))
        if not self._has_room():
            return
        self.lines.tell(
            "warning", "refused", route=call.route, model=call.model, code=reason,
            ms=self._ms(call), client=call.client, request_id=self._name(call),
        )  # fmt: skip

    def _has_room(self) -> bool:
        """Whether another unusual request may have a line; how many had none is told after."""
        second = int(self.clock())
        if second != self._second:
            left_out = self._told - MOST_A_SECOND
            self._second, self._told = second, 0
            if left_out > 0:
                text = f"{left_out} more refused or slow requests"
                self.lines.tell("warning", "more", text=text)
        self._told += 1
        return self._told <= MOST_A_SECOND

    def _ms(self, call: Call) -> float:
        return 1000 * (self.clock() - call.arrived)

    def _name(self, call: Call) -> str:
        return well_formed(call.header(NAME)) or self.make_id()
