"""What a person sees: progress and tables on a terminal, or one JSON object for machines.

Progress and errors go to standard error, results to standard output; with ``--json`` the last line
of standard output is the result, whole.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from torchyard.core.errors import YardError
from torchyard.core.record import Json

# a pipe has no width of its own: give tables room instead of folding them at 80
_WIDTH = None if sys.stdout.isatty() else 160
out = Console(highlight=False, soft_wrap=True, width=_WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_TITLES = {
    "data": "Reading and checking data",
    "features": "Fitting features",
    "train": "Training",
    "evaluate": "Evaluating",
    "optimize": "Building and measuring variants",
    "release": "Sealing the release",
}


class Drawn:
    """Progress of stages as lines on standard error, with a spinner while one works."""

    def __init__(self) -> None:
        self._status: Status | None = None

    def begin(self, stage: str) -> None:
        """Show what starts."""
        self._status = err.status(f"{_TITLES.get(stage, stage)} ...")
        if err.is_terminal:
            self._status.start()

    def note(self, text: str) -> None:
        """A line inside the stage."""
        err.print(Text(f"           {text}", style="dim"))

    def end(self, stage: str, summary: str, *, seconds: float, skipped: bool) -> None:
        """One line about what the stage made."""
        if self._status is not None:
            self._status.stop()
        mark = Text("=" if skipped else "*", style="dim" if skipped else "green")
        time = Text("unchanged" if skipped else f"{seconds:.1f} s", style="dim")
        err.print(mark, Text(f"{stage:<9}", style="bold"), Text(summary), time)


def show_json(value: Json) -> None:
    """The result for machines, on one line."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))  # noqa: T201 - the output


def show_error(error: YardError, *, as_json: bool) -> None:
    """A refusal in four parts, without a traceback."""
    if as_json:
        show_json(error.as_dict())
    err.print(Text("Refused" if error.exit_status == 1 else "Wrong usage", style="bold red"))
    for name, text in (
        ("where", error.where),
        ("found", error.found),
        ("expected", error.expected),
        ("do", error.remedy),
    ):
        err.print(Text(f"  {name:<9}", style="bold"), Text(text), sep="")


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()
) -> None:
    """A plain table; columns named in ``right`` are set flush right."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    out.print(drawn)


def say(text: str) -> None:
    """A line of a result."""
    out.print(Text(text))
