"""What Python's own logging, warnings and the event loop say, as lines of ours."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any, final

from torchyard.serve.telemetry.lines import Level, Lines

_OURS = "torchyard"
_WORDS = re.compile(r"[A-Za-z ]*")


@final
class Captured(logging.Handler):
    """Turns log records into lines; of an exception its kind and place, not its words."""

    def __init__(self, lines: Lines) -> None:
        super().__init__(level=logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Logging: something was said."""
        is_ours = record.name.partition(".")[0] == _OURS
        fault = record.exc_info[1] if record.exc_info else None
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        text = record.getMessage() if is_ours else f"{record.name}: {_words(record.getMessage())}"
        self._lines.tell(level, "said", text=text, fault=fault)


def capture(lines: Lines, loop: asyncio.AbstractEventLoop) -> None:
    """From now on this process's log records, warnings and loop faults become lines."""
    root = logging.getLogger()
    root.handlers = [Captured(lines)]
    logging.captureWarnings(True)

    def fault(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        text = _words(str(context.get("message", "")))
        lines.tell("error", "fault", text=text, fault=context.get("exception"))

    loop.set_exception_handler(fault)


def _words(text: str) -> str:
    """The words a foreign message begins with: what follows may show an argument, such as a body.

    Example:
        >>> _words("Exception in callback answer(b'secret')")
        'Exception in callback answer'
    """
    found = _WORDS.match(text)
    return found[0].strip() if found else ""
