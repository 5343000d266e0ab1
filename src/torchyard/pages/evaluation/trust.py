"""Sections of an evaluation about trust: behaviours, what it looks at, how it ages, gates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torchyard.core.record import Json
from torchyard.pages.blocks import Bar, Block, Curve, Details, Intervals, Point, Table, Text
from torchyard.pages.numbers import shown, shown_number, title_of
from torchyard.records.ageing import Staleness
from torchyard.records.behaviours import BehaviourResult
from torchyard.records.evidence import Report
from torchyard.records.measures import Measured
from torchyard.records.verdicts import Verdict

_LONGEST = 60


def behaviours(report: Report) -> Iterator[Block]:
    """What it must do when a row is changed, and the rows where it does not."""
    if not report.behaviours:
        return
    rows = tuple(
        (one.says, f"{one.rows:,}", f"{one.failed:,}", _share(one.failure_rate), _apart(one))
        for one in report.behaviours
    )
    header = ("what must hold", "rows tried", "failed", "share", "")
    yield Table("Rows were changed, and the answers compared.", header, rows)
    for one in report.behaviours:
        if one.examples:
            yield Details(f"Rows that fail: {one.says}", (_examples(one, report),))


def _share(rate: Measured | None) -> str:
    if rate is None or rate.low is None or rate.high is None:
        return "-"
    return f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%})"


def _apart(result: BehaviourResult) -> str:
    """What kept rows, or all of it, from being tried."""
    left = f"{result.left_out:,} rows would leave the schema" if result.left_out else ""
    return "; ".join(told for told in (left, result.finding) if told)


def _examples(result: BehaviourResult, report: Report) -> Table:
    outputs = report.task.outputs
    rows = tuple(
        (_row(one.changed) or _row(one.row), _answer(one.before, outputs),
         _answer(one.after, outputs))
        for one in result.examples
    )  # fmt: skip
    return Table("", ("changed", "answer before", "after"), rows)


def _row(values: dict[str, Json]) -> str:
    told = (f"{name} = {_value(value)}" for name, value in values.items())
    return ", ".join(told)


def _value(value: Json) -> str:
    if value is None:
        return "(not shown)"
    text = shown_number(value) if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _answer(values: Sequence[float], outputs: Sequence[str]) -> str:
    if len(values) == 2 == len(outputs):
        return f"{outputs[1]} {values[1]:.3f}"
    return ", ".join(
        f"{name} {shown_number(value)}" for name, value in zip(outputs, values, strict=False)
    )


def importance(report: Report) -> Iterator[Block]:
    """How much worse it gets when a field is shuffled among rows."""
    if not report.importance:
        return
    metric = title_of(report.importance[0].metric)
    bars = tuple(
        Bar(one.field, one.drop.value, one.drop.low, one.drop.high, f"{one.missing:.1%} missing")
        for one in report.importance
    )
    yield Intervals(
        f"How much worse {metric} gets when one field's values are shuffled among rows. A field "
        "at 0 is not used, or another one says the same.",
        f"{metric} added", bars, 0.0, "no difference",
    )  # fmt: skip


def ageing(staleness: Staleness | None) -> Iterator[Block]:
    """Quality against model age."""
    if staleness is None or not staleness.curve:
        return
    metric = title_of(staleness.metric)
    yield Curve(
        f"Models were trained on the past and measured on each later period by {staleness.field}.",
        "age of the model in days",
        metric,
        tuple(
            Point(one.age_days, one.measured.value, one.measured.low, one.measured.high)
            for one in staleness.curve
        ),
    )
    for limit, age in staleness.limits.items():
        yield Text(
            f"'{limit}' would be missed from an age of {age:.0f} days on."
            if age is not None
            else f"'{limit}' was missed at no age that was measured."
        )


def gates(verdicts: Sequence[Verdict]) -> Iterator[Block]:
    """What was required, and what was found."""
    if not verdicts:
        yield Text("The project declares no gates.")
        return
    rows = tuple(
        (one.gate, "required" if one.required else "advisory", one.outcome, shown(one.measured),
         one.reason)
        for one in verdicts
    )  # fmt: skip
    yield Table("", ("gate", "weight", "verdict", "measured", "reason"), rows)
    for one in verdicts:
        if one.waiver is not None:
            yield Text(
                f"'{one.gate}' is waived by {one.waiver.by} until {one.waiver.until}: "
                f"{one.waiver.reason}"
            )
