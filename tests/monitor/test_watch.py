"""Watching from logs to report: the whole room at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.monitor.traffic import RELEASE, START, draw, label_line, lines_of, reference, write
from torchyard.core.errors import NotFound
from torchyard.core.record import read_record, write_record
from torchyard.monitor import render_html, render_markdown, watch
from torchyard.records.live import MonitorReport

FAULT = START + timedelta(days=7)


def log_two_weeks(folder: Path) -> None:
    """A quiet week, then one whose wind comes in m/s and whose probabilities are noise."""
    random = np.random.default_rng(1)
    frame = draw(4_000, random, days=14)
    truth = random.random(4_000) < frame["probability"].to_numpy()
    late = frame["scheduled"] >= FAULT
    frame = frame.with_columns(
        wind_speed=pl.when(late).then(pl.col("wind_speed") * 0.44704).otherwise("wind_speed"),
    )
    truth = np.where(late.to_numpy(), random.random(4_000) < 0.4, truth)
    lines = lines_of(frame)
    write(folder / "predictions/flights", {"0-1-0": lines[::2], "1-1-0": [*lines[1::2], "?"]})
    labels = [label_line(f"r{n}", bool(truth[n])) for n in range(0, 4_000, 2)]
    write(folder / "labels/flights", {"0-1-0": [*labels, "{}"]})


def watched(folder: Path, **options: object) -> MonitorReport:
    arguments: dict[str, object] = {"every": "7d", "time": "scheduled", **options}
    return watch(
        model="flights",
        release=reference(),
        predictions=folder / "predictions",
        labels=folder / "labels",
        **arguments,  # type: ignore[arg-type]
    )


def test_a_planted_fault_is_found_in_its_week(tmp_path: Path) -> None:
    log_two_weeks(tmp_path)
    report = watched(tmp_path)
    quiet, broken = report.windows
    assert (report.model, report.reference, report.rows) == ("flights", RELEASE, 4_000)
    assert report.unreadable == 2
    assert not any(field.drifted for field in (*quiet.fields, quiet.answers))
    assert [field.name for field in broken.fields if field.drifted] == ["wind_speed"]
    assert quiet.releases == {RELEASE: quiet.rows}
    assert quiet.labelled + broken.labelled == 2_000
    assert quiet.quality["auroc"].value > 0.65
    assert broken.quality["auroc"].value < 0.56
    assert quiet.first < quiet.last < "2013-12-09T" < broken.first < broken.last
    by_subject = {alert.subject: alert for alert in report.alerts}
    assert by_subject["quality"].severity == "critical"
    wind = by_subject["wind_speed"]
    assert "values look like m/s instead of mph" in wind.message
    assert f"; since 2013-12-09 in {broken.rows:,} rows. Check the sender's unit." in wind.message
    assert wind.severity == "critical"


def test_the_same_logs_give_the_same_report(tmp_path: Path) -> None:
    log_two_weeks(tmp_path)
    report = watched(tmp_path)
    assert watched(tmp_path) == report
    write_record(tmp_path / "report.json", report)
    assert read_record(MonitorReport, tmp_path / "report.json") == report


def test_personal_fields_are_not_judged(tmp_path: Path) -> None:
    log_two_weeks(tmp_path)
    names = {field.name for window in watched(tmp_path).windows for field in window.fields}
    assert names == {"scheduled", "origin", "wind_speed", "stops", "express"}


def test_since_is_read_on_the_clock_of_the_windows(tmp_path: Path) -> None:
    log_two_weeks(tmp_path)
    (window,) = watched(tmp_path, since=FAULT).windows
    assert window.first >= FAULT.isoformat()
    middle = datetime.fromtimestamp(1.7e9 + 1_000, tz=UTC)
    report = watched(tmp_path, every=500, time=None, since=middle)
    assert report.rows == 3_000
    assert report.windows[0].first == middle.isoformat()


def test_without_labels_there_is_drift_and_no_quality(tmp_path: Path) -> None:
    log_two_weeks(tmp_path)
    report = watch(
        model="flights",
        release=reference(),
        predictions=tmp_path / "predictions",
        labels=tmp_path / "nowhere",
        every="7d",
        time="scheduled",
    )
    assert [(window.labelled, window.quality) for window in report.windows] == [(0, {}), (0, {})]
    assert [alert.subject for alert in report.alerts] == ["wind_speed"]


def test_nothing_logged_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as refusal:
        watched(tmp_path)
    assert str(refusal.value) == (
        f"prediction log of 'flights': found no *.jsonl in {tmp_path}/predictions/flights; "
        "expected at least one segment. "
        "Serve the model and send it rows; answers are logged as they are given."
    )


def test_an_empty_log_is_an_empty_report(tmp_path: Path) -> None:
    write(tmp_path / "predictions/flights", {"0-1-0": []})
    report = watched(tmp_path)
    assert (report.rows, report.windows, report.alerts) == (0, (), ())
    assert "None." in render_markdown(report)
    assert "None." in render_html(report)


def test_markdown_tells_the_story(tmp_path: Path) -> None:
    log_two_weeks(tmp_path)
    report = watched(tmp_path)
    text = render_markdown(report)
    assert text.startswith("# Monitoring of flights\n\n4,000 rows in 2 windows, compared with")
    assert "2 log lines could not be read or placed." in text
    assert "- **critical** `wind_speed` moved: median" in text
    assert text.count("\n| 2013-12-") == 2
    assert "- 2013-12-09T05:0" in text.partition("## What moved")[2]


def test_the_page_loads_nothing_and_draws_every_field(tmp_path: Path) -> None:
    log_two_weeks(tmp_path)
    page = render_html(watched(tmp_path))
    assert page.startswith("<!doctype html>")
    assert page.count("<svg") == 6  # five fields and the answers
    assert page.count("<circle") == 1
    assert '<div class="alert critical"><strong>critical</strong> Quality got worse: auroc' in page
    for way_out in ("http", "src=", "href=", "url(", "<script", "@import"):
        assert way_out not in page


HOSTILE = "<script>alert(1)</script>|`x` [a](b)\n# **!**"


def test_what_strangers_send_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    frame = draw(500, np.random.default_rng(2)).with_columns(pl.lit(HOSTILE).alias("origin"))
    lines = lines_of(frame, release=HOSTILE)
    write(tmp_path / "predictions/flights", {"0-1-0": lines})
    report = replace(watched(tmp_path), model=HOSTILE)
    assert any("new value '<script>" in alert.message for alert in report.alerts)
    page = render_html(report)
    assert "<script" not in page
    assert "new value &#x27;&lt;script&gt;" in page
    text = render_markdown(report)
    assert "<script" not in text.replace("\\<script", "")
    assert "\n# **" not in text
    rows = [line for line in text.splitlines() if line.startswith("| 2013")]
    assert rows
    assert all(line.replace("\\|", "").count("|") == 9 for line in rows)
