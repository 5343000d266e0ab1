"""Answers to a file of rows, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from torchyard.cli.options import HERE, AsJson, ProjectFolder
from torchyard.cli.screen import say, show_json, working
from torchyard.core.digest import short


def register(app: typer.Typer) -> None:
    """Add this command to the console command."""
    app.command()(predict)


def predict(
    source: Annotated[
        str, typer.Argument(help="A table of rows: .parquet, .csv, .jsonl, .arrow, or a URL.")
    ],
    target: Annotated[
        Path, typer.Argument(help="Where the answers go: .parquet, .csv, .jsonl or .arrow.")
    ],
    release: Annotated[
        str | None, typer.Option(help="An id, the start of one, or a number; else the newest.")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="A column to stand before the answers; all if none is named."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Answer every row of a table by the engine that answers requests, in chunks, on all cores.

    Example: torchyard predict tomorrow.parquet answers.parquet --keep flight
    """
    from torchyard.yard import Yard

    with working("Answering") as tick:
        made = Yard(project).predict(
            source,
            target,
            release=release,
            keep=keep,
            force=force,
            progress=lambda rows: tick(f"Answering: {rows:,} rows"),
        )
    if as_json:
        show_json({
            "path": str(made.path), "release": made.release, "variant": made.variant,
            "rows": made.rows, "abstained": made.abstained, "refused": made.refused,
            "seconds": made.seconds,
        })  # fmt: skip
        return
    say(f"{made.rows:,} rows answered by release {short(made.release)} ({made.variant}) in "
        f"{made.seconds:.1f} s: {made.path}")  # fmt: skip
    if made.abstained:
        say(f"  {made.abstained:,} were left without an answer: see the column 'reason'.")
    if made.refused:
        say(f"  {made.refused:,} do not fit: see the column 'error'.")
