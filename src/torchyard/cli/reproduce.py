"""``torchyard reproduce``: a run trained again, and whether the same came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from torchyard.cli.options import HERE, AsJson, ProjectFolder
from torchyard.cli.screen import Drawn, say, show_json
from torchyard.core.digest import short
from torchyard.core.record import to_json

if TYPE_CHECKING:
    from torchyard.records.reproduction import Compared, Reproduction

_SHOWN_PACKAGES = 10


def register(app: typer.Typer) -> None:
    """Add this command to the console command."""
    app.command()(reproduce)


def reproduce(
    run: Annotated[
        str | None, typer.Argument(help="A finished run's id, or the start of it; the latest.")
    ] = None,
    project: ProjectFolder = HERE,
    here: Annotated[
        bool, typer.Option("--here", help="Train in the environment that is here.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a run again from its record: identical, or the first step and tensor that differ.

    Where other packages are installed than the run had, its environment is built first.

    Example: torchyard reproduce 3f9a
    """
    from torchyard.yard import Yard

    found = Yard(project, progress=Drawn()).reproduce(run, here=here)
    if as_json:
        show_json(to_json(found))
    else:
        _show(found)
    if not found.identical:
        raise typer.Exit(1)


def _show(found: Reproduction) -> None:
    digests = found.weights_sha256
    if found.identical:
        say(f"Identical: run {found.run[:8]}, trained again, ends with the same bits: weights "
            f"{short(str(digests.now))}.")  # fmt: skip
    else:
        parting = found.first_difference
        where = parting.text if parting else "nothing that was kept shows where"
        say(f"Not identical: run {found.run[:8]} ended with weights "
            f"{short(str(digests.recorded))}, now with {short(str(digests.now))}.")  # fmt: skip
        say(f"First difference: {where}", first="  ")
    if found.trained_in != "here":
        say(f"Trained in the run's own environment, built as {found.trained_in}.", first="  ")
    _show_changes(found)
    for name, one in found.metrics.items():
        if one.difference is not None:
            say(_compared(name, one), first="  ")


def _show_changes(found: Reproduction) -> None:
    environment = found.environment
    python = {} if environment.python is None else {"Python": environment.python}
    changes = {**found.inputs, **python, **environment.hardware}
    shown = dict(list(environment.packages.items())[:_SHOWN_PACKAGES])
    for name, one in {**changes, **shown}.items():
        say(f"differs: {name} was {_value(one.recorded)}, is {_value(one.now)}", first="  ")
    more = len(environment.packages) - len(shown)
    if more > 0:
        say(f"differs: {more} more packages; all of them are in --json", first="  ")


def _compared(name: str, one: Compared) -> str:
    difference = one.difference
    assert difference is not None
    interval = (
        f" [{difference.low:+.2g}, {difference.high:+.2g}]"
        if difference.low is not None and difference.high is not None
        else ""
    )
    verdict = "within what chance explains" if one.within else "beyond what chance explains"
    return (
        f"{name}: {_number(one.recorded)} recorded, {_number(one.now)} now; worse by "
        f"{difference.value:+.2g}{interval} on {difference.rows:,} rows: {verdict}"
    )


def _value(text: str | None) -> str:
    return "not there" if text is None else short(text) if text.startswith("sha256:") else text


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
