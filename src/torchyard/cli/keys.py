"""Commands about who may ask a project's server: keys of clients."""

from __future__ import annotations

from typing import Annotated

import typer

from torchyard.cli.options import HERE, AsJson, ProjectFolder
from torchyard.cli.screen import err, say, say_as_it_is, show_json, table
from torchyard.core.record import Json

key = typer.Typer(help="Keys of those who may ask the server.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(help="Whom the key is for: letters, digits, dots, dashes.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the console command."""
    app.add_typer(key, name="key")


@key.command("new")
def new(
    name: _Name,
    scope: Annotated[
        str,
        typer.Option(
            help="What it is for, with commas: predict (answers and labels), operate (metrics), "
            "admin (everything)."
        ),
    ] = "predict",
    days: Annotated[
        int | None, typer.Option(help="Days until it expires.", show_default="never")
    ] = None,
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Make a key for a client and show it, this once: the project keeps its digest alone.

    From the first key on, a server asks for one. Servers that run follow within a second.

    Example: torchyard key new shop-frontend --scope predict --days 90
    """
    from torchyard.yard import Yard

    scopes = [one.strip() for one in scope.split(",") if one.strip()]
    text, made = Yard(project).make_key(name, scopes=scopes, days=days)
    if as_json:
        show_json({"key": text, "name": name, "scopes": list(made.scopes), "expires": made.expires})
        return
    err.print(f"The key of {name}, for {' and '.join(made.scopes)}. It is not shown again.")
    say_as_it_is(text + "\n")


@key.command("list")
def list_keys(project: ProjectFolder = HERE, as_json: AsJson = False) -> None:
    """Show whose keys there are, what they are for, and how each one ends.

    Example: torchyard key list
    """
    from torchyard.yard import Yard

    found = Yard(project).keys()
    if as_json:
        shown: list[Json] = [
            {"name": one.name, "scopes": list(one.scopes), "ends_with": one.ends_with,
             "created": one.created, "expires": one.expires, "expired": has_expired}
            for one, has_expired in found
        ]  # fmt: skip
        show_json({"keys": shown})
        return
    if not found:
        say("No keys. Make one with: torchyard key new NAME")
        return
    table(
        ("name", "for", "ends with", "made", "expires"),
        [
            (one.name, ", ".join(one.scopes), one.ends_with, one.created,
             f"{one.expires} (over)" if has_expired else one.expires or "never")
            for one, has_expired in found
        ],
    )  # fmt: skip


@key.command("revoke")
def revoke(name: _Name, project: ProjectFolder = HERE, as_json: AsJson = False) -> None:
    """Take a client's key away. Servers that run refuse it within a second.

    Example: torchyard key revoke shop-frontend
    """
    from torchyard.yard import Yard

    left = Yard(project).revoke_key(name)
    if as_json:
        show_json({"revoked": name, "left": left})
        return
    say(f"The key of {name} is revoked.")
    if not left:
        say("No key is left: the server lets nobody in. Make one with: torchyard key new NAME")
