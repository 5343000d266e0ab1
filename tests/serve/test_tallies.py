"""Tallies: what a batch adds, whatever became of its requests, and how workers' are added up."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serve.calling import Asked
from torchyard.serve.engine import Scores
from torchyard.serve.running import Ran, Waiting
from torchyard.serve.telemetry.metrics import (
    Metrics,
    add_up_tallies,
    read_snapshot,
    snapshot_path,
    write_snapshot,
)
from torchyard.serve.telemetry.tallies import MOST_SIZES, Tally

FAULT = RuntimeError("no answer")


def waiting(rows: int, *, arrived: float = 1.0, queued: float = 2.0) -> Waiting:
    return Waiting(Asked(arrived=arrived), [{}] * rows, 10, 99.0, lambda _: None, queued, 99.0)


def count(tally: Tally, *rows: int, failed: frozenset[int] = frozenset()) -> None:
    """Count a batch of requests as its watch does, that of some places without an answer."""
    batch = [waiting(size) for size in rows]
    answers: list[Scores | Exception] = [
        FAULT if place in failed else [[0.5]] * size for place, size in enumerate(rows)
    ]
    ran = Ran(answers, began=4.0, seconds=0.5)
    for _ in failed:
        tally.fail(4.0, in_batch=True)
    if tally.is_torn:
        tally.count_torn(batch, ran, 4.75, 5.0)
    else:
        tally.count(sum(rows), len(rows), 1.0 * len(rows), 2.0 * len(rows), ran, 4.75, 5.0)


def test_a_batch_counts_once_and_its_requests_each() -> None:
    tally = Tally()
    count(tally, 1, 2)
    seen = tally.sizes[3]
    assert (seen.batches, seen.requests, seen.rows) == (1, 2, 3)
    assert (seen.decode_s, seen.queue_s) == (2.0, 4.0)
    assert (seen.model_s, seen.batch_model_s, seen.encode_s) == (1.0, 0.5, 0.25)
    assert seen.answer_s == 2 * 4.0  # both from 1 to 5
    assert tally.total == seen
    assert (tally.failed, tally.failed_s) == (0, 0.0)


def test_of_a_batch_in_part_what_was_answered_counts() -> None:
    tally = Tally()
    count(tally, 1, 2, 4, failed=frozenset({1}))
    seen = tally.sizes[7]
    assert (seen.batches, seen.requests, seen.rows) == (1, 2, 5)
    assert (seen.decode_s, seen.queue_s, seen.model_s) == (2.0, 4.0, 1.0)
    assert (tally.failed, tally.failed_s, tally.is_torn) == (1, 4.0, False)


def test_a_batch_that_answers_nobody_is_no_execution() -> None:
    tally = Tally()
    count(tally, 3, failed=frozenset({0}))
    assert tally.total.batches == 0
    assert tally.failed == 1
    count(tally, 3)
    assert tally.total.batches == 1


def test_who_waited_too_long_tears_no_batch() -> None:
    tally = Tally()
    tally.fail(2.0, in_batch=False)
    assert (tally.failed, tally.failed_s, tally.is_torn) == (1, 2.0, False)


def test_sizes_are_bounded_and_the_totals_whole() -> None:
    tally = Tally()
    for rows in range(1, MOST_SIZES + 11):
        count(tally, rows)
    assert len(tally.sizes) == MOST_SIZES
    assert tally.others.batches == 10
    assert tally.total.batches == MOST_SIZES + 10
    assert tally.total.rows == sum(range(1, MOST_SIZES + 11))
    count(tally, MOST_SIZES + 5, 1, failed=frozenset({0}))
    assert tally.others.rows == sum(range(MOST_SIZES + 1, MOST_SIZES + 11)) + 1


def test_what_was_taken_stays_as_it_was() -> None:
    tally = Tally()
    count(tally, 2)
    taken = tally.taken()
    count(tally, 2)
    assert (taken.total.batches, tally.total.batches) == (1, 2)


def test_a_worker_that_is_started_again_goes_on_counting(tmp_path: Path) -> None:
    metrics = Metrics()
    count(metrics.tally(("demo", "sha256:aa")), 2)
    write_snapshot(snapshot_path(tmp_path, 0), metrics.snapshot())
    restarted = Metrics()
    restarted.resume(read_snapshot(snapshot_path(tmp_path, 0)))
    count(restarted.tally(("demo", "sha256:aa")), 2)
    assert restarted.tallies["demo", "sha256:aa"].total.batches == 2
    own = restarted.snapshot().tallies
    total = add_up_tallies(own, tmp_path, worker=1, workers=2)
    assert total["demo", "sha256:aa"].sizes[2].batches == 3


BATCHES = st.lists(
    st.tuples(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.booleans()), max_size=12
)


@given(st.lists(BATCHES, max_size=3))
@settings(deadline=None, max_examples=50)
def test_workers_added_up_have_counted_what_one_would(
    workers: list[list[tuple[list[int], bool]]],
) -> None:
    alone, total = Tally(), Tally()
    for number, batches in enumerate(workers):
        own = Tally(last_at=float(number))
        for rows, is_torn in batches:
            failed = frozenset({0}) if is_torn else frozenset[int]()
            count(own, *rows, failed=failed)
            count(alone, *rows, failed=failed)
        written = msgspec.json.encode(own.taken())  # as it goes from worker to worker
        total.add(msgspec.json.decode(written, type=Tally))
    assert total.sizes.keys() == alone.sizes.keys()
    assert (total.total.batches, total.total.rows) == (alone.total.batches, alone.total.rows)
    assert total.total.answer_s == pytest.approx(alone.total.answer_s)
    assert total.failed == alone.failed
    assert total.failed_s == pytest.approx(alone.failed_s)
    assert total.last_at == max([0, len(workers) - 1])
