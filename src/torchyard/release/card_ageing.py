"""Parts of the model card: what the model looks at, what fields cost, and how it ages."""

from __future__ import annotations

from collections.abc import Iterator

from torchyard.pages import Block, Curve, Table, Text
from torchyard.pages.blocks import Point
from torchyard.pages.numbers import shown
from torchyard.records.ageing import Staleness
from torchyard.records.evidence import Evidence


def ageing(evidence: Evidence) -> Iterator[Block]:
    """Quality against age, and when gates would be missed; a sentence where nobody measured it."""
    found = evidence.staleness
    if found is None:
        yield Text("How quality falls with the model's age was not measured.")
        return
    yield Curve(
        f"Models of the past, each measured in every later period of {found.every_days:g} days; "
        "those of one age are pooled. A period may be harder in itself than the one before.",
        "age in days",
        found.metric,
        tuple(
            Point(one.age_days, one.measured.value, one.measured.low, one.measured.high)
            for one in found.curve
        ),
    )
    if found.limits:
        rows = tuple((gate, _missed(found, age)) for gate, age in found.limits.items())
        yield Table("When a gate would be missed.", ("gate", "first missed"), rows)


def fields_used(evidence: Evidence) -> Iterator[Block]:
    """The importance of fields, from whichever report measured it, and their costs."""
    report = next((one for one in evidence.reports if one.importance), None)
    if report is not None:
        metric = report.importance[0].metric
        rows = tuple(
            (one.field, shown(one.drop), f"{one.missing:.1%}") for one in report.importance
        )
        lead = (
            f"What the model looks at: how much worse {metric} gets when a field's values are "
            "exchanged among test rows."
        )
        yield Table(lead, ("field", "worse by", "missing"), rows)
    else:
        yield Text("What the model looks at was not measured.")
    if evidence.costs:
        costs = tuple(
            (one.field, shown(one.loss), f"{one.microseconds:.1f}", f"{one.missing:.1%}",
             "yes" if one.earns_its_cost else "not shown")
            for one in evidence.costs
        )  # fmt: skip
        lead = (
            f"What fields cost: how much worse {evidence.costs[0].metric} is without one, and the "
            "microseconds that a row takes longer with it."
        )
        yield Table(lead, ("field", "worse by", "microseconds", "missing", "earns it"), costs)


def _missed(found: Staleness, age: float | None) -> str:
    if age is not None:
        return f"at {age:.0f} days"
    oldest = max((one.age_days for one in found.curve), default=0.0)
    return f"not within {oldest:.0f} days"
