"""Logs as they are found: several writers, cut-off lines, strangers' lines."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.monitor.traffic import LOGGED, TASK, draw, label_line, lines_of, scores, write
from torchyard.monitor.log import (
    AT,
    ID,
    LABEL,
    LONGEST_LINE_BYTES,
    RELEASE,
    SCORES,
    Batch,
    read_labels,
    read_predictions,
    segments,
)

RANDOM = 11


def read_all(folder: Path) -> Batch:
    batches = list(read_predictions(folder, LOGGED, TASK))
    return Batch(
        frame=pl.concat([batch.frame for batch in batches]),
        unreadable=sum(batch.unreadable for batch in batches),
        truncated=sum(batch.truncated for batch in batches),
    )


def test_a_row_comes_back_as_it_was_logged(tmp_path: Path) -> None:
    frame = draw(300, np.random.default_rng(RANDOM))
    read = read_all(write(tmp_path, {"0-1-0": lines_of(frame)})).frame
    assert_frame_equal(
        read.select(LOGGED.names).with_columns(pl.col("stops").cast(pl.Int64)),
        frame.select(LOGGED.names),
    )
    assert read[ID].to_list() == [f"r{number}" for number in range(300)]
    assert (read[SCORES].to_numpy() == scores(frame)).all()
    assert read[AT][1] == datetime(2023, 11, 14, 22, 13, 21)
    assert read[RELEASE].n_unique() == 1
    assert read["wind_speed"].null_count() > 0


def test_segments_are_ordered_by_number_within_a_worker(tmp_path: Path) -> None:
    names = ["0-100-10", "0-100-9", "0-99-11", "1-100-0"]
    write(tmp_path, {name: [] for name in names})
    (tmp_path / "notes.txt").write_text("not a segment")
    found = {worker: [path.stem for path in paths] for worker, paths in segments(tmp_path).items()}
    assert found == {"0": ["0-99-11", "0-100-9", "0-100-10"], "1": ["1-100-0"]}


@pytest.mark.parametrize("batch_rows", [1, 3, 50, 1000])
def test_workers_are_merged_in_the_order_of_answering(tmp_path: Path, batch_rows: int) -> None:
    frame = draw(120, np.random.default_rng(RANDOM))
    lines = lines_of(frame)
    slow = [line for number, line in enumerate(lines) if number % 3 == 0]
    fast = [line for number, line in enumerate(lines) if number % 3]
    write(tmp_path, {"0-1-0": slow[:25], "0-1-1": slow[25:], "1-1-0": fast, "2-1-0": ["?"] * 7})
    batches = list(read_predictions(tmp_path, LOGGED, TASK, batch_rows=batch_rows))
    read = pl.concat([batch.frame for batch in batches])
    assert read[ID].to_list() == [f"r{number}" for number in range(120)]
    assert sum(batch.unreadable for batch in batches) == 7


def test_no_more_than_a_batch_per_worker_is_read_ahead(tmp_path: Path) -> None:
    lines = lines_of(draw(400, np.random.default_rng(RANDOM)))
    write(tmp_path, {f"0-1-{part}": lines[100 * part :][:100] for part in range(4)})
    batches = read_predictions(tmp_path, LOGGED, TASK, batch_rows=50)
    first = next(batches)
    for part in (1, 2, 3):  # not opened yet: what they say now is what is read later
        write(tmp_path, {f"0-1-{part}": ["{}"] * 10})
    rest = list(batches)
    assert first.frame.height == 50
    assert sum(batch.frame.height for batch in rest) == 50
    assert sum(batch.unreadable for batch in rest) == 30
    assert max(batch.frame.height for batch in rest) <= 50


GOOD = lines_of(draw(1, np.random.default_rng(RANDOM)))[0]


def changed(**values: object) -> str:
    return json.dumps({**json.loads(GOOD), **values})


HOSTILE = {
    "empty": "",
    "not JSON": "}{",
    "not an object": "[1, 2]",
    "no id": json.dumps({key: value for key, value in json.loads(GOOD).items() if key != "id"}),
    "id is a number": changed(id=7),
    "time is text": changed(at="now"),
    "time after the last year": changed(at=1e300),
    "time before the first": changed(at=-1),
    "a score above one": changed(scores=[0.5, 1.5]),
    "scores that are no row of probabilities": changed(scores=[0.5, 0.6]),
    "one score": changed(scores=[1.0]),
    "three scores": changed(scores=[0.2, 0.3, 0.5]),
    "not a number": GOOD.replace('"scores": [', '"scores": [NaN, '),
    "row is a list": changed(row=[1]),
    "text for a number": changed(row={"wind_speed": "12"}),
    "a zone": changed(row={"scheduled": "2013-01-01T00:00:00Z"}),
    "deep": "[" * 200_000,
    "deep in an unknown key": changed(x=0).replace('"x": 0', '"x": ' + "[" * 200_000),
    "half a surrogate": changed(id="\ud800"),
    "longer than any row": changed(id="x" * 3 * LONGEST_LINE_BYTES),
    "exactly as long as is read": changed(id="x" * (LONGEST_LINE_BYTES - len(changed(id="")))),
    "one byte longer": changed(id="x" * (LONGEST_LINE_BYTES - len(changed(id="")) + 1)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_line_is_counted_and_the_next_one_read(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"0-1-0": [GOOD, HOSTILE[name], GOOD]})
    batch = read_all(tmp_path)
    assert (batch.unreadable, batch.truncated, batch.frame.height) == (1, 0, 2)


def test_bytes_that_are_not_text_are_counted(tmp_path: Path) -> None:
    (tmp_path / "0-1-0.jsonl").write_bytes(
        GOOD.encode().replace(b'"r0"', b'"\xff\xfe"') + b"\n" + bytes(range(128, 256)) + b"\n"
    )
    batch = read_all(tmp_path)
    assert (batch.unreadable, batch.frame.height) == (2, 0)


@pytest.mark.parametrize("rest", [GOOD, GOOD[:40], "x" * (LONGEST_LINE_BYTES + 5)])
def test_a_last_line_without_newline_is_skipped(tmp_path: Path, rest: str) -> None:
    (tmp_path / "0-1-0.jsonl").write_text(GOOD + "\n" + rest)
    batch = read_all(tmp_path)
    assert (batch.frame.height, batch.unreadable, batch.truncated) == (1, 0, 1)


def test_unknown_fields_and_absent_ones_are_no_fault(tmp_path: Path) -> None:
    write(tmp_path, {"0-1-0": [changed(row={"later": 1, "wind_speed": None}, more="?")]})
    batch = read_all(tmp_path)
    assert batch.frame.select(LOGGED.names).row(0) == (None,) * 5


def test_the_last_label_given_wins_whoever_wrote_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "0-1-0": [label_line("a", True, 10), label_line("b", True, 10), "junk"],
            "1-1-0": [label_line("a", False, 20), label_line("c", "yes", 20)],
            "2-1-0": [label_line("a", True, 15), label_line("b", True, 10)],
        },
    )
    frame, unreadable = read_labels(tmp_path, TASK)
    assert dict(frame.select(ID, LABEL).sort(ID).iter_rows()) == {"a": False, "b": True}
    assert unreadable == 2


def test_no_labels_are_an_empty_frame(tmp_path: Path) -> None:
    frame, unreadable = read_labels(tmp_path / "nowhere", TASK)
    assert frame.schema == pl.Schema({ID: pl.String(), LABEL: pl.Boolean()})
    assert (frame.height, unreadable) == (0, 0)
