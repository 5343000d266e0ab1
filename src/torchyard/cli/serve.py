"""The command that serves: what it is told, and what it says while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from torchyard.cli.options import HERE, AsJson, ProjectFolder
from torchyard.cli.screen import err, say, show_json, table
from torchyard.cli.server_watch import ServerWatch
from torchyard.core.digest import short

if TYPE_CHECKING:
    from torchyard.yard import Yard

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
        typer.Option(
            help="Worker processes.",
            min=1,
            max=256,
            show_default=_DEFAULT.format("as fits the models and this machine"),
        ),
    ] = None,
    tune: Annotated[
        bool,
        typer.Option("--tune", help="Measure what fits this machine, keep it, and do not serve."),
    ] = False,
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

    if tune:
        _tune(Yard(project), announce, as_json)
        return
    options = {"host": host, "port": port, "grpc_port": grpc_port, "workers": workers}
    given = {name: value for name, value in options.items() if value is not None}
    yard = Yard(project)
    if as_json or not err.is_terminal or err.is_dumb_terminal:
        raise typer.Exit(yard.serve(announce=announce, **given))
    watch = ServerWatch(yard.watch(clock=time.monotonic), yard.server_output)
    with watch.showing():
        status = yard.serve(announce=watch.announce, **given)
    raise typer.Exit(status)


def _tune(yard: Yard, announce: Callable[[str], None], as_json: bool) -> None:
    tuned = yard.tune_server(announce=announce)
    if as_json:
        show_json({
            "settings": tuned.settings,
            "releases": {
                name: [
                    {
                        "device": way.device, "lanes": way.lanes, "threads": way.threads,
                        "rows": way.batch,
                        "requests_per_s": round(way.rows_per_s, 1),
                        "p99_ms": round(way.p99_ms, 3), "is_best": way is tuned.best[name],
                    }
                    for way in ways
                ]
                for name, ways in tuned.ways.items()
            },
        })  # fmt: skip
        return
    for name, ways in tuned.ways.items():
        table(
            (
                "release", "device", "lanes", "threads", "rows a call", "requests/s",
                "call p99 ms", "",
            ),
            [
                (
                    short(name), way.device, str(way.lanes), str(way.threads), str(way.batch),
                    f"{way.rows_per_s:,.0f}", f"{way.p99_ms:.2f}",
                    "best" if way is tuned.best[name] else "",
                )
                for way in ways
            ],
            right=("lanes", "threads", "rows a call", "requests/s", "call p99 ms"),
        )  # fmt: skip
    numbers = ", ".join(f"{name} {number}" for name, number in tuned.settings.items())
    say(f"Servers here take from now on, where torchyard.toml leaves it to them: {numbers}.")
