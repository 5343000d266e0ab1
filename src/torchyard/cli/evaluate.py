"""``torchyard evaluate``: what was measured of a model, and which gates can be judged by it."""

from __future__ import annotations

from collections.abc import Sequence

from torchyard.cli.behaved import show_behaviours
from torchyard.cli.options import HERE, AsJson, ProjectFolder, Set, Tuned, parse_settings
from torchyard.cli.screen import Drawn, say, show_json, table
from torchyard.cli.weak import show_weaknesses
from torchyard.core.record import Json, to_json
from torchyard.records.evidence import ClassResult, Report
from torchyard.records.verdicts import Verdict

_SHOWN_CLASSES = 20
_MEASURED = frozenset({"value", "low", "high", "rows", "method"})


def evaluate(
    project: ProjectFolder = HERE,
    settings: Set = None,
    tuned: Tuned = False,
    as_json: AsJson = False,
) -> None:
    """Calibrate on validation, judge on test: intervals, baselines, groups, slices, gates.

    Gates on speed, size and agreement are open until torchyard optimize has measured variants.

    Example: torchyard evaluate --json
    """
    from torchyard.yard import Yard

    yard = Yard(project, progress=Drawn())
    evaluated = yard.evaluate(training=parse_settings(settings), tuned=tuned)
    report, verdicts, page = evaluated.report, yard.verdicts(evaluated), yard.report(evaluated)
    if as_json:
        show_json(report_json(report, verdicts))
        return
    show_report(report)
    show_weaknesses(report, evaluated.trained.featured.version.schema)
    show_behaviours(report)
    _show_gates(verdicts)
    say(f"Report: {page}")


def report_json(report: Report, verdicts: Sequence[Verdict]) -> Json:
    """The report and its gates for programs: every number with its interval and its rows, ``n``."""
    content = to_json(report)
    assert isinstance(content, dict), "a record is an object"
    methods = {name: one.method for name, one in report.metrics.items()}
    return {
        **{name: _counted(value) for name, value in content.items()},
        "methods": dict(methods),
        "gates": [_gate_json(verdict) for verdict in verdicts],
    }


def _counted(value: Json) -> Json:
    """The same with each measured number as value, low, high and n."""
    if isinstance(value, list):
        return [_counted(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == _MEASURED:
        return {**{name: value[name] for name in ("value", "low", "high")}, "n": value["rows"]}
    return {name: _counted(item) for name, item in value.items()}


def _gate_json(verdict: Verdict) -> Json:
    measured = verdict.measured
    return {
        "name": verdict.gate,
        "verdict": verdict.outcome,
        "measured": None if measured is None else measured.value,
        "low": None if measured is None else measured.low,
        "high": None if measured is None else measured.high,
        "n": None if measured is None else measured.rows,
        "limit": verdict.limit,
        "required": verdict.required,
        "reason": verdict.reason,
        "waiver": None if verdict.waiver is None else to_json(verdict.waiver),
    }


def _show_gates(verdicts: Sequence[Verdict]) -> None:
    if verdicts:
        table(
            ("gate", "weight", "verdict", "why"),
            [
                (
                    one.gate, "required" if one.required else "advisory",
                    one.outcome + ("" if one.waiver is None else f", waived by {one.waiver.by}"),
                    one.reason,
                )
                for one in verdicts
            ],
        )  # fmt: skip


def show_report(report: Report) -> None:
    """The report's numbers with their intervals, beside the baselines."""
    from torchyard.yard.wording import beside_baselines

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
    for line in beside_baselines(report):
        say(f"The model {line}.")
    if report.operating is not None:
        say(report.operating.says)
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


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
