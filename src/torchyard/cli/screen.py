"""What a person sees: progress and tables on a terminal, or one JSON object for machines.

Progress and errors go to standard error, results to standard output; with ``--json`` there is one
line on standard output, the result, whole. On a terminal, sentences are folded between words; in a
pipe they stay on one line.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from torchyard.core.errors import BadUsage, Stopped, YardError
from torchyard.core.record import Json

# a pipe has no width of its own: give tables room instead of folding them at 80
_WIDTH = None if sys.stdout.isatty() else 160
_NARROWEST = 20
out = Console(highlight=False, soft_wrap=True, width=_WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_TITLES = {
    "data": "Reading and checking data",
    "features": "Fitting features",
    "environment": "Building the environment of the run",
    "train": "Training",
    "evaluate": "Evaluating",
    "optimize": "Building and measuring variants",
    "ageing": "Measuring how the model ages",
    "costs": "Training without each field",
    "release": "Sealing the release",
}
_ENDS = {
    BadUsage.exit_status: ("Wrong usage", "bold red"),
    Stopped.exit_status: ("Stopped", "bold yellow"),
}
_spinning: list[Status] = []
_results: list[TextIO] = []


class Drawn:
    """Progress of stages as lines on standard error, with a spinner while one works."""

    def begin(self, stage: str) -> None:
        """Show what starts."""
        _spin(_TITLES.get(stage, stage))

    def note(self, text: str) -> None:
        """A line inside the stage."""
        hang(err, Text(" " * 11), Text(text, style="dim"))

    def tick(self, text: str) -> None:
        """Beside the spinner, until the next one."""
        _tick(text)

    def end(self, stage: str, summary: str, *, seconds: float, skipped: bool) -> None:
        """One line about what the stage made."""
        stop_spinning()
        mark = Text("=" if skipped else "*", style="dim" if skipped else "green")
        time = Text("unchanged" if skipped else f"{seconds:.1f} s", style="dim")
        hang(
            err,
            Text.assemble(mark, " ", (f"{stage:<9}", "bold")),
            Text.assemble(summary, "; ", time),
        )


@contextmanager
def working(text: str) -> Iterator[Callable[[str], None]]:
    """A spinner beside a sentence on what is going on, until it is over; it may be replaced."""
    _spin(text)
    try:
        yield _tick
    finally:
        stop_spinning()


def stop_spinning() -> None:
    """Take away what still spins, so that nothing is written into it."""
    while _spinning:
        _spinning.pop().stop()


@contextmanager
def results_alone() -> Iterator[None]:
    """Standard output is for results: what a project's own code prints goes to standard error."""
    _results.append(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _results.pop()


def show_json(value: Json) -> None:
    """The result for machines, on one line."""
    stream = _results[-1] if _results else sys.stdout
    plain = (stream.encoding or "utf-8").lower() not in ("utf-8", "utf8")
    line = json.dumps(value, ensure_ascii=plain, allow_nan=False)
    print(line, file=stream, flush=True)


def show_error(error: YardError, *, as_json: bool) -> None:
    """A refusal in four parts, without a traceback."""
    stop_spinning()
    if as_json:
        show_json(error.as_dict())
    title, style = _ENDS.get(error.exit_status, ("Refused", "bold red"))
    err.print(Text(title, style=style))
    for name, text in (
        ("where", error.where),
        ("found", error.found),
        ("expected", error.expected),
        ("do", error.remedy),
    ):
        hang(err, Text(f"  {name:<9}", style="bold"), Text(text))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()
) -> None:
    """A plain table; columns named in ``right`` are set flush right and never folded."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(
            column, justify="right" if column in right else "left", overflow="fold",
            no_wrap=column in right,
        )  # fmt: skip
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    out.print(drawn)


def say(text: str, *, first: str = "", below: str = "") -> None:
    """A sentence of a result beside its ``first`` words; folded lines stand ``below`` these."""
    hang(out, Text(first), Text(text), below=below)


def say_as_it_is(text: str) -> None:
    """Text that has lines of its own, such as code."""
    out.print(Text(text))


def hang(console: Console, first: Text, text: Text, *, below: str = "") -> None:
    """Text beside a beginning: on a terminal folded between words, each line below the other."""
    width = max(console.width - first.cell_len, _NARROWEST) if console.is_terminal else None
    for number, line in enumerate(_folded(text, width)):
        line.rstrip()
        start = first if number == 0 else Text(below or " " * first.cell_len)
        console.print(start, line, sep="")


def _folded(text: Text, width: int | None) -> Iterator[Text]:
    """Lines of at most ``width`` cells; a longer word, such as a path, stays whole to be copied."""
    for paragraph in text.split("\n"):
        starts, used = [], 0
        for word in re.finditer(r"\S+\s*", paragraph.plain):
            if width is not None and used and used + cell_len(word[0].rstrip()) > width:
                starts.append(word.start())
                used = 0
            used += cell_len(word[0])
        yield from paragraph.divide(starts)


def _tick(text: str) -> None:
    if _spinning:
        _spinning[-1].update(text)


def _spin(text: str) -> None:
    stop_spinning()
    if err.is_terminal:
        status = err.status(f"{text} ...")
        status.start()
        _spinning.append(status)
