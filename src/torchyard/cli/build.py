"""Commands from training to release; ``torchyard evaluate`` has a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from torchyard.cli.evaluate import evaluate
from torchyard.cli.options import HERE, AsJson, ProjectFolder, Set, Tuned, parse_settings
from torchyard.cli.screen import Drawn, say, show_json, table
from torchyard.core.digest import short
from torchyard.core.record import to_json

if TYPE_CHECKING:
    from torchyard.yard.releasing import Released


def register(app: typer.Typer) -> None:
    """Add these commands to the console command."""
    for command in (train, evaluate, optimize, release, ship):
        app.command()(command)


def train(
    project: ProjectFolder = HERE,
    settings: Set = None,
    tuned: Tuned = False,
    as_json: AsJson = False,
) -> None:
    """Train the model on the training split, tracked in MLflow.

    Example: torchyard train --set max_epochs=3
    """
    from torchyard.yard import Yard

    training = parse_settings(settings)
    trained = Yard(project, progress=Drawn()).train(training=training, tuned=tuned)
    run = trained.run
    if as_json:
        show_json({
            "run": run.id, "status": run.status, "weights_sha256": run.weights_sha256,
            "metrics": run.losses,
        })  # fmt: skip
        return
    best = run.best
    chosen = (
        f"validation loss {best.validation_loss:.4f} at epoch {best.number}"
        if best is not None
        else "as they were given"
    )
    say(f"Run {run.id}: weights {short(run.weights_sha256)}, {chosen}.")


def optimize(
    project: ProjectFolder = HERE,
    settings: Set = None,
    tuned: Tuned = False,
    as_json: AsJson = False,
) -> None:
    """Build the variants and measure each one's speed, size and quality.

    Example: torchyard optimize
    """
    from torchyard.yard import Yard
    from torchyard.yard.wording import headline_name, headline_value

    training = parse_settings(settings)
    optimized = Yard(project, progress=Drawn()).optimize(training=training, tuned=tuned)
    if as_json:
        show_json({"variants": to_json(optimized.variants)})
        return
    rows = []
    for variant in optimized.variants:
        if variant.finding is not None:
            rows.append((variant.name, "could not be built", variant.finding, "", "", ""))
            continue
        report = optimized.report(variant.name)
        speed = {item.batch: item for item in variant.latency}
        rows.append((
            variant.name, f"{speed[1].p50_ms:.3f}", f"{speed[1].p99_ms:.3f}",
            f"{speed[32].p50_ms:.3f}", f"{variant.size_bytes / 1e6:.3f}",
            headline_value(report.task, report.metrics),
        ))  # fmt: skip
    quality = headline_name(optimized.evaluated.report.task)
    headings = ("variant", "1 row p50 ms", "p99 ms", "32 rows p50 ms", "MB", quality)
    table(headings, rows, right=headings[1:])


def release(
    project: ProjectFolder = HERE,
    settings: Set = None,
    tuned: Tuned = False,
    as_json: AsJson = False,
) -> None:
    """Judge every variant by the gates, and seal a signed release of those that pass.

    Example: torchyard release
    """
    from torchyard.yard import Yard

    training = parse_settings(settings)
    _show_released(Yard(project, progress=Drawn()).release(training=training, tuned=tuned), as_json)


def ship(
    project: ProjectFolder = HERE,
    settings: Set = None,
    tuned: Tuned = False,
    as_json: AsJson = False,
) -> None:
    """Go from data to a verified release; the first one is deployed.

    Stages whose inputs have not changed are skipped.

    Example: torchyard ship --json
    """
    from torchyard.yard import Yard

    training = parse_settings(settings)
    _show_released(Yard(project, progress=Drawn()).ship(training=training, tuned=tuned), as_json)


def _show_released(released: Released, as_json: bool) -> None:
    if as_json:
        show_json({
            "release": released.id, "version": released.number, "verdict": "pass",
            "metrics": {name: to_json(m) for name, m in released.report.metrics.items()},
            "waived": to_json(released.waived),
        })  # fmt: skip
        return
    from torchyard.records.verdicts import waived_text
    from torchyard.yard.wording import headline

    say(f"Release {released.number} is sealed: {released.id}")
    decided = "some gates are waived:" if released.waived else "every required gate passed."
    say(f"{headline(released.report)} on {released.report.rows:,} test rows; {decided}", first="  ")
    for one in released.waived:
        say(f"{one.variant}: {waived_text(one)}", first="  ")
    say("Next: torchyard card, torchyard serve, torchyard deploy --canary 0.1", first="  ")
