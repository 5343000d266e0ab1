"""The command that serves: what it is told, and what it says while it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from torchyard.cli.options import HERE, AsJson, ProjectFolder
from torchyard.cli.screen import err, show_json

_DEFAULT = "torchyard.toml's, else {}"


def register(app: typer.Typer) -> None:
    """Add this command to the console command."""
    app.command()(serve)


def serve(
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on.", show_default=_DEFAULT.format("127.0.0.1")),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port; 0 takes a free one.", min=0, max=65535, show_default=_DEFAULT.format(8000)
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Worker processes.", min=1, max=256, show_default=_DEFAULT.format(2)),
    ] = None,
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Serve every deployed model of the project until interrupted.

    Example: torchyard serve --port 8000 --workers 2
    """
    from torchyard.yard import Yard

    def announce(text: str) -> None:
        if as_json:
            show_json({"serving": text})
        else:
            err.print(text)

    options = {"host": host, "port": port, "workers": workers}
    given = {name: value for name, value in options.items() if value is not None}
    raise typer.Exit(Yard(project).serve(announce=announce, **given))
