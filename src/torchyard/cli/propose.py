"""The command that writes a first schema; it needs no project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from torchyard.cli.options import AsJson
from torchyard.cli.screen import say, show_json
from torchyard.core.record import to_json


def register(data: typer.Typer) -> None:
    """Add the command to those on data."""
    data.command()(propose)


def propose(
    path: Annotated[str, typer.Argument(help="A file, several with *, a folder or a URL.")],
    label: Annotated[
        str | None, typer.Option(help="The column to be predicted: it becomes no field.")
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Parts the rows to infer from and those to confirm with.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Write a schema for data as project-file code: inferred from half, confirmed on the rest.

    Example: torchyard data propose flights.csv --label late
    """
    from torchyard.yard.proposing import propose_schema

    found = propose_schema(path, folder=Path.cwd(), label=label, seed=seed)
    if as_json:
        show_json(to_json(found))
        return
    say(f"# {found.rows:,} rows of {found.source}: rules inferred from {found.inferred_rows:,}, "
        f"confirmed on {found.confirmed_rows:,}")  # fmt: skip
    say(found.code)
    if found.notes:
        say("\n# To look at:")
    for note in found.notes:
        say(f"# {note.field}: {note.text}" if note.field else f"# {note.text}")
