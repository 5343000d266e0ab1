"""What ``torchyard evaluate`` says of where a model is weak."""

from __future__ import annotations

from torchyard.cli.screen import say
from torchyard.records.conditions import told
from torchyard.records.evidence import Report
from torchyard.records.schema import Schema

_SHOWN = 3


def show_weaknesses(report: Report, schema: Schema) -> None:
    """The worst slices and error clusters, a line each."""
    search = report.weaknesses
    if search is None:
        return
    if search.tried and not search.found:
        say(f"None of {search.tried:,} slices tried is worse than chance explains.")
    for one in search.found[:_SHOWN]:
        say(
            f"{told(one, schema)}: {search.metric} {one.measured.value:.4f}, all others "
            f"{one.others:.4f} ({one.rows:,} rows)",
            first="Weak where ",
        )
    more = len(search.found) - _SHOWN
    if more > 0:
        say(f"More weak slices in --json: {more}.")
    for cluster in report.clusters[:_SHOWN]:
        alike = ", ".join(cluster.words) or "pictures that look alike"
        say(
            f"{cluster.field}: {alike}: {cluster.errors:,} of {cluster.rows:,} wrong, "
            f"{cluster.others:.1%} of the others",
            first="Weak in ",
        )
