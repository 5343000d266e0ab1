"""Windows: every row in exactly one, and a summary that does not grow with its rows."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.monitor.traffic import LOGGED, START, TASK, draw, lines_of, reference, write
from torchyard.core.errors import BadUsage
from torchyard.data.profile import profile, profile_scores
from torchyard.monitor.log import AT, ID, LABEL, Batch, read_predictions
from torchyard.monitor.reference import Reference, only_logged
from torchyard.monitor.windows import (
    MOST_UNSEEN_VALUES,
    Cut,
    Gathered,
    Traffic,
    gather,
    iso,
    parse_cut,
    split,
)

NO_LABELS = pl.DataFrame(schema={ID: pl.String, LABEL: pl.Boolean})
DAYS = st.datetimes(datetime(1960, 1, 1), datetime(2040, 1, 1))
EVERY = st.sampled_from(["1s", "7m", "1h", "1d", "7d", "52w"])


def known() -> Reference:
    return only_logged(reference())


def gather_all(
    folder: Path, *, every: str | int, time: str | None = None, labels: pl.DataFrame = NO_LABELS
) -> Gathered:
    cut = parse_cut(LOGGED, every=every, time=time)
    batches = read_predictions(folder, LOGGED, TASK, batch_rows=100)
    return gather(batches, cut, known(), labels=labels)


@settings(max_examples=50, deadline=None)
@given(st.lists(DAYS, max_size=60), EVERY | st.integers(1, 20), st.integers(0, 40))
def test_a_cut_is_a_partition(times: list[datetime], every: str | int, seen: int) -> None:
    cut = parse_cut(LOGGED, every=every, time=None)
    frame = pl.DataFrame({AT: pl.Series(times, dtype=pl.Datetime("us")), "row": range(len(times))})
    parts = split(frame, cut, seen=seen)
    rows = [row for part in parts.values() for row in part["row"].to_list()]
    assert sorted(rows) == list(range(len(times)))
    assert all(part.height for part in parts.values())
    if isinstance(cut.every, timedelta):
        spans = [(part[AT].min(), part[AT].max()) for _, part in sorted(parts.items())]
        assert spans == sorted(spans)
        for part in parts.values():
            assert part[AT].sort()[-1] - part[AT].sort()[0] < cut.every


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=12), st.integers(1, 20))
def test_windows_of_rows_are_full_but_the_last(batches: list[int], every: int) -> None:
    cut = parse_cut(LOGGED, every=every, time=None)
    filled: Counter[int] = Counter()
    seen = 0
    for rows in batches:
        frame = pl.DataFrame({AT: pl.Series([START] * rows, dtype=pl.Datetime("us"))})
        filled += Counter(
            {number: part.height for number, part in split(frame, cut, seen=seen).items()}
        )
        seen += rows
    expected = [every] * (seen // every) + [seen % every] * (seen % every > 0)
    assert [filled[number] for number in sorted(filled)] == expected


def test_weeks_start_on_mondays_and_days_at_midnight() -> None:
    times = [START - timedelta(microseconds=1), START, START + timedelta(days=6, hours=23)]
    frame = pl.DataFrame({AT: times})
    week = split(frame, parse_cut(LOGGED, every="7d", time=None), seen=0)
    assert [part.height for _, part in sorted(week.items())] == [1, 2]
    day = split(frame, parse_cut(LOGGED, every="1d", time=None), seen=0)
    assert len(day) == 3


def test_a_window_is_the_sum_of_its_batches(tmp_path: Path) -> None:
    frame = draw(1_000, np.random.default_rng(1))
    write(tmp_path, {"0-1-0": lines_of(frame)})
    (window,) = gather_all(tmp_path, every=1_000).windows
    whole = profile(frame, LOGGED, reference=known().inputs)
    for got, expected in zip(window.inputs.fields, whole.fields, strict=True):
        rounded = [replace(it, mean=None, standard_deviation=None) for it in (got, expected)]
        assert rounded[0] == rounded[1]
        assert got.mean == pytest.approx(expected.mean)
        assert got.standard_deviation == pytest.approx(expected.standard_deviation)
    scores = frame["probability"].to_numpy()
    answers = profile_scores(scores, known().task, reference=known().answers)
    assert window.answers.fields[0].counts == answers.fields[0].counts
    assert window.answered == ((scores < 0.5).sum(), (scores >= 0.5).sum())
    assert window.rows == 1_000


def test_rows_without_an_answer_are_counted_beside_all_others(tmp_path: Path) -> None:
    frame = draw(200, np.random.default_rng(5))
    lines = lines_of(frame)
    for place, why in enumerate(["outside_training", None, "unsure"]):
        lines[place] = json.dumps({**json.loads(lines[place]), "abstained": why})
    write(tmp_path, {"0-1-0": lines})
    found = gather_all(tmp_path, every=200)
    (window,) = found.windows
    assert (found.unreadable, window.rows, window.abstained) == (0, 200, 2)
    assert sum(window.answered) == 200


def test_windows_by_a_field_need_no_order_in_the_log(tmp_path: Path) -> None:
    frame = draw(700, np.random.default_rng(2)).sample(fraction=1, shuffle=True, seed=3)
    write(tmp_path, {"0-1-0": lines_of(frame)})
    found = gather_all(tmp_path, every="1d", time="scheduled").windows
    counted = frame.group_by(pl.col("scheduled").dt.date()).len().sort("scheduled")
    assert [window.rows for window in found] == counted["len"].to_list()
    assert [window.first.date() for window in found] == counted["scheduled"].to_list()
    assert found[0].first == frame["scheduled"].min()
    assert found[-1].last == frame["scheduled"].max()


def test_rows_without_the_time_are_counted_apart(tmp_path: Path) -> None:
    frame = draw(10, np.random.default_rng(3)).with_columns(
        scheduled=pl.when(pl.int_range(pl.len()) < 4).then(None).otherwise("scheduled")
    )
    write(tmp_path, {"0-1-0": [*lines_of(frame), "?"]})
    found = gather_all(tmp_path, every="52w", time="scheduled")
    assert (found.unplaced, found.unreadable) == (4, 1)
    assert sum(window.rows for window in found.windows) == 6


def test_rows_before_since_are_left_out(tmp_path: Path) -> None:
    frame = draw(200, np.random.default_rng(4))
    write(tmp_path, {"0-1-0": lines_of(frame)})
    cut = parse_cut(LOGGED, every=50, time="scheduled")
    since = START + timedelta(days=3)
    found = gather(
        read_predictions(tmp_path, LOGGED, TASK), cut, known(), labels=NO_LABELS, since=since
    )
    assert (
        sum(window.rows for window in found.windows)
        == frame.filter(pl.col("scheduled") >= since).height
    )
    assert all(window.rows == 50 for window in found.windows[:-1])


def test_unseen_values_are_counted_by_name_and_bounded(tmp_path: Path) -> None:
    frame = draw(3_000, np.random.default_rng(5)).with_columns(
        origin=pl.when(pl.int_range(pl.len()) % 3 == 0)
        .then(pl.lit("XX"))
        .otherwise(pl.lit("new") + pl.int_range(pl.len()).cast(pl.String))
    )
    write(tmp_path, {"0-1-0": lines_of(frame)})
    (window,) = gather_all(tmp_path, every=3_000).windows
    assert window.unseen["origin"]["XX"] == 1_000
    assert len(window.unseen["origin"]) == MOST_UNSEEN_VALUES
    assert window.inputs.fields[1].other == 3_000


def test_a_window_keeps_no_rows_but_labelled_ones(tmp_path: Path) -> None:
    write(tmp_path, {"0-1-0": lines_of(draw(2_000, np.random.default_rng(6)))})
    labels = pl.DataFrame({ID: ["r5", "r6", "other"], LABEL: [True, False, True]})
    (window,) = gather_all(tmp_path, every=2_000, labels=labels).windows
    assert sum(len(piece) for piece in window.outputs) == 2
    assert sorted(np.concatenate(window.truths).tolist()) == [False, True]
    for value in (getattr(window, name) for name in Traffic.__slots__):
        assert not isinstance(value, pl.DataFrame | pl.Series)


def test_the_releases_that_answered_are_counted(tmp_path: Path) -> None:
    frame = draw(30, np.random.default_rng(7))
    other = "sha256:" + "cd" * 32
    lines = [*lines_of(frame), *lines_of(frame.head(10), release=other)]
    write(tmp_path, {"0-1-0": lines})
    (window,) = gather_all(tmp_path, every=40).windows
    assert window.releases == {reference().release: 30, other: 10}


@pytest.mark.parametrize(
    ("every", "expected"),
    [("7d", timedelta(days=7)), ("2w", timedelta(weeks=2)), ("30m", timedelta(minutes=30))],
)
def test_lengths_of_time(every: str, expected: timedelta) -> None:
    assert parse_cut(LOGGED, every=every, time="scheduled") == Cut(
        every=expected, clock="scheduled"
    )
    assert parse_cut(LOGGED, every="5000", time=None) == Cut(every=5000, clock=AT)


@pytest.mark.parametrize("every", ["", "d", "0d", "-1d", "1.5h", "1 d", "1y", 0, -3, "99999999d"])
def test_other_lengths_are_refused(every: str | int) -> None:
    with pytest.raises(BadUsage) as refusal:
        parse_cut(LOGGED, every=every, time=None)
    assert str(refusal.value) == (
        f"every: found {every!r}; expected a length of time such as '7d', '1h' or '30m', or a "
        "number of rows. Write a whole number, for a length of time with one of w, d, h, m, s."
    )


def test_another_clock_is_refused() -> None:
    with pytest.raises(BadUsage) as refusal:
        parse_cut(LOGGED, every="1d", time="schedule")
    assert str(refusal.value) == (
        "time: found 'schedule'; expected a timestamp field that is logged. "
        "Did you mean 'scheduled'?"
    )


def test_more_windows_than_anybody_reads_are_refused() -> None:
    frame = pl.DataFrame({AT: pl.Series(np.arange(10_001) * 1_000_000).cast(pl.Datetime("us"))})
    batch = Batch(frame=frame)
    reads = replace(known(), schema=replace(LOGGED, fields=()))
    with pytest.raises(BadUsage) as refusal:
        gather([batch], Cut(every=timedelta(seconds=1), clock=AT), reads, labels=NO_LABELS)
    assert str(refusal.value) == (
        "every: found more than 10,000 windows of 0:00:01; expected at most 10,000. "
        "Choose longer windows, or a later start with since."
    )


def test_times_say_their_zone() -> None:
    assert iso(START, Cut(every=1, clock="scheduled")) == "2013-12-02T00:00:00"
    assert iso(START, Cut(every=1, clock=AT)) == "2013-12-02T00:00:00+00:00"
