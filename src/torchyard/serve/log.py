"""The prediction log: off the hot path, bounded, and never the reason a request fails.

The loop appends to a queue; a thread writes it out. A full queue or a full disk loses rows, counts
them, and goes on serving. The line format is documented in ``torchyard.records.live``.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, final

import msgspec

from torchyard.serve.engine import Engine, Scores
from torchyard.serve.segments import Segments

FLUSH_S = 0.1
_CHUNK_ROWS = 64  # encoding holds the interpreter: small chunks keep the loop's latency even

Row = dict[str, object]


class Answered(NamedTuple):
    """One request's answered rows. ``at`` is seconds since the epoch."""

    engine: Engine
    at: float
    ids: list[str]
    rows: Sequence[object]
    scores: Scores


@final
class PredictionLog:
    """Writes answered rows to ``predictions/<model>/``.

    Args:
        open_segments: makes the segments of a model, by its name.
        most_rows: rows that may wait to be written.
        count_dropped: told the model and the number of rows that were not logged; may be called
            from the writer's thread.
    """

    def __init__(
        self,
        open_segments: Callable[[str], Segments],
        *,
        most_rows: int,
        count_dropped: Callable[[str, int], None],
    ) -> None:
        self._open_segments = open_segments
        self._most_rows = most_rows
        self._count_dropped = count_dropped
        self._segments: dict[str, Segments] = {}
        self._queue: deque[Answered] = deque()
        self._taken_rows = 0  # only the loop's thread adds here
        self._written_rows = 0  # only the writer's thread adds here
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Start the writer's thread."""
        self._thread.start()

    def append(self, answered: Answered) -> None:
        """Queue rows; they are on file within half a second. Called on the loop only."""
        rows = len(answered.ids)
        if self._taken_rows - self._written_rows + rows > self._most_rows:
            self._count_dropped(answered.engine.model, rows)
            return
        self._taken_rows += rows
        self._queue.append(answered)

    def close(self) -> None:
        """Write what is queued, close the segments, end the thread."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.flush()
        for segments in self._segments.values():
            try:
                segments.close()
            except OSError:
                continue  # its lines were written; only their durability is unknown

    def flush(self) -> None:
        """Write out the queue. Called by the writer's thread, and by tests without one."""
        while self._queue:
            chunk = [self._queue.popleft()]
            rows = len(chunk[0].ids)
            while self._queue and rows < _CHUNK_ROWS and _same(self._queue[0], chunk[0]):
                chunk.append(self._queue.popleft())
                rows += len(chunk[-1].ids)
            self._write(chunk[0].engine.model, chunk, rows)
            self._written_rows += rows

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_S):
            self.flush()

    def _write(self, model: str, chunk: list[Answered], rows: int) -> None:
        segments = self._segments.get(model)
        if segments is None:
            segments = self._segments[model] = self._open_segments(model)
        try:
            segments.append(encode(chunk))
        except OSError:
            self._count_dropped(model, rows)


def encode(chunk: Sequence[Answered]) -> bytes:
    """The log's lines for some answered rows, personal fields left out."""
    lines = [
        {
            "id": name,
            "at": answered.at,
            "release": answered.engine.release,
            "variant": answered.engine.variant,
            "row": answered.engine.decoder.without_personal(row),
            "scores": scores,
        }
        for answered in chunk
        for name, row, scores in zip(answered.ids, answered.rows, answered.scores, strict=True)
    ]
    return msgspec.json.Encoder().encode_lines(lines)


def segments_in(
    root: Path, *, worker: int, start: int, most_bytes: int
) -> Callable[[str], Segments]:
    """A maker of segments per model below one folder."""
    return lambda model: Segments(root / model, worker=worker, start=start, most_bytes=most_bytes)


def _same(one: Answered, other: Answered) -> bool:
    return one.engine.model == other.engine.model
