"""The search for settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from torchyard.cli.options import HERE, AsJson, ProjectFolder, Set, parse_settings
from torchyard.cli.screen import Drawn, say, show_json, table
from torchyard.core.record import Json

if TYPE_CHECKING:
    from torchyard.records.search import Study, Trial

_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add this command to the console command."""
    app.command()(tune)


def tune(
    project: ProjectFolder = HERE,
    trials: Annotated[
        int | None, typer.Option(help="How many in all; as the project declares.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="End at the latest after so many minutes.")
    ] = None,
    settings: Set = None,
    as_json: AsJson = False,
) -> None:
    """Search for the settings and model arguments with the lowest validation loss.

    Run again, it goes on with the same search.

    Example: torchyard tune --trials 50
    """
    from torchyard.yard import Yard

    study = Yard(project, progress=Drawn()).tune(
        trials=trials, minutes=minutes, training=parse_settings(settings)
    )
    if as_json:
        show_json(_as_json(study))
    else:
        _show(study)


def _as_json(study: Study) -> Json:
    best = study.best
    return {
        "study": study.key,
        "tried": len(study.trials),
        "pruned": study.pruned,
        "failed": study.failed,
        "best": None
        if best is None
        else {
            "trial": best.number, "value": best.value, "settings": best.settings,
            "model": best.model,
        },
        "importance": study.importance,
    }  # fmt: skip


def _show(study: Study) -> None:
    ranked = study.ranked
    if ranked:
        names = list(ranked[0].chosen)
        headings = ("trial", "validation loss", "epochs", *names)
        table(headings, [_row(one, names) for one in ranked[:_SHOWN]], right=headings)
    if study.importance:
        shares = ", ".join(f"{name} {share:.2f}" for name, share in study.importance.items())
        say(f"What matters, as shares of what settings explain by themselves: {shares}.")
    elif ranked:
        say("Too few trials, or all alike: what matters cannot be said.")
    say(
        f"{len(study.trials)} tried, {study.pruned} of them pruned and {study.failed} failed. "
        f"Pictures: .torchyard/studies/{study.key}/"
    )
    if not ranked:
        say("No trial was trained to its end. Go on with: torchyard tune")
        return
    say(
        f"The best of {len(study.trials)} is optimistic: its loss was chosen, and would be higher "
        "on other rows. Judge it on the test rows, once: torchyard evaluate --tuned"
    )
    say("Next: torchyard train --tuned", first="  ")


def _row(trial: Trial, names: list[str]) -> tuple[str, ...]:
    chosen = (_shown(trial.chosen[name]) for name in names)
    return (str(trial.number), f"{trial.value:.4f}", str(trial.epochs), *chosen)


def _shown(value: Json) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
