"""The command that serves: what it is told, and what it says while it runs."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from torchyard.cli.options import HERE, AsJson, ProjectFolder
from torchyard.cli.screen import err, show_json
from torchyard.cli.server_watch import ServerWatch

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
    grpc_port: Annotated[
        int | None,
        typer.Option(
            help="Port for gRPC; 0 takes a free one.",
            min=0,
            max=65535,
            show_default=_DEFAULT.format("none"),
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

    options = {"host": host, "port": port, "grpc_port": grpc_port, "workers": workers}
    given = {name: value for name, value in options.items() if value is not None}
    yard = Yard(project)
    if as_json or not err.is_terminal or err.is_dumb_terminal:
        raise typer.Exit(yard.serve(announce=announce, **given))
    watch = ServerWatch(yard.watch(clock=time.monotonic), yard.server_output)
    with watch.showing():
        status = yard.serve(announce=watch.announce, **given)
    raise typer.Exit(status)
