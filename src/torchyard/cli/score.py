"""How ready a model is for production."""

from __future__ import annotations

import typer

from torchyard.cli.options import HERE, AsJson, ProjectFolder
from torchyard.cli.screen import say, show_json, table
from torchyard.core.record import to_json

_MARKS = {"automatic": "1", "manual": "0.5", "missing": "0"}


def register(app: typer.Typer) -> None:
    """Add this command to the console command."""
    app.command()(score)


def score(project: ProjectFolder = HERE, as_json: AsJson = False) -> None:
    """Answer the 28 tests of the ML Test Score from evidence: what was found, what is missing.

    Example: torchyard score --json
    """
    from torchyard.yard import Yard

    found = Yard(project).score()
    if as_json:
        show_json(to_json(found))
        return
    table(
        ("test", "points", "asks for", "found", "missing"),
        [
            (one.id, _MARKS[one.answer], one.question, one.evidence, one.lacks)
            for one in found.tests
        ],
        right=("points",),
    )
    for test in found.tests:
        if test.remedy:
            say(test.remedy, first=f"{test.id}: ")
    sections = ", ".join(f"{name} {points:g}" for name, points in found.sections.items())
    say(f"ML Test Score {found.score:g}, the smallest of {sections}. {found.reading}")
