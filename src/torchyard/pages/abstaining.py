"""What cards and reports say of rows that are not answered, and of values that cannot be."""

from __future__ import annotations

from collections.abc import Iterator

from torchyard.pages.blocks import Block, Table, Text
from torchyard.pages.numbers import shown, title_of
from torchyard.records.abstaining import SelectiveQuality
from torchyard.records.evidence import Report

REASONS = {
    "outside_training": "a field is outside of what training had",
    "unsure": "the answer's probability is below the limit",
    "wide_interval": "the interval is wider than the limit",
}


def abstaining_blocks(report: Report) -> tuple[Block, ...]:
    """What abstaining costs and brings; nothing where every row is answered."""
    return (*_selective(report), *_domain(report))


def _selective(report: Report) -> Iterator[Block]:
    found = report.selective
    if found is None:
        return
    silent = sum(found.abstained.values())
    yield Text(
        f"The model may leave a row without an answer. Of {report.rows:,} {report.split} rows it "
        f"answers {report.rows - silent:,}: a share of {shown(found.coverage)}."
    )
    if silent:
        rows = tuple((REASONS.get(why, why), f"{n:,}") for why, n in found.abstained.items())
        yield Table("Why the others are not answered, the first reason of each.",
                    ("reason", "rows"), rows)  # fmt: skip
    yield from _quality(found)


def _quality(found: SelectiveQuality) -> Iterator[Block]:
    if not found.answered:
        yield Text("Too few rows are answered to tell how well.")
        return
    rows = tuple(
        (title_of(name), shown(found.answered.get(name)), shown(measured))
        for name, measured in found.everything.items()
    )
    lead = "What it brings: quality on the answered rows, beside that of answering every row."
    yield Table(lead, ("metric", "answered rows", "all rows"), rows)


def _domain(report: Report) -> Iterator[Block]:
    outside, task = report.outside_domain, report.task
    if outside is None:
        return
    sides = [("at least", task.ge), ("at most", task.le)]
    said = " and ".join(f"{word} {bound:g}" for word, bound in sides if bound is not None)
    unit = f" {task.unit}" if task.unit else ""
    yield Text(
        f"A value is {said}{unit}; another one is not answered, its request fails. The share of "
        f"{report.split} rows of which that is so: {shown(outside)}."
    )
