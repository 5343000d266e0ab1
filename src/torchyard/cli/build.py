"""Commands from training to release."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from torchyard.cli.options import HERE, AsJson, ProjectFolder, Set, Tuned, parse_settings
from torchyard.cli.screen import Drawn, say, show_json, table
from torchyard.cli.weak import show_weaknesses
from torchyard.core.digest import short
from torchyard.core.record import to_json
from torchyard.records.evidence import ClassResult, Report

if TYPE_CHECKING:
    from torchyard.yard.releasing import Released

_SHOWN_CLASSES = 20


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
        f"validation loss {best.validation_loss:.4f} nats at epoch {best.number}"
        if best is not None
        else "as they were given"
    )
    say(f"Run {run.id}: weights {short(run.weights_sha256)}, {chosen}.")


def evaluate(
    project: ProjectFolder = HERE,
    settings: Set = None,
    tuned: Tuned = False,
    as_json: AsJson = False,
) -> None:
    """Calibrate on validation, judge on test: intervals, baselines, groups, slices.

    Example: torchyard evaluate --json
    """
    from torchyard.yard import Yard

    training = parse_settings(settings)
    evaluated = Yard(project, progress=Drawn()).evaluate(training=training, tuned=tuned)
    report = evaluated.report
    if as_json:
        show_json(to_json(report))
        return
    show_report(report)
    show_weaknesses(report, evaluated.trained.featured.version.schema)


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


def show_report(report: Report) -> None:
    """The report's numbers with their intervals, beside the baselines."""
    of_class = f", of {len(report.classes)} classes" if report.classes else ""
    if report.task.is_binary:
        of_class = f", {report.classes[1]:,} positive"
    say(f"{report.model} on {report.rows:,} {report.split} rows{of_class}")
    names = list(report.baselines)
    table(
        ("metric", "value", "95 % interval", *names),
        [
            (
                name, f"{item.value:.4f}", f"{_number(item.low)} to {_number(item.high)}",
                *(
                    f"{report.baselines[base][name].value:.4f}"
                    if name in report.baselines[base] else "" for base in names
                ),
            )
            for name, item in report.metrics.items()
        ],
        right=("value", *names),
    )  # fmt: skip
    if report.per_class:
        _show_classes(report)
    for field, found in report.fairness.items():
        for name, item in found.items():
            say(f"{name} between {field} groups: {item.value:.4f} "
                f"[{_number(item.low)}, {_number(item.high)}]")  # fmt: skip


def _show_classes(report: Report) -> None:
    """The classes that are answered worst, by F1; those without a number last."""

    def f1(one: ClassResult) -> float:
        return one.metrics["f1"].value if "f1" in one.metrics else 2.0

    ordered = sorted(report.per_class, key=f1)
    names = ("precision", "recall", "f1")
    table(
        ("class", "rows", "answered", *names),
        [
            (
                one.name, f"{one.rows:,}", f"{one.answered:,}",
                *(
                    f"{one.metrics[name].value:.4f}" if name in one.metrics else ""
                    for name in names
                ),
            )
            for one in ordered[:_SHOWN_CLASSES]
        ],
        right=("rows", "answered", *names),
    )  # fmt: skip
    more = len(ordered) - _SHOWN_CLASSES
    if more > 0:
        say(f"{more} more classes do better; all of them are in --json.")


def _show_released(released: Released, as_json: bool) -> None:
    if as_json:
        show_json({
            "release": released.id, "version": released.number, "verdict": "pass",
            "metrics": {name: to_json(m) for name, m in released.report.metrics.items()},
        })  # fmt: skip
        return
    from torchyard.yard.wording import headline

    say(f"Release {released.number} is sealed: {released.id}")
    say(f"{headline(released.report)} on {released.report.rows:,} test rows; every required "
        "gate passed.", first="  ")  # fmt: skip
    say("Next: torchyard card, torchyard serve, torchyard deploy --canary 0.1", first="  ")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
