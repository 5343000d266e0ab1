"""A server's screen on a terminal: kept up to date while it runs, gone when it ends.

While it shows, the workers' output does not run into it: it goes through a pipe, whole to a file
and in its notable part to the screen.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, final

from rich.console import Console
from rich.live import Live

from torchyard.cli.server_screen import Event, draw, summary

if TYPE_CHECKING:
    from torchyard.yard.watching import View

REDRAW_S = 0.5
MOST_OUTPUT_BYTES = 16 << 20
_NOTABLE = ("fault", "said")
_MOST_EVENTS = 100


@final
class ServerWatch:
    """Shows a server until its context ends.

    Args:
        look: looks at the server.
        output: the file for everything the workers write.
    """

    def __init__(self, look: Callable[[], View], output: Path) -> None:
        self._look = look
        self._output = output
        self._events: deque[Event] = deque(maxlen=_MOST_EVENTS)
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._last: View | None = None

    def announce(self, text: str) -> None:
        """Show something that happened; the same again is counted."""
        now = time.strftime("%H:%M:%S")
        if self._events and self._events[-1].text == text:
            last = self._events[-1]
            self._events[-1] = replace(last, at=now, times=last.times + 1)
        else:
            self._events.append(Event(now, text))

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Take the terminal; give it back, with a line on how it was, in any case."""
        with _captured(self._take_line) as terminal:
            console = Console(file=terminal, highlight=False)
            with Live(console=console, screen=True, auto_refresh=False) as live:
                drawing = threading.Thread(target=self._draw, args=(live, console), daemon=True)
                drawing.start()
                try:
                    yield
                finally:
                    self._stop.set()
                    drawing.join(2.0)
            if self._last is not None:
                seconds = time.monotonic() - self._began
                console.print(summary(self._last.project, self._last.lately, seconds))
                if self._output.exists() and self._output.stat().st_size:
                    console.print(f"Its output: {self._output}", soft_wrap=True)

    def _draw(self, live: Live, console: Console) -> None:
        while not self._stop.is_set():
            view = self._look()
            if view.lately is not None:
                self._last = view
            live.update(
                draw(
                    view,
                    list(self._events),
                    seconds=time.monotonic() - self._began,
                    width=console.width,
                    height=console.height,
                ),
                refresh=True,
            )
            self._stop.wait(REDRAW_S)

    def _take_line(self, line: bytes) -> None:
        _keep(self._output, line)
        if text := notable(line):
            self.announce(text)


def notable(line: bytes) -> str:
    """What of a line of output is for the screen, empty where nothing is.

    Refusals and slow answers are numbers there already. What is no JSON is an accident's words.

    Example:
        >>> notable(b'{"event":"fault","worker":1,"text":"ValueError","incident":"a1"}')
        'worker 1: fault, ValueError, incident a1'
        >>> notable(b'{"event":"refused","worker":1,"code":"bad_data"}')
        ''
    """
    text = line.decode(errors="replace").rstrip()
    try:
        said = json.loads(text)
    except ValueError:
        return "" if not text or text.startswith((" ", "Traceback")) else _printable(text)
    if not isinstance(said, dict) or said.get("event") not in _NOTABLE:
        return ""
    parts = ["fault"] if said["event"] == "fault" else []
    parts += [str(said["text"])] if said.get("text") else []
    parts += [f"incident {said['incident']}"] if said.get("incident") else []
    return _printable(f"worker {said.get('worker', '?')}: {', '.join(parts)}")


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


@contextmanager
def _captured(take: Callable[[bytes], None]) -> Iterator[IO[str]]:
    """Standard error goes, line by line, to a function; the terminal behind it is given."""
    sys.stderr.flush()
    kept, (read, write) = os.dup(2), os.pipe()
    os.dup2(write, 2)
    os.close(write)
    reader = threading.Thread(target=_read, args=(read, take), daemon=True)
    reader.start()
    try:
        with os.fdopen(kept, "w", closefd=False) as terminal:
            yield terminal
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)  # the pipe's last writing end here: once the workers are gone, it ends
        os.close(kept)
        reader.join(2.0)


def _read(descriptor: int, take: Callable[[bytes], None]) -> None:
    with os.fdopen(descriptor, "rb") as pipe:
        for line in pipe:
            take(line)


def _keep(path: Path, line: bytes) -> None:
    """Append to the output; when it has grown large, what was before is kept once."""
    try:
        if path.exists() and path.stat().st_size > MOST_OUTPUT_BYTES:
            path.replace(path.with_suffix(".old.log"))
        with path.open("ab") as file:
            file.write(line)
    except OSError:
        return  # a full disk costs output, not service
