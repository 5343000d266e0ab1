"""The command that writes a first schema; it needs no project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from torchyard.cli.options import AsJson
from torchyard.cli.screen import say, say_as_it_is, show_json, working
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

    Columns that look personal become personal=True; nothing of their values is shown.

    Example: torchyard data propose flights.csv --label late
    """
    from torchyard.yard.proposing import propose_schema

    with working("Reading the data twice"):
        found = propose_schema(path, folder=Path.cwd(), label=label, seed=seed)
    if as_json:
        show_json(to_json(found))
        return
    say(f"{found.rows:,} rows of {_on_a_line(found.source)}: rules inferred from "
        f"{found.inferred_rows:,}, confirmed on {found.confirmed_rows:,}",
        first="# ", below="# ")  # fmt: skip
    say_as_it_is(found.code)
    if found.notes:
        say_as_it_is("\n# To look at:")
    _say_notes([(note.field, note.text) for note in found.notes])
    say_as_it_is("\n# Next: put the schema into a project.py, then run: torchyard data validate")
    say_as_it_is(
        f"# Or keep the rows without a project: torchyard data add {_on_a_line(path)} --infer"
    )


def _say_notes(notes: Sequence[tuple[str, str]]) -> None:
    """Notes as comments, the same one of several fields once."""
    fields: dict[str, list[str]] = {}
    for field, text in notes:
        fields.setdefault(text, []).append(field)
    for text, names in fields.items():
        about = ", ".join(name for name in names if name)
        say(_on_a_line(f"{about}: {text}" if about else text), first="# ", below="#   ")


def _on_a_line(text: str) -> str:
    """A comment must not end before its line does: line breaks and the like as in a literal."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
