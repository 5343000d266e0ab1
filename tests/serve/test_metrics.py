"""Counting: sums over workers are right, and a restart does not lower a counter."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from torchyard.serve.telemetry.metrics import (
    Metrics,
    Snapshot,
    add_up,
    read_snapshot,
    render,
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
    metrics.serving([("demo", "sha256:aa")])
    return metrics


def test_what_was_counted_is_rendered() -> None:
    found = samples(busy(3))

    assert found["torchyard_requests_total", ("200", "demo", "/predict")] == 3
    assert found["torchyard_request_seconds_count", ("200", "demo", "/predict")] == 3
    seconds = found["torchyard_request_seconds_sum", ("200", "demo", "/predict")]
    assert abs(seconds - 0.006) < 1e-12
    assert found["torchyard_rows_total", ("demo",)] == 6
    assert found["torchyard_release_workers", ("demo", "sha256:aa")] == 1


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
    assert total["torchyard_release_workers", ("demo", "sha256:aa")] == 3


def test_a_restarted_worker_goes_on_counting(tmp_path: Path) -> None:
    path = snapshot_path(tmp_path, 0)
    write_snapshot(path, busy(5).snapshot())
    restarted = Metrics()
    restarted.add(read_snapshot(path))
    restarted.serving(())
    restarted.observe("request_seconds", ("demo", "/predict", "200"), 0.5)
    found = samples(restarted)

    assert found["torchyard_requests_total", ("200", "demo", "/predict")] == 6
    assert not any(name == "torchyard_release_workers" for name, _ in found)


def test_an_absent_or_damaged_snapshot_counts_nothing(tmp_path: Path) -> None:
    assert read_snapshot(tmp_path / "none.json") == Snapshot()
    (tmp_path / "cut.json").write_text('{"counters": {"rejected"')
    assert read_snapshot(tmp_path / "cut.json") == Snapshot()


def test_a_snapshot_is_a_copy() -> None:
    metrics = busy(1)
    taken = metrics.snapshot()
    metrics.observe("request_seconds", ("demo", "/predict", "200"), 1.0)

    assert sum(taken.histograms["request_seconds"][0][1].counts) == 1
