"""Part of the model card: what the model must do when a row is changed, and where it does not."""

from __future__ import annotations

from collections.abc import Iterator

from torchyard.pages import Block, Table, Text
from torchyard.pages.numbers import shown
from torchyard.records.behaviours import BehaviourExample, BehaviourResult
from torchyard.records.evidence import Report
from torchyard.records.schema import Task

_SHOWN_EXAMPLES = 2
_SHOWN_OUTPUTS = 3


def behaviours(report: Report) -> Iterator[Block]:
    """Each declared behaviour with its share of failing rows, and some of these rows."""
    if not report.behaviours:
        yield Text("The project declares no behaviours.")
        return
    yield Table(
        "Rows were changed and the model asked again. Rows that would then break the schema are "
        "left out.",
        ("what must hold", "rows tried", "left out", "fail", "share that fails", "largest change"),
        tuple(_line(one) for one in report.behaviours),
    )
    examples = tuple(
        (result.name, _changed(example), _answer(example.before, report.task),
         _answer(example.after, report.task))
        for result in report.behaviours for example in result.examples[:_SHOWN_EXAMPLES]
    )  # fmt: skip
    if examples:
        yield Table("Rows that fail.", ("behaviour", "row", "answer", "when changed"), examples)


def _line(one: BehaviourResult) -> tuple[str, ...]:
    if one.failure_rate is None:
        return f"{one.says} Not measured: {one.finding}", "0", f"{one.left_out:,}", "-", "-", "-"
    return (
        one.says, f"{one.rows:,}", f"{one.left_out:,}", f"{one.failed:,}", shown(one.failure_rate),
        "-" if one.worst is None else f"{one.worst:.4g}",
    )  # fmt: skip


def _changed(example: BehaviourExample) -> str:
    """What was changed, from what; of a row that was not changed its fields."""
    if not example.changed:
        return ", ".join(f"{name} {value}" for name, value in example.row.items())
    return ", ".join(
        f"{name} {example.row.get(name)} to {value}" for name, value in example.changed.items()
    )


def _answer(given: tuple[float, ...], task: Task) -> str:
    """The second class of a binary task, the value of a number; else the likeliest classes."""
    if task.is_regression:
        return f"{given[0]:.4g}"
    if task.is_binary:
        return f"{task.classes[1]} {given[1]:.3f}"
    likeliest = sorted(zip(given, task.classes, strict=True), key=lambda one: -one[0])
    return ", ".join(f"{name} {share:.3f}" for share, name in likeliest[:_SHOWN_OUTPUTS])
