"""Starting: the version, and a new project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from torchyard.cli.options import AsJson
from torchyard.cli.screen import say, show_json
from torchyard.version import __version__


def register(app: typer.Typer) -> None:
    """Add these commands to the console command."""
    app.callback()(root)
    app.command()(init)


def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda asked: _print_version() if asked else None,
            is_eager=True,
            help="Print the version and leave.",
        ),
    ] = False,
) -> None:
    """From a PyTorch model to a product: data, training, gates, releases, serving, watching."""


def _print_version() -> None:
    say(__version__)
    raise typer.Exit


def init(
    name: Annotated[str, typer.Argument(help="The project's name, and its folder's.")],
    as_json: AsJson = False,
) -> None:
    """Write a small project that ships as it is: project.py, model.py and a table.

    Example: torchyard init churn
    """
    from torchyard.yard import Yard

    folder = Yard.init(Path(name)).workspace.folder
    if as_json:
        show_json({"project": str(folder)})
        return
    say(f"Wrote {folder}: project.py, model.py and customers.csv (made-up data).")
    say(f"Next: cd {name} && torchyard ship && torchyard serve")
