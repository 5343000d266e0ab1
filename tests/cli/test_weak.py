"""What the screen says of weak spots."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.releases import SCHEMA, measured, sample_report
from torchyard.cli.weak import show_weaknesses
from torchyard.records.weaknesses import Condition, ErrorCluster, FoundSlice, SliceSearch


def found(value: str) -> FoundSlice:
    return FoundSlice(
        conditions=(Condition(field="carrier", value=value),), rows=1200,
        measured=measured(0.91), others=0.4, p_value=0.001,
    )  # fmt: skip


def test_the_three_worst_slices_and_each_cluster_have_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    slices = tuple(found(value) for value in ("AA", "HA", "UA", "WN"))
    search = SliceSearch(metric="log_loss", tried=40, min_rows=100, method="", found=slices)
    cluster = ErrorCluster(
        field="note", kind="text", rows=200, errors=120, error_rate=measured(0.6), others=0.1,
        words=("refund", "card"),
    )  # fmt: skip
    report = replace(sample_report("torch-fp32"), weaknesses=search, clusters=(cluster,))
    show_weaknesses(report, SCHEMA)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "Weak where carrier = 'AA': log_loss 0.9100, all others 0.4000 (1,200 rows)"
    )
    assert len(lines) == 5
    assert lines[3] == "More weak slices in --json: 1."
    assert lines[4] == "Weak in note: refund, card: 120 of 200 wrong, 10.0% of the others"
    show_weaknesses(replace(report, weaknesses=replace(search, found=()), clusters=()), SCHEMA)
    assert capsys.readouterr().out == "None of 40 slices tried is worse than chance explains.\n"
    untried = replace(search, tried=0, found=())
    show_weaknesses(replace(report, weaknesses=untried, clusters=()), SCHEMA)
    show_weaknesses(sample_report("torch-fp32"), SCHEMA)
    assert capsys.readouterr().out == ""
