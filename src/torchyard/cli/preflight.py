"""The checks before a long run, by themselves."""

from __future__ import annotations

import typer

from torchyard.cli.options import HERE, AsJson, ProjectFolder, Set, parse_settings
from torchyard.cli.screen import Drawn, say, show_json, table, working
from torchyard.core.record import to_json

_MARKS = {"pass": "passed", "warn": "warning", "fail": "FAILED"}


def register(app: typer.Typer) -> None:
    """Add this command to the console command."""
    app.command()(preflight)


def preflight(project: ProjectFolder = HERE, settings: Set = None, as_json: AsJson = False) -> None:
    """Check in seconds what a long run would stumble over; `torchyard train` does so by itself.

    Example: torchyard preflight --set batch_size=65536
    """
    from torchyard.yard import Yard

    yard = Yard(project, progress=Drawn())
    with working("Checking the model"):
        found = yard.preflight(training=parse_settings(settings))
    if as_json:
        show_json({
            "passed": found.passed, "seconds": found.seconds, "checks": to_json(found.checks),
        })  # fmt: skip
    else:
        table(
            ("check", "outcome", "found"),
            [(one.name, _MARKS[one.outcome], one.found) for one in found.checks],
        )
        for check in found.checks:
            if check.outcome != "pass":
                say(check.remedy, first=f"{check.name}: ")
        say(f"{found.summary}.")
    if not found.passed:
        raise typer.Exit(1)
