"""Batches that cost no waiting: what queued while the loop was busy becomes the next batch.

No timers wait for company. A cheap model runs on the loop itself, after all sockets of the turn
were read; a dear one on threads ("lanes"), where the next batch is whatever queued meanwhile. No
HTTP here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import final

from torchyard.core.errors import Overloaded
from torchyard.serve.calls import Call
from torchyard.serve.engine import Scores
from torchyard.serve.running import Done, Ran, Run, Score, Waiting, run_batch

LARGEST_ON_LOOP_BYTES = 32 << 10  # what takes long is large: a long text, a tensor, many rows

_SMOOTHING = 0.2  # weight of the newest batch in the running mean of a row's time


@final
class Batcher:
    """The queue in front of one engine. Use from the loop's thread only.

    Args:
        score: answers a batch of rows, in order.
        loop: where cheap batches run and answers are delivered.
        lanes: threads for batches that are dear or too large for the loop.
        lane_count: batches that may be on lanes at once.
        is_cheap: whether ``score`` may run on the loop.
        max_batch_rows: most rows of one batch; a larger request is a batch by itself.
        max_queue_rows: most rows that may wait.
        max_queue_bytes: most bytes of their requests' bodies.
        clock: seconds, monotonic; deadlines are on the same clock.
        observe: told of every batch that ran, once its answers were delivered.
        run: runs a batch; see ``running.run_batch``.
    """

    def __init__(
        self,
        score: Score,
        *,
        loop: asyncio.AbstractEventLoop,
        lanes: Executor,
        lane_count: int,
        is_cheap: bool,
        max_batch_rows: int,
        max_queue_rows: int,
        max_queue_bytes: int,
        clock: Callable[[], float],
        observe: Callable[[Sequence[Waiting], Ran], None],
        run: Run = run_batch,
    ) -> None:
        self._score = score
        self._loop = loop
        self._lanes = lanes
        self._lane_count = lane_count
        self._is_cheap = is_cheap
        self._max_batch_rows = max_batch_rows
        self._max_queue_rows = max_queue_rows
        self._max_queue_bytes = max_queue_bytes
        self._clock = clock
        self._observe = observe
        self._run = run
        self._queue: deque[Waiting] = deque()
        self._queued_rows = 0
        self._queued_bytes = 0
        self._busy_lanes = 0
        self._row_s = 0.0
        self._is_scheduled = False
        self._expiry: asyncio.TimerHandle | None = None

    def submit(self, call: Call, rows: list[object], deadline: float, done: Done) -> None:
        """Queue one request's rows; ``done`` gets their scores, or why there are none, once.

        Args:
            call: whose they are.
            rows: decoded.
            deadline: when an answer is of no use any more.
            done: called on the loop.

        Raises:
            Overloaded: the queue is full, or what is ahead takes longer than the deadline allows.
        """
        ahead, size_bytes, now = self._queued_rows, call.size_bytes, self._clock()
        if ahead and ahead + len(rows) > self._max_queue_rows:
            raise overloaded(
                f"{ahead} rows waiting", f"at most {self._max_queue_rows} with this request's"
            )
        if ahead and self._queued_bytes + size_bytes > self._max_queue_bytes:
            most = f"at most {self._max_queue_bytes} with this request's"
            raise overloaded(f"{self._queued_bytes} bytes waiting", most)
        wait_s = ahead * self._row_s / (1 if self._is_cheap else self._lane_count)
        if now + wait_s >= deadline:
            raise overloaded(f"a wait of {1000 * wait_s:.0f} ms", "an answer before the deadline")
        self._queue.append(Waiting(call, rows, size_bytes, deadline, done, now))
        self._queued_rows += len(rows)
        self._queued_bytes += size_bytes
        self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_scheduled = False
        self._expire()
        while self._queue and self._busy_lanes < self._lane_count:
            batch = self._take()
            if self._is_cheap and self._fits_loop(batch):
                self._settle(batch, self._ran(batch))
                if self._queue:  # let the sockets have their turn between two batches
                    self._schedule()
                return
            self._send(batch)
        if self._queue and self._expiry is None:
            first = min(waiting.deadline for waiting in self._queue)
            delay_s = max(first - self._clock(), 0.001)
            self._expiry = self._loop.call_later(delay_s, self._wake)

    def _wake(self) -> None:
        self._expiry = None
        self._flush()

    def _expire(self) -> None:
        """Refuse what waited past its deadline, so that nobody runs it for nothing."""
        now = self._clock()
        if all(waiting.deadline > now for waiting in self._queue):
            return
        late = [waiting for waiting in self._queue if waiting.deadline <= now]
        self._queue = deque(waiting for waiting in self._queue if waiting.deadline > now)
        self._queued_rows -= _rows(late)
        self._queued_bytes -= _bytes(late)
        for waiting in late:
            self._deliver(waiting, overloaded("a deadline that passed", "a free lane before it"))

    def _take(self) -> list[Waiting]:
        """The next batch: in order, at least one request, and not too many rows if several.

        A cheap model's batches are not too large either: what is small is not to wait for it.
        """
        batch = [self._queue.popleft()]
        rows, size_bytes = len(batch[0].rows), batch[0].size_bytes
        most_bytes = LARGEST_ON_LOOP_BYTES if self._is_cheap else self._max_queue_bytes
        while self._queue:
            following = self._queue[0]
            rows += len(following.rows)
            size_bytes += following.size_bytes
            if rows > self._max_batch_rows or size_bytes > most_bytes:
                break
            batch.append(self._queue.popleft())
        self._queued_rows -= _rows(batch)
        self._queued_bytes -= _bytes(batch)
        return batch

    def _fits_loop(self, batch: Sequence[Waiting]) -> bool:
        return _rows(batch) <= self._max_batch_rows and _bytes(batch) <= LARGEST_ON_LOOP_BYTES

    def _send(self, batch: list[Waiting]) -> None:
        self._busy_lanes += 1
        future = self._loop.run_in_executor(self._lanes, self._ran, batch)
        future.add_done_callback(lambda future: self._land(batch, future))

    def _ran(self, batch: list[Waiting]) -> Ran:
        began = self._clock()
        answers = self._run(self._score, batch)
        return Ran(answers, began, self._clock() - began)

    def _land(self, batch: list[Waiting], future: asyncio.Future[Ran]) -> None:
        self._busy_lanes -= 1
        self._settle(batch, future.result())
        self._flush()

    def _settle(self, batch: list[Waiting], ran: Ran) -> None:
        self._row_s += _SMOOTHING * (ran.seconds / _rows(batch) - self._row_s)
        for waiting, answer in zip(batch, ran.answers, strict=True):
            self._deliver(waiting, answer)
        self._observe(batch, ran)

    def _deliver(self, waiting: Waiting, answer: Scores | Exception) -> None:
        try:
            waiting.done(answer)
        except Exception as error:  # one request's fault must not cost its neighbours their answer
            self._loop.call_exception_handler(
                {"message": "delivering an answer failed", "exception": error}
            )


def overloaded(found: str, expected: str) -> Overloaded:
    """The refusal of a request that cannot be answered in time."""
    return Overloaded(
        where="this worker",
        found=found,
        expected=expected,
        remedy="Try again after a second, send fewer rows at once, or start more workers.",
    )


def _rows(batch: Sequence[Waiting]) -> int:
    return sum(len(waiting.rows) for waiting in batch)


def _bytes(batch: Sequence[Waiting]) -> int:
    return sum(waiting.size_bytes for waiting in batch)
