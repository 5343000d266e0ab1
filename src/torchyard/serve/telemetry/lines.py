"""What a server writes about itself: one JSON line for each thing, or a readable one on a terminal.

A line never has a value of a request's body, nor a header's content but the request's id, nor the
text of an exception, which may quote either. Whoever tells something only appends to a queue; a
thread writes. A reader who does not read costs lines, which are counted, and never an answer.
"""

from __future__ import annotations

import os
import re
import select
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, final

import msgspec

Level = Literal["info", "warning", "error"]

MOST_WAITING = 10_000
FLUSH_S = 0.05
_LAST_WORDS_S = 1.0
_LONGEST_TEXT = 1000
_LONGEST_STACK = 2000
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ENCODER = msgspec.json.Encoder()
_BESIDES = ("route", "model", "code", "rows", "client", "request_id", "incident")


class Line(msgspec.Struct, omit_defaults=True, frozen=True):
    """One thing that happened.

    Attributes:
        time: seconds since the epoch; written as ISO 8601 in UTC.
        level: how bad it is.
        event: what it is, one word or two: ``answered``, ``refused``, ``fault``, ``slow`` ...
        worker: whose it is; None for the supervisor.
        route: the request's route, as its pattern.
        model: its model, as deployed.
        code: its error code, or its status.
        ms: from the whole request to its answer.
        rows: it asked about.
        client: its address.
        request_id: what the client calls it, or what the server does.
        incident: also given to the client, so that one finds the other.
        text: a sentence of this program's.
        stack: where a fault was, innermost last.
    """

    time: float
    level: Level
    event: str
    worker: int | None = None
    route: str = ""
    model: str = ""
    code: str = ""
    ms: float | None = None
    rows: int | None = None
    client: str = ""
    request_id: str = ""
    incident: str = ""
    text: str = ""
    stack: tuple[str, ...] = ()


@final
class Lines:
    """Writes lines to a file descriptor, from a thread of its own.

    Args:
        worker: told with every line.
        descriptor: where to write.
        is_terminal: whether a person reads there.
        clock: seconds since the epoch.
        most_waiting: lines that may wait to be written before some are dropped.

    Attributes:
        dropped: lines that found no room.
    """

    def __init__(
        self,
        *,
        worker: int | None = None,
        descriptor: int = 2,
        is_terminal: bool = False,
        clock: Callable[[], float] = time.time,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._worker = worker
        self._descriptor = descriptor
        self._put = readable if is_terminal else to_json
        self._clock = clock
        self._most_waiting = most_waiting
        self._waiting: deque[Line] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        self.dropped = 0

    def start(self) -> None:
        """Start the writer's thread."""
        self._thread.start()

    def tell(
        self,
        level: Level,
        event: str,
        *,
        route: str = "",
        model: str = "",
        code: str = "",
        ms: float | None = None,
        rows: int | None = None,
        client: str = "",
        request_id: str = "",
        incident: str = "",
        text: str = "",
        fault: BaseException | None = None,
    ) -> None:
        """Queue a line; see ``Line``. From any thread; never waits.

        Of a ``fault`` its kind and where it was are told, not its words.
        """
        if len(self._waiting) >= self._most_waiting:
            self.dropped += 1
            return
        if fault is not None:
            text = f"{text}: {type(fault).__name__}" if text else type(fault).__name__
        line = Line(
            self._clock(), level, event, self._worker, route, model, code,
            None if ms is None else round(ms, 3), rows, client, request_id, incident,
            text[:_LONGEST_TEXT], () if fault is None else stack_of(fault),
        )  # fmt: skip
        self._waiting.append(line)

    def take_dropped(self) -> int:
        """How many lines found no room since the last time this was asked."""
        dropped, self.dropped = self.dropped, 0
        return dropped

    def close(self) -> None:
        """Write what is queued, if somebody reads it, and end the thread."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_LAST_WORDS_S)

    def taken(self) -> list[Line]:
        """What is queued, taken out."""
        found = []
        while self._waiting:
            found.append(self._waiting.popleft())
        return found

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_S):
            self._write()
        self._write()

    def _write(self) -> None:
        for content in whole([self._put(line) for line in self.taken()]):
            try:
                os.write(self._descriptor, content)
            except OSError:  # nobody reads any more: lines are for readers
                self.dropped += content.count(b"\n")


def whole(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines put together as far as a pipe takes them in one piece.

    So the lines of several workers on one pipe do not run into each other (POSIX, ``write``:
    up to ``PIPE_BUF`` bytes are not interleaved).
    """
    piece = b""
    for line in lines:
        if piece and len(piece) + len(line) > select.PIPE_BUF:
            yield piece
            piece = b""
        piece += line
    if piece:
        yield piece


def to_json(line: Line) -> bytes:
    """A line for machines.

    Example:
        >>> print(to_json(Line(0.5, "warning", "refused", worker=1, ms=0.25)).decode().rstrip())
        {"time":"1970-01-01T00:00:00.500Z","level":"warning","event":"refused","worker":1,"ms":0.25}
    """
    said = {
        name: _plain(value) if isinstance(value, str) else value
        for name, value in msgspec.to_builtins(line).items()
    }
    said["time"] = _iso(line.time)
    return _ENCODER.encode(said) + b"\n"


def readable(line: Line) -> bytes:
    """A line for people, without anything a terminal would obey.

    Example:
        >>> print(readable(Line(0.5, "warning", "refused", worker=1, ms=0.25)).decode().rstrip())
        00:00:00 warning refused 0.25 ms worker=1
    """
    besides = [f"{name}={value}" for name in _BESIDES if (value := getattr(line, name))]
    words = [
        time.strftime("%H:%M:%S", time.gmtime(line.time)),
        line.level,
        line.event,
        *([f"{line.ms:g} ms"] if line.ms is not None else []),
        *([line.text] if line.text else []),
        *besides,
        *([] if line.worker is None else [f"worker={line.worker}"]),
    ]
    below = "".join(f"\n    {_plain(place)}" for place in line.stack)
    return f"{_plain(' '.join(words))}{below}\n".encode(errors="replace")


def stack_of(fault: BaseException) -> tuple[str, ...]:
    """Where a fault was and what brought it about, without the words of any exception."""
    chain: list[str] = []
    seen: BaseException | None = fault
    while seen is not None and len(chain) < 50:
        frames = traceback.extract_tb(seen.__traceback__)[-12:]
        places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        chain = [*places, type(seen).__name__, *chain]
        seen = seen.__cause__ or seen.__context__
    while sum(map(len, chain)) > _LONGEST_STACK:
        del chain[0]
    return tuple(chain)


def _iso(seconds: float) -> str:
    whole, rest = divmod(round(seconds * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{rest:03d}Z"


def _plain(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text)
