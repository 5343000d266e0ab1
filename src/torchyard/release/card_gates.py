"""The card's section on gates: every verdict, and what was ever waived of the model."""

from __future__ import annotations

from torchyard.pages import Block, Table, Text
from torchyard.pages.numbers import shown
from torchyard.records.evidence import Evidence
from torchyard.records.verdicts import Verdict


def gates(evidence: Evidence) -> tuple[Block, ...]:
    """A row for each verdict; then those that waivers let through in earlier releases."""
    if not evidence.verdicts:
        return (Text("The project declares no gates."), *_earlier(evidence))
    is_waived = any(one.waiver for one in evidence.verdicts)
    header = ("gate", "variant", "weight", "verdict", "measured", "limit", "reason")
    rows = tuple(
        (one.gate, one.variant, "required" if one.required else "advisory", one.outcome,
         shown(one.measured), f"{one.limit:g}", one.reason,
         *((_waiver(one),) if is_waived else ()))
        for one in evidence.verdicts
    )  # fmt: skip
    table = Table("", (*header, "waiver") if is_waived else header, rows)
    return (table, *_earlier(evidence))


def _earlier(evidence: Evidence) -> tuple[Block, ...]:
    if not evidence.waived:
        return ()
    rows = tuple(
        (one.gate, one.variant, one.outcome, shown(one.measured), f"{one.limit:g}", _waiver(one))
        for one in evidence.waived
    )
    header = ("gate", "variant", "verdict", "measured", "limit", "waiver")
    return (Table("Waived in earlier releases of this model.", header, rows),)


def _waiver(verdict: Verdict) -> str:
    """Who let it through until when and why; empty where nobody had to."""
    waiver = verdict.waiver
    return "" if waiver is None else f"{waiver.by}, until {waiver.until}: {waiver.reason}"
