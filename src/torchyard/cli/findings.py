"""What a person sees of findings and of rows set aside: a block each, which fits any width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torchyard.cli.screen import say
from torchyard.records.dataset import Finding

_WIDEST = 60


def show_findings(findings: Sequence[Finding]) -> None:
    """What became of the rows, how many, why, and examples; alike ones together."""
    from torchyard.yard.found import alike, sentence, severity

    for finding in alike(findings):
        say(sentence(finding), first=f"{severity(finding):<11}")
        say(finding.meaning, first=" " * 11)
        if finding.examples:
            say(f"such as {'; '.join(finding.examples)}", first=" " * 11)


def show_row(row: Mapping[str, object], *, broke: str) -> None:
    """What a row broke, and below it the values that it has."""
    say(str(row[broke]), first="- ")
    values = [f"{name}={cell(value)}" for name, value in row.items() if name != broke]
    say(", ".join(values), first="  ")


def cell(value: object) -> str:
    """A value in few words; nothing where it is missing."""
    text = f"{len(value):,} bytes" if isinstance(value, bytes) else str(value)
    return "" if value is None else text if len(text) <= _WIDEST else f"{text[:_WIDEST]}..."
