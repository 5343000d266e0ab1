"""Whose turn it is: what waits for one model, by client, so that nobody's flood starves the others.

While everything that waits fits into the next batch, order does not matter, and this is a plain
queue. Beyond that the requests stand in lines, one for each client, and are taken by self-clocked
fair queueing (Golestani 1994, "A self-clocked fair queueing scheme for broadband applications"):
every request bears a tag, the rows its client will have had by then, and the lowest tag is next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from math import inf
from typing import final

from torchyard.serve.running import Waiting


@final
class _Line:
    """One client's requests, in order, each with its tag."""

    __slots__ = ("requests", "rows", "size_bytes", "tag")

    def __init__(self) -> None:
        self.requests: deque[tuple[float, Waiting]] = deque()
        self.rows = 0
        self.size_bytes = 0
        self.tag = 0.0


@final
class FairQueue:
    """Requests that wait, shared out among clients by rows.

    Attributes:
        rows: of all of them.
        size_bytes: of their bodies.
        start_by: a moment before which none of them is late.
    """

    __slots__ = ("_arrivals", "_heads", "_lines", "_tag", "rows", "size_bytes", "start_by")

    def __init__(self) -> None:
        self._arrivals: list[Waiting] = []  # not in lines yet
        self._lines: dict[str, _Line] = {}
        self._heads: list[tuple[float, str]] = []  # a heap: the tag of each line's first
        self._tag = 0.0  # of what was taken last: the clock of the queue
        self.rows = 0
        self.size_bytes = 0
        self.start_by = inf

    @property
    def oldest_at(self) -> float | None:
        """Since when the first of them waits, None when nobody does."""
        lines = (line.requests[0][1] for line in self._lines.values() if line.requests)
        return min((one.queued_at for one in (*self._arrivals[:1], *lines)), default=None)

    def append(self, waiting: Waiting) -> None:
        """Add a request behind its client's others."""
        self._arrivals.append(waiting)
        self.rows += len(waiting.rows)
        self.size_bytes += waiting.size_bytes
        if waiting.start_by < self.start_by:  # noqa: PLR1730 - twice as fast as min()
            self.start_by = waiting.start_by

    def take(self, *, most_rows: int, most_bytes: int) -> list[Waiting]:
        """The next batch: whole requests, at least one if any waits, not too much if several."""
        if not self._lines and self.rows <= most_rows and self.size_bytes <= most_bytes:
            batch, self._arrivals = self._arrivals, []
            self.rows = self.size_bytes = 0
            self.start_by = inf
            return batch
        self._line_up()
        batch, rows, size_bytes = [], 0, 0
        while (client := self._next()) is not None:
            waiting = self._lines[client].requests[0][1]
            rows += len(waiting.rows)
            size_bytes += waiting.size_bytes
            if batch and (rows > most_rows or size_bytes > most_bytes):
                break
            self._tag = heappop(self._heads)[0]
            batch.append(self._leave(client, is_last=False))
        return batch

    def expire(self, now: float) -> list[Waiting]:
        """Take out those that could not be answered in time if they began now."""
        if self.start_by >= now:
            return []
        self._line_up()
        waiting = [one for line in self._lines.values() for _, one in line.requests]
        late = [one for one in waiting if one.start_by < now]
        if late:
            self._keep(now)
        self.start_by = min((one.start_by for one in waiting if one.start_by >= now), default=inf)
        return late

    def ahead_of(self, client: str, rows: int) -> int:
        """Rows that are taken before another request of a client, if it had so many."""
        self._line_up()
        line = self._lines.get(client)
        own = 0 if line is None else line.rows
        others = len(self._lines) - (line is not None)
        return min(self.rows, own + others * (own + rows))

    def share_bytes(self, client: str, most: int) -> int:
        """Bytes that are still a client's to fill when all that wait have equal parts of some."""
        self._line_up()
        line = self._lines.get(client)
        return most // (len(self._lines) + (line is None)) - (
            0 if line is None else line.size_bytes
        )

    def push_out(self, client: str, *, rows: int, size_bytes: int) -> Iterator[Waiting]:
        """Take out the last of whoever has most waiting, until a client's request has room.

        Args:
            client: who comes in; its own requests stay, and so do those of a shorter line.
            rows: to free.
            size_bytes: to free.
        """
        self._line_up()
        own = self._lines.get(client) or _Line()
        while rows > 0 and (longest := max(self._lines, key=self._rows_of, default=None)):
            if self._lines[longest].rows <= own.rows:
                break
            rows -= len((out := self._leave(longest, is_last=True)).rows)
            size_bytes -= out.size_bytes
            yield out
        while size_bytes > 0 and (longest := max(self._lines, key=self._bytes_of, default=None)):
            if self._lines[longest].size_bytes <= own.size_bytes:
                break
            size_bytes -= (out := self._leave(longest, is_last=True)).size_bytes
            yield out

    def _rows_of(self, client: str) -> int:
        return self._lines[client].rows

    def _bytes_of(self, client: str) -> int:
        return self._lines[client].size_bytes

    def _line_up(self) -> None:
        """Put the arrivals into their clients' lines."""
        lines = self._lines
        for waiting in self._arrivals:
            client = waiting.call.client
            line = lines.get(client)
            if line is None:
                line = lines[client] = _Line()
            line.tag = max(line.tag, self._tag) + len(waiting.rows)
            line.rows += len(waiting.rows)
            line.size_bytes += waiting.size_bytes
            if not line.requests:
                heappush(self._heads, (line.tag, client))
            line.requests.append((line.tag, waiting))
        self._arrivals.clear()

    def _next(self) -> str | None:
        """The client whose request is next. Lines that changed meanwhile are passed over."""
        while self._heads:
            tag, client = self._heads[0]
            line = self._lines.get(client)
            if line is not None and line.requests[0][0] == tag:
                return client
            heappop(self._heads)
        return None

    def _leave(self, client: str, *, is_last: bool) -> Waiting:
        line = self._lines[client]
        _, waiting = line.requests.pop() if is_last else line.requests.popleft()
        line.rows -= len(waiting.rows)
        line.size_bytes -= waiting.size_bytes
        self.rows -= len(waiting.rows)
        self.size_bytes -= waiting.size_bytes
        if not line.requests:
            del self._lines[client]  # its tag is not ahead of the queue's by more than it pays now
        elif is_last:
            line.tag = line.requests[-1][0]
        else:
            heappush(self._heads, (line.requests[0][0], client))
        return waiting

    def _keep(self, now: float) -> None:
        """Drop what is late and line up the rest anew, in the order of the lines."""
        rest = sorted(
            (
                (tag, place, one)
                for line in self._lines.values()
                for place, (tag, one) in enumerate(line.requests)
                if one.start_by >= now
            ),
            key=lambda entry: entry[:2],
        )
        self._lines, self._heads = {}, []
        self._arrivals = [one for _, _, one in rest]
        self.rows = sum(len(one.rows) for one in self._arrivals)
        self.size_bytes = sum(one.size_bytes for one in self._arrivals)
