"""Batches that cost no waiting: what queued while the loop was busy becomes the next batch.

No timers wait for company. A cheap model runs on the loop itself, after all sockets of the turn
were read; a dear one on threads ("lanes"), where the next batch is whatever queued meanwhile. The
queue is bounded by time: who could not be answered before its deadline is refused at once, and who
no longer can be is dropped before it is run. No HTTP here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from math import ceil, inf
from typing import final

from torchyard.core.errors import Overloaded
from torchyard.serve.admission.cost import BatchCost
from torchyard.serve.admission.fair import FairQueue
from torchyard.serve.admission.lanes import Lanes, Tenant, Work
from torchyard.serve.calls import Call
from torchyard.serve.engine import Scores
from torchyard.serve.running import Done, Ran, Run, Score, Waiting, run_batch

Observe = Callable[[Sequence[Waiting], Ran, float], None]

LARGEST_ON_LOOP_BYTES = 32 << 10  # what takes long is large: a long text, a tensor, many rows
_ON_LOOP_BYTES = 320 << 10  # of a batch: a row of a tensor is large, and takes no longer for that

# Of the time there is. The rest is for what nobody foresaw and for the way back: simulated, with
# batches that vary by 30 %, 0.9 answers three times as many too late, and 0.7 refuses more at peak.
_PROMISED = 0.8
_PART = 0.25  # of the time a request has: how long a batch may take
_WORTHWHILE = (
    4.0  # rows' part of a batch, over its fixed part, beyond which more of them save little
)
_LONGEST_RETRY_S = 60
_SHORTEST_EXPIRY_S = 0.005  # between two looks for what waited too long


@final
class Batcher:
    """The queue in front of one engine. Use from the loop's thread only.

    Args:
        score: answers a batch of rows, in order.
        loop: where answers are delivered, and where batches run if there are no lanes.
        lanes: threads for the batches, shared with other models; None to run them on the loop.
        larger: what takes requests that are too large for a batch on the loop.
        cost: what batches are expected to take; it learns.
        max_batch_rows: most rows of one batch; a larger request is a batch by itself.
        max_queue_bytes: most bytes of the bodies of what waits.
        clock: seconds, monotonic; deadlines are on the same clock.
        observe: told of every batch that ran, once its answers were delivered, and since when they
            were being delivered.
        run: runs a batch; see ``running.run_batch``.
    """

    def __init__(
        self,
        score: Score,
        *,
        loop: asyncio.AbstractEventLoop,
        lanes: Lanes | None,
        cost: BatchCost,
        max_batch_rows: int,
        max_queue_bytes: int,
        clock: Callable[[], float],
        observe: Observe,
        larger: Batcher | None = None,
        run: Run = run_batch,
    ) -> None:
        self._score = score
        self._loop = loop
        self._lanes = lanes
        self._larger = larger
        self._cost = cost
        self._max_batch_rows = self._batch_rows = max_batch_rows
        self._max_batch_bytes = _ON_LOOP_BYTES if lanes is None else max_queue_bytes
        self._max_queue_bytes = max_queue_bytes
        self._clock = clock
        self._observe = observe
        self._run = run
        self._queue = FairQueue()
        self._tenant = Tenant(self._work)
        self._is_scheduled = False
        self._busy_since: float | None = None  # on the loop: since when more than a batch waits
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def waiting_rows(self) -> int:
        """Rows that wait for their turn; those that the model has are not among them."""
        return self._queue.rows + (0 if self._larger is None else self._larger.waiting_rows)

    @property
    def is_crowded(self) -> bool:
        """Whether more waits than the next batch takes, so that ``check`` may refuse."""
        return self._queue.rows >= self._batch_rows

    @property
    def oldest_at(self) -> float | None:
        """Since when the first of them waits, None when nobody does."""
        return self._queue.oldest_at

    @property
    def busy_lanes(self) -> int:
        """Batches that are on threads."""
        return self._tenant.held + (0 if self._larger is None else self._larger.busy_lanes)

    def submit(self, call: Call, rows: list[object], deadline: float, done: Done) -> None:
        """Queue one request's rows; ``done`` gets their scores, or why there are none, once.

        A model at rest is always asked, whatever it is expected to take: only so can it be learnt
        that it has become faster.

        Args:
            call: whose they are.
            rows: decoded.
            deadline: when an answer is of no use any more.
            done: called on the loop.

        Raises:
            Overloaded: what is ahead takes longer than the deadline allows, or too many bytes wait.
        """
        count, size_bytes = len(rows), call.size_bytes
        if self._larger is not None and (
            count > self._max_batch_rows or size_bytes > LARGEST_ON_LOOP_BYTES
        ):
            self._larger.submit(call, rows, deadline, done)
            return
        queue, cost, now = self._queue, self._cost, self._clock()
        ahead = queue.rows
        batch_rows = min(ahead + count, max(self._batch_rows, count))
        batch_s = cost.fixed_s + batch_rows * cost.row_s
        left_s = deadline - now
        if not ahead and self._is_resting:
            if left_s <= 0.0:
                raise _too_late(1)
            start_by = deadline
        else:
            start_by = deadline - batch_s
            if (
                self._start_s(ahead, now) + batch_s > _PROMISED * left_s
                or queue.size_bytes + size_bytes > self._max_queue_bytes
            ):
                self._make_room(call, count, size_bytes, left_s=left_s, now=now)
        queue.append(Waiting(call, rows, size_bytes, deadline, done, now, start_by))
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._flush)

    def check(self, call: Call, deadline: float) -> None:
        """Refuse a request before it is decoded, if even one row of it could not be in time.

        Raises:
            Overloaded: that is so.
        """
        if not self._is_resting:
            now = self._clock()
            if refusal := self._refusal(call, 1, 0, left_s=deadline - now, now=now):
                raise refusal

    @property
    def _is_resting(self) -> bool:
        return not self._queue.rows and (self._lanes is None or self._lanes.is_idle)

    def _start_s(self, ahead_rows: int, now: float) -> float:
        """Seconds until a batch begins that so many rows are ahead of.

        What a busy loop reads has lain in its socket for up to a turn, which nobody saw.
        """
        batches = ahead_rows // self._batch_rows
        batch_s = self._cost.of(self._batch_rows)
        if self._lanes is None:
            return batches * batch_s + (0.0 if self._busy_since is None else batch_s)
        return self._lanes.start_s(self._tenant, batches, batch_s, now)

    def _refusal(
        self, call: Call, count: int, size_bytes: int, *, left_s: float, now: float
    ) -> Overloaded | None:
        """Why there is no room for a client's request even at the cost of others, if so.

        What its client has waiting counts in full, what others have as far as it is their turn.
        """
        queue = self._queue
        ahead = queue.ahead_of(call.client, count)
        last_rows = min(ahead + count, max(self._batch_rows, count))
        wait_s = self._start_s(ahead, now) + self._cost.of(last_rows)
        if wait_s > _PROMISED * left_s:
            found = f"a wait of {1000 * wait_s:.0f} ms"
            return overloaded(found, "an answer before the deadline", self._drain_s(now))
        size_bytes += queue.size_bytes
        if queue.rows and size_bytes > self._max_queue_bytes:
            share = queue.share_bytes(call.client, self._max_queue_bytes)
            if size_bytes - queue.size_bytes > share:
                most = f"at most {self._max_queue_bytes} with this request's"
                return overloaded(f"{queue.size_bytes} bytes waiting", most, self._drain_s(now))
        return None

    def _make_room(
        self, call: Call, count: int, size_bytes: int, *, left_s: float, now: float
    ) -> None:
        """Let a client in that has less waiting than others, at the cost of whoever has most.

        Raises:
            Overloaded: it has its share already.
        """
        if refusal := self._refusal(call, count, size_bytes, left_s=left_s, now=now):
            raise refusal
        excess_bytes = self._queue.size_bytes + size_bytes - self._max_queue_bytes
        for out in self._queue.push_out(call.client, rows=count, size_bytes=excess_bytes):
            refusal = overloaded("more of this client's waiting", "its share", self._drain_s(now))
            self._loop.call_soon(self._deliver, out, refusal)

    def _drain_s(self, now: float) -> float:
        rows = self._queue.rows
        return self._start_s(rows, now) + self._cost.of(rows % self._batch_rows)

    def _flush(self) -> None:
        self._is_scheduled = False
        if self._lanes is None:
            self._run_here()
        else:
            self._lanes.ask(self._tenant)
            self._watch()

    def _run_here(self) -> None:
        """Run one batch on the loop, and let the sockets have their turn before the next one.

        While more waits, what a batch costs is all that lies between the ends of two of them:
        reading requests, refusing some, the model, writing answers and logs.
        """
        batch = self._next()
        if batch:
            ran = self._ran(batch)
            self._settle(batch, ran)
            ended = self._clock()
            began = ran.began if self._busy_since is None else self._busy_since
            self._cost.learn(_rows(batch), ended - began)
            self._busy_since = ended if self._queue.rows else None
        if self._queue.rows and not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._flush)

    def _work(self) -> Work | None:
        """The next batch for a lane."""
        batch = self._next()
        if not batch:
            return None
        return Work(
            partial(self._ran, batch), partial(self._land, batch), self._cost.of(_rows(batch))
        )

    def _land(self, batch: list[Waiting], ran: Ran, took_s: float) -> None:
        self._cost.learn(_rows(batch), took_s)
        self._batch_rows = self._fitting_rows(batch[len(batch) // 2])
        self._settle(batch, ran)

    def _fitting_rows(self, middling: Waiting) -> int:
        """Rows of a batch that ends soon enough for a middling request, where that costs little.

        One that takes most of the time a request has makes whoever just missed it late. But below
        the size at which the fixed part of its cost is a fifth, a batch would waste lane time.
        """
        fixed_s, row_s = self._cost.fixed_s, self._cost.row_s
        soon_s = _PART * (middling.deadline - middling.queued_at)
        if fixed_s + self._max_batch_rows * row_s <= soon_s:
            return self._max_batch_rows
        rows = max(soon_s - fixed_s, _WORTHWHILE * fixed_s) / row_s if row_s else inf
        return int(min(max(rows, 1), self._max_batch_rows))

    def _next(self) -> list[Waiting]:
        self._expire()
        return self._queue.take(most_rows=self._batch_rows, most_bytes=self._max_batch_bytes)

    def _expire(self) -> None:
        """Refuse what can no longer be in time, so that nobody runs it for nothing."""
        now = self._clock()
        if self._queue.start_by < now:
            for waiting in self._queue.expire(now):
                self._deliver(waiting, _too_late(self._drain_s(now)))

    def _watch(self) -> None:
        """While lanes are busy, look again when something may have waited too long."""
        if self._queue.rows and self._expiry is None:
            delay_s = max(self._queue.start_by - self._clock(), _SHORTEST_EXPIRY_S)
            self._expiry = self._loop.call_later(delay_s, self._wake)

    def _wake(self) -> None:
        self._expiry = None
        self._expire()
        self._watch()

    def _ran(self, batch: Sequence[Waiting]) -> Ran:
        began = self._clock()
        answers = self._run(self._score, batch)
        return Ran(answers, began, self._clock() - began)

    def _settle(self, batch: list[Waiting], ran: Ran) -> None:
        landed = self._clock()
        for waiting, answer in zip(batch, ran.answers, strict=True):
            try:
                waiting.done(answer)
            except (
                Exception
            ) as error:  # a request's fault must not cost its neighbours their answer
                self._complain(error)
        self._observe(batch, ran, landed)

    def _deliver(self, waiting: Waiting, answer: Scores | Exception) -> None:
        try:
            waiting.done(answer)
        except Exception as error:
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        context = {"message": "delivering an answer failed", "exception": error}
        self._loop.call_exception_handler(context)


def overloaded(found: str, expected: str, retry_s: float) -> Overloaded:
    """The refusal of a request that cannot be answered in time.

    Args:
        found: what stands against it.
        expected: what would not.
        retry_s: when it is worth asking again; told in whole seconds, 1 to 60.
    """
    seconds = min(max(ceil(retry_s), 1), _LONGEST_RETRY_S)
    return Overloaded(
        where="this worker",
        found=found,
        expected=expected,
        remedy=f"Try again after {seconds} s, send fewer rows at once, or start more workers.",
        retry_after_s=seconds,
    )


def _too_late(retry_s: float) -> Overloaded:
    return overloaded("a deadline that passed", "a free lane before it", retry_s)


def _rows(batch: Sequence[Waiting]) -> int:
    return sum(len(waiting.rows) for waiting in batch)
