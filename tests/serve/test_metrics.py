"""Counting: sums over workers are right, and a restart does not lower a counter."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from torchyard.serve.telemetry.exposition import render
from torchyard.serve.telemetry.families import FAMILIES
from torchyard.serve.telemetry.gauges import show_process, show_queues
from torchyard.serve.telemetry.metrics import (
    Metrics,
    Series,
    Snapshot,
    add_up,
    read_snapshot,
    snapshot_path,
    write_snapshot,
)


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    families = text_string_to_metric_families(render(metrics).decode())
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def busy(requests: int) -> Metrics:
    metrics = Metrics()
    for number in range(requests):
        metrics.observe("request_seconds", ("demo", "/predict", "200"), 0.001 * (number + 1))
        metrics.observe("batch_rows", ("demo",), 2)
    metrics.serving([("demo", "sha256:aa", "onnx-fp32")])
    metrics.set("queue_oldest_seconds", ("demo",), float(requests))
    metrics.fold()
    return metrics


def test_what_was_counted_is_rendered() -> None:
    found = samples(busy(3))

    assert found["torchyard_requests_total", ("200", "demo", "/predict")] == 3
    assert found["torchyard_request_seconds_count", ("200", "demo", "/predict")] == 3
    seconds = found["torchyard_request_seconds_sum", ("200", "demo", "/predict")]
    assert abs(seconds - 0.006) < 1e-12
    assert found["torchyard_rows_total", ("demo",)] == 6
    assert found["torchyard_release_workers", ("demo", "sha256:aa", "onnx-fp32")] == 1
    assert [value for (name, _), value in found.items() if name == "torchyard_build_info"] == [1]


def test_buckets_are_cumulative_and_bounds_inclusive() -> None:
    metrics = Metrics()
    for rows in (1, 2, 3, 64, 20_000):
        metrics.observe("batch_rows", ("demo",), rows)
    found = {
        labels: value for (name, labels), value in samples(metrics).items() if "bucket" in name
    }

    wanted = {"1.0": 1, "2.0": 2, "4.0": 3, "32.0": 3, "64.0": 4, "10000.0": 4, "+Inf": 5}
    bounds = {bound: found[key] for bound in wanted for key in found if bound in key}
    assert bounds == wanted


def test_workers_are_added_up(tmp_path: Path) -> None:
    for worker in (1, 2):
        write_snapshot(snapshot_path(tmp_path, worker), busy(10 * worker).snapshot())
    total = samples(add_up(busy(1), tmp_path, worker=0, workers=4))

    assert total["torchyard_requests_total", ("200", "demo", "/predict")] == 31
    assert total["torchyard_request_seconds_count", ("200", "demo", "/predict")] == 31
    assert total["torchyard_release_workers", ("demo", "sha256:aa", "onnx-fp32")] == 3
    assert total["torchyard_queue_oldest_seconds", ("demo",)] == 20


def test_a_restarted_worker_goes_on_counting(tmp_path: Path) -> None:
    path = snapshot_path(tmp_path, 0)
    write_snapshot(path, busy(5).snapshot())
    restarted = Metrics()
    restarted.resume(read_snapshot(path))
    restarted.observe("request_seconds", ("demo", "/predict", "200"), 0.5)
    found = samples(restarted)

    assert found["torchyard_requests_total", ("200", "demo", "/predict")] == 6
    assert not any(name == "torchyard_release_workers" for name, _ in found)


def test_an_absent_or_damaged_snapshot_counts_nothing(tmp_path: Path) -> None:
    assert read_snapshot(tmp_path / "none.json") == Snapshot()
    (tmp_path / "cut.json").write_text('{"counters": {"refusals"')
    assert read_snapshot(tmp_path / "cut.json") == Snapshot()
    (tmp_path / "old.json").write_text('{"counters": {"of_another_version": []}}')
    assert read_snapshot(tmp_path / "old.json") == Snapshot()
    old = '{"histograms": {"batch_rows": [[["demo"], {"counts": [1, 2], "total": 3}]]}}'
    (tmp_path / "old.json").write_text(old)
    assert read_snapshot(tmp_path / "old.json") == Snapshot()


def test_a_snapshot_is_a_copy() -> None:
    metrics = busy(1)
    taken = metrics.snapshot()
    metrics.observe("request_seconds", ("demo", "/predict", "200"), 1.0)
    metrics.fold()

    assert sum(taken.histograms["request_seconds"][0][1].counts) == 1


@given(st.lists(st.floats(0, 20) | st.sampled_from(FAMILIES["stage_seconds"].bounds), max_size=200))
@settings(deadline=None, max_examples=50)
def test_many_values_at_once_fall_into_the_buckets_that_each_would(values: list[float]) -> None:
    bounds = FAMILIES["stage_seconds"].bounds
    series = Series(bounds)
    series.pending += values
    series.fold()
    wanted = [0] * (len(bounds) + 1)
    for value in values:
        wanted[bisect_left(bounds, value)] += 1
    assert series.seen.counts == wanted
    assert series.seen.total == pytest.approx(sum(values))
    assert series.pending == []


@pytest.mark.parametrize("name", FAMILIES)
def test_names_and_labels_follow_prometheus_conventions(name: str) -> None:
    family = FAMILIES[name]
    assert name == name.lower()
    assert family.text.endswith(".")
    assert not name.endswith(("_total", "_count", "_sum", "_bucket"))
    assert list(family.bounds) == sorted(set(family.bounds))
    assert bool(family.bounds) == (family.kind == "histogram")
    assert "le" not in family.labels


@dataclass
class Line:
    waiting_rows: int
    oldest_at: float | None
    busy_lanes: int = 0


def test_queues_of_several_releases_of_a_model_are_one() -> None:
    metrics = Metrics()
    show_queues(metrics, [("a", Line(3, 5.0, 1)), ("a", Line(4, 7.0, 1)), ("b", Line(0, None))], 10)
    assert metrics.gauges["queue_rows"] == {("a",): 7, ("b",): 0}
    assert metrics.gauges["queue_oldest_seconds"] == {("a",): 5, ("b",): 0}
    assert metrics.gauges["busy_lanes"] == {("a",): 2, ("b",): 0}
    show_queues(metrics, [], 11)
    assert metrics.gauges["queue_rows"] == {}


def test_a_process_shows_what_it_holds() -> None:
    metrics = Metrics()
    show_process(metrics, 3)
    assert metrics.gauges["worker_resident_memory_bytes"]["3",] > 1 << 20
    assert metrics.gauges["worker_open_fds"]["3",] >= 3


def test_one_value_many_times_counts_as_often() -> None:
    bounds = FAMILIES["stage_seconds"].bounds
    at_once, one_by_one = Series(bounds), Series(bounds)

    at_once.add(0.002, 7)
    one_by_one.pending += [0.002] * 7
    one_by_one.fold()

    assert at_once.seen.counts == one_by_one.seen.counts
    assert at_once.seen.total == pytest.approx(one_by_one.seen.total)


def test_histograms_take_turns_to_be_sorted_and_none_is_left_out() -> None:
    metrics = Metrics()
    busy_ones = [metrics.series("request_seconds", (name, "/predict", "200")) for name in "abc"]
    idle = metrics.series("batch_rows", ("demo",))
    idle.pending.append(1.0)
    for one in busy_ones:
        one.pending += [0.001] * 600

    sorted_after = []
    for _ in busy_ones:
        metrics.fold_some()
        sorted_after.append(sum(not one.pending for one in busy_ones))

    assert sorted_after == [1, 2, 3]
    assert idle.pending == [1.0]  # too few to be worth it; ``fold`` sees to them
