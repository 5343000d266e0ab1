"""The prediction log: bounded, and never the reason a request fails.

The loop encodes rows once their answer is out (about a microsecond each) and a thread writes the
bytes. Encoding in the thread would be worse: it holds the interpreter, and the loop would wait for
it. A full queue or a full disk loses rows, counts them, and goes on serving. The line format is
documented in ``torchyard.records.live``.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, final

import msgspec

from torchyard.serve.engine import Engine, Scores
from torchyard.serve.logs.loggable import LOGGED_CHARACTERS
from torchyard.serve.logs.segments import Segments

FLUSH_S = 0.05

_ENCODER = msgspec.json.Encoder()


class _Line(msgspec.Struct, gc=False):
    id: str
    at: float
    release: str
    variant: str
    row: object
    scores: list[float]


class _JudgedLine(msgspec.Struct, gc=False):
    """A line of a release that may abstain; ``abstained`` is None where it answered."""

    id: str
    at: float
    release: str
    variant: str
    row: object
    scores: list[float]
    abstained: str | None


class _Waiting(NamedTuple):
    model: str
    lines: bytes
    rows: int


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
        self._queue: deque[_Waiting] = deque()
        self._taken_rows = 0  # only the loop's thread adds here
        self._written_rows = 0  # only the writer's thread adds here
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Start the writer's thread."""
        self._thread.start()

    def append(
        self,
        engine: Engine,
        *,
        at: float,
        ids: Sequence[str],
        rows: Sequence[object],
        scores: Scores,
        longest: int | None = None,
        abstained: Sequence[str | None] | None = None,
    ) -> None:
        """Queue answered rows; they are on file within half a second. Called on the loop only.

        Args:
            engine: who answered.
            at: seconds since the epoch.
            ids: one for each row.
            rows: decoded by the engine's decoder.
            scores: their answers, in the order of the task's outputs.
            longest: no text of these rows has more characters; None where that is not known.
            abstained: why each row was not answered, None where it was; None where nobody abstains.
        """
        count = len(ids)
        if self._taken_rows - self._written_rows + count > self._most_rows:
            self._count_dropped(engine.model, count)
            return
        self._taken_rows += count
        lines = encode(
            engine, at=at, ids=ids, rows=rows, scores=scores, longest=longest, abstained=abstained
        )
        self._queue.append(_Waiting(engine.model, lines, count))

    def close(self) -> None:
        """Write what is queued, close the segments, end the thread."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.flush()
        for segments in self._segments.values():
            with suppress(OSError):  # its lines were written; only their durability is unknown
                segments.close()

    def flush(self) -> None:
        """Write out the queue. Called by the writer's thread, and by tests without one."""
        batches: dict[str, list[_Waiting]] = {}
        while self._queue:
            waiting = self._queue.popleft()
            batches.setdefault(waiting.model, []).append(waiting)
        for model, batch in batches.items():
            rows = sum(waiting.rows for waiting in batch)
            self._write(model, b"".join([waiting.lines for waiting in batch]), rows)
            self._written_rows += rows

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_S):
            self.flush()

    def _write(self, model: str, lines: bytes, rows: int) -> None:
        segments = self._segments.get(model)
        if segments is None:
            segments = self._segments[model] = self._open_segments(model)
        try:
            segments.append(lines)
        except OSError:
            self._count_dropped(model, rows)


def encode(
    engine: Engine,
    *,
    at: float,
    ids: Sequence[str],
    rows: Sequence[object],
    scores: Scores,
    longest: int | None = None,
    abstained: Sequence[str | None] | None = None,
) -> bytes:
    """The log's lines for some answered rows, personal fields left out; see ``append``."""
    release, variant, decoder = engine.release, engine.variant, engine.decoder
    is_short = longest is not None and longest <= LOGGED_CHARACTERS
    kept = rows if is_short and decoder.logs_whole_rows else map(decoder.loggable, rows)
    if abstained is not None:
        return _ENCODER.encode_lines(
            [
                _JudgedLine(name, at, release, variant, row, score, why)
                for name, row, score, why in zip(ids, kept, scores, abstained, strict=True)
            ]
        )
    return _ENCODER.encode_lines(
        [
            _Line(name, at, release, variant, row, score)
            for name, row, score in zip(ids, kept, scores, strict=True)
        ]
    )


def segments_in(
    root: Path, *, worker: int, start: int, most_bytes: int
) -> Callable[[str], Segments]:
    """A maker of segments per model below one folder."""
    return lambda model: Segments(root / model, worker=worker, start=start, most_bytes=most_bytes)
