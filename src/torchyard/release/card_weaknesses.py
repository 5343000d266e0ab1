"""Part of the model card: where the model is weak, as the search on the test rows found it."""

from __future__ import annotations

from collections.abc import Iterator

from torchyard.pages import Block, Pictures, Table, Text
from torchyard.pages.numbers import shown
from torchyard.records.conditions import told
from torchyard.records.evidence import Report
from torchyard.records.schema import Schema
from torchyard.records.weaknesses import SliceSearch
from torchyard.release.contents import Contents


def weaknesses(contents: Contents) -> Iterator[Block]:
    """The worst slices and error clusters, from whichever report was searched; else nothing."""
    report = next((one for one in contents.evidence.reports if one.weaknesses is not None), None)
    if report is None or report.weaknesses is None:
        return
    yield _slices(report.weaknesses, contents.schema)
    yield from _clusters(report)


def _slices(search: SliceSearch, schema: Schema) -> Block:
    tried = f"{search.tried:,} slices of at least {search.min_rows:,} rows were tried"
    if not search.tried:
        return Text("No condition on a field has enough rows, and few enough, to be searched.")
    if not search.found:
        return Text(f"{tried}; none is worse than chance explains.")
    rows = tuple(
        (told(one, schema), f"{one.rows:,}", shown(one.measured), f"{one.others:.4g}")
        for one in search.found
    )
    lead = (
        f"{tried}; these are worse than all other rows, beyond what trying so many explains. "
        "Intervals are widened for all that were tried."
    )
    return Table(lead, ("rows where", "rows", search.metric, "all others"), rows)


def _clusters(report: Report) -> Iterator[Block]:
    if report.clusters:
        rows = tuple(
            (one.field, ", ".join(one.words) or "see the pictures", f"{one.rows:,}",
             shown(one.error_rate), f"{one.others:.4g}")
            for one in report.clusters
        )  # fmt: skip
        wrong = "in the worst tenth" if report.task.is_regression else "answered wrongly"
        lead = f"Rows that are alike, and more often {wrong} than the others of a sample."
        yield Table(lead, ("field", "alike in", "rows", wrong, "others"), rows)
    for one in report.clusters:
        if one.pictures:
            yield Pictures(f"{one.field}, {one.errors:,} of {one.rows:,} {wrong}:", one.pictures)
