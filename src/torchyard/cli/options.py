"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from torchyard.core.errors import BadUsage

ProjectFolder = Annotated[
    Path, typer.Option("--project", "-C", help="A project's folder.", show_default="here")
]
AsJson = Annotated[bool, typer.Option("--json", help="End with one JSON object on a line.")]
Model = Annotated[str | None, typer.Option(help="Which model, when several are deployed.")]
Reason = Annotated[str, typer.Option(help="Why; kept with the event.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Replace a training setting, e.g. --set seed=11."
    ),
]

Tuned = Annotated[bool, typer.Option("--tuned", help="Take what the latest fitting search chose.")]

HERE = Path()


def parse_settings(pairs: list[str] | None) -> dict[str, str]:
    """``["seed=11"]`` as a dictionary.

    Example:
        >>> parse_settings(["seed=11", "max_epochs=3"])
        {'seed': '11', 'max_epochs': '3'}
    """
    settings = {}
    for pair in pairs or []:
        name, sign, value = pair.partition("=")
        if not (name and sign and value):
            raise BadUsage(
                where="--set",
                found=repr(pair),
                expected="NAME=VALUE",
                remedy="For example --set seed=11.",
            )
        settings[name] = value
    return settings
