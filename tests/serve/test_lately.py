"""How a server does just now: rates and quantiles from what workers left on file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.serve.telemetry.families import FAMILIES
from torchyard.serve.telemetry.lately import WINDOW_S, Recent, quantile
from torchyard.serve.telemetry.metrics import Metrics, snapshot_path, write_snapshot

BOUNDS = FAMILIES["request_seconds"].bounds


class Worker:
    def __init__(self, state: Path, number: int) -> None:
        self.path, self.metrics = snapshot_path(state, number), Metrics()
        self.number = number

    def answer(self, count: int, seconds: float, model: str = "demo", code: str = "200") -> None:
        for _ in range(count):
            self.metrics.observe("request_seconds", (model, "/predict", code), seconds)
        self.metrics.fold()
        write_snapshot(self.path, self.metrics.snapshot())


def test_the_last_seconds_count_and_what_was_before_does_not(tmp_path: Path) -> None:
    one, two = Worker(tmp_path, 0), Worker(tmp_path, 1)
    recent = Recent(tmp_path, 2)
    one.answer(1000, 4.0)
    first = recent.look(100.0)
    assert (first.all.requests_s, first.answered) == (0.0, 1000)
    one.answer(30, 0.0009)
    two.answer(70, 0.0009)
    second = recent.look(102.0)
    assert second.all.requests_s == 50
    assert second.answered == 1100
    assert second.all.p50_ms == pytest.approx(0.75)
    assert second.all.p99_ms == pytest.approx(0.995)
    for later in range(1, 8):
        quiet = recent.look(102.0 + later)
    assert quiet.all.requests_s == 0.0
    assert quiet.all.p99_ms is None
    assert WINDOW_S < 7


def test_models_stand_apart_and_health_checks_count_for_none(tmp_path: Path) -> None:
    worker, recent = Worker(tmp_path, 0), Recent(tmp_path, 1)
    recent.look(0.0)
    worker.answer(10, 0.1, model="a")
    worker.answer(20, 0.1, model="b", code="422")
    worker.answer(500, 0.1, model="")
    found = recent.look(1.0)
    assert {name: traffic.requests_s for name, traffic in found.models.items()} == {
        "a": 10,
        "b": 20,
    }
    assert found.all.requests_s == 30


def test_what_was_counted_is_summed_up(tmp_path: Path) -> None:
    worker = Worker(tmp_path, 1)
    metrics = worker.metrics
    metrics.count("refusals", ("demo", "bad_data"), 5)
    metrics.count("refusals", ("", "bad_http"), 7)
    metrics.count("refusals", ("demo", "internal"), 2)
    metrics.count("abstentions", ("demo", "unsure"), 3)
    metrics.count("worker_restarts", ("1",), 4)
    metrics.serving([("demo", "sha256:aa", "onnx-int8")])
    metrics.set("queue_rows", ("demo",), 9)
    metrics.set("worker_resident_memory_bytes", ("1",), 1 << 20)
    worker.answer(1, 0.1)
    found = Recent(tmp_path, 2).look(0.0)
    assert list(found.refusals.items()) == [("bad_http", 7), ("bad_data", 5)]
    assert (found.faults, found.abstentions, found.queue_rows) == (2, 3, 9)
    assert found.served == (("demo", "sha256:aa", "onnx-int8"),)
    assert (found.workers[1].restarts, found.workers[1].memory_bytes) == (4, 1 << 20)
    assert found.workers[0].restarts == 0


def test_a_server_that_has_said_nothing_yet_is_at_rest(tmp_path: Path) -> None:
    found = Recent(tmp_path, 2).look(0.0)
    assert (found.all.requests_s, found.all.p50_ms, found.models) == (0.0, None, {})


@given(
    st.lists(st.floats(0.0001, 9.0), min_size=20, max_size=300), st.sampled_from([0.5, 0.9, 0.99])
)
@settings(deadline=None, max_examples=50)
def test_a_quantile_lies_in_the_bucket_of_the_true_one(values: list[float], share: float) -> None:
    places = np.searchsorted(BOUNDS, values, side="left")
    counts = np.bincount(places, minlength=len(BOUNDS) + 1).tolist()
    found = quantile(share, counts, BOUNDS)
    assert found is not None
    exact = float(np.quantile(values, share, method="inverted_cdf"))
    place = int(np.searchsorted(BOUNDS, exact, side="left"))
    lower = 0.0 if place == 0 else BOUNDS[place - 1]
    assert lower <= found <= BOUNDS[place]


def test_what_is_beyond_the_last_bound_reads_as_it() -> None:
    assert quantile(0.5, [0, 0, 3], [1.0, 2.0]) == 2.0
