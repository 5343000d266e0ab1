"""What is seen of requests: every answer counted, the unusual ones told, once each."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.serve.calling import Asked
from torchyard.core.errors import BadData, Overloaded
from torchyard.serve.engine import Engine
from torchyard.serve.running import Ran, Waiting
from torchyard.serve.telemetry.lines import Line, Lines
from torchyard.serve.telemetry.metrics import Metrics
from torchyard.serve.telemetry.requests import MOST_A_SECOND, RequestWatch


class Bench:
    def __init__(self, **changes: Any) -> None:
        self.now = 10.0
        self.ids = iter(range(1, 1000))
        self.metrics, self.lines = Metrics(), Lines(worker=0)
        given = {"slow_s": 1.0, "access_share": 0.0, **changes}
        self.watch = RequestWatch(
            metrics=self.metrics,
            lines=self.lines,
            clock=lambda: self.now,
            make_id=lambda: f"made-{next(self.ids)}",
            **given,
        )

    def told(self) -> list[Line]:
        return self.lines.taken()

    def seen(self, name: str, *labels: str) -> tuple[int, float]:
        self.metrics.fold()
        seen = self.metrics.histograms[name][labels].seen
        return sum(seen.counts), round(seen.total, 6)


ROUTE = "/v1/models/{}/predict"


def test_an_ordinary_answer_is_counted_and_not_told() -> None:
    bench = Bench()
    for code in ("200", "200", "202", "OK"):
        bench.watch.answered(Asked(arrived=9.5), code)
    assert bench.told() == []
    assert bench.seen("request_seconds", "demo", ROUTE, "200") == (2, 1.0)


def test_a_slow_answer_is_told_with_the_clients_own_id() -> None:
    bench = Bench()
    bench.watch.answered(Asked(arrived=8.5, headers={b"x-request-id": b"req-17"}), "200")
    (line,) = bench.told()
    assert (line.level, line.event, line.code, line.ms) == ("warning", "slow", "200", 1500)
    assert (line.route, line.model, line.client) == (ROUTE, "demo", "192.0.2.7")
    assert line.request_id == "req-17"


@pytest.mark.parametrize(("deadlines", "late"), [((11.0, 10.0), 0), ((9.9, 11.0, 9.0), 2)])
def test_answers_after_their_deadline_are_counted(
    deadlines: tuple[float, ...], late: int, engine: Engine
) -> None:
    bench = Bench()
    batch = [
        Waiting(Asked(arrived=9.0), [1.0], 5, deadline, lambda _: None, 9.1, deadline)
        for deadline in deadlines
    ]
    bench.watch.batches(engine)(batch, Ran([[[0.5]]] * len(batch), 9.2, 0.1), 9.3)
    assert bench.metrics.counters["late_answers"].get(("demo",), 0) == late


def test_the_access_log_tells_a_share_of_ordinary_answers() -> None:
    everything = Bench(access_share=1.0)
    everything.watch.answered(Asked(arrived=9.0, headers={b"x-request-id": b"a b"}), "200")
    (line,) = everything.told()
    assert (line.level, line.event, line.request_id) == ("info", "answered", "made-1")
    some = Bench(access_share=0.25)
    some.watch._chance = random.Random(7)
    for _ in range(1000):
        some.watch.answered(Asked(arrived=9.0), "200")
    assert 200 < len(some.told()) < 300


def test_a_refusal_is_counted_and_told_once_by_its_code_alone() -> None:
    bench = Bench()
    error = BadData(where="$.rows[0].secret", found="'secret'", expected="a", remedy="b")
    bench.watch.refused(Asked(arrived=9.0), error)
    bench.watch.answered(Asked(arrived=9.0), "422")
    (line,) = bench.told()
    assert (line.event, line.code, line.level) == ("refused", "bad_data", "warning")
    assert "secret" not in str(line)
    assert bench.metrics.counters["refusals"] == {("demo", "bad_data"): 1}


def test_what_was_refused_before_it_was_a_request_is_told_too() -> None:
    bench = Bench()
    bench.watch.answered(Asked(route="unreadable", model=""), "431")
    bench.watch.answered(Asked(), "405")
    assert [line.code for line in bench.told()] == ["bad_http", "method_not_allowed"]
    assert bench.metrics.counters["refusals"] == {
        ("", "bad_http"): 1,
        ("demo", "method_not_allowed"): 1,
    }


def test_a_fault_of_ours_has_an_incident_that_finds_it() -> None:
    bench = Bench()
    incident = bench.watch.failed(Asked(), RuntimeError("secret"))
    (line,) = bench.told()
    assert line.incident == incident
    assert (line.event, line.level, line.text) == ("fault", "error", "RuntimeError")
    assert line.request_id not in ("", incident)


def test_a_batch_shows_what_each_stage_took(engine: Engine) -> None:
    bench = Bench()
    observe = bench.watch.batches(engine)
    batch = [
        Waiting(Asked(arrived=1.0), [{}, {}], 10, 99.0, lambda _: None, queued, 99.0)
        for queued in (2.0, 4.0)
    ]
    bench.now = 9.0
    observe(batch, Ran([[], []], began=5.0, seconds=2.0), 8.0)
    bench.watch.logged(engine, since=8.5, requests=2)
    stages = {
        stage: bench.seen("stage_seconds", "demo", stage)
        for stage in ("decode", "queue", "model", "encode", "log")
    }
    assert stages == {
        "decode": (2, 1.0 + 3.0),
        "queue": (2, 3.0 + 1.0),
        "model": (1, 2.0),
        "encode": (2, 1.0),
        "log": (2, 0.5),
    }
    assert bench.seen("batch_rows", "demo") == (1, 4)


def test_an_overload_is_a_refusal_of_its_own_kind() -> None:
    bench = Bench()
    bench.watch.refused(Asked(), Overloaded(where="w", found="f", expected="e", remedy="r"))
    assert bench.metrics.counters["refusals"] == {("demo", "overloaded"): 1}


@pytest.mark.parametrize("rows", [1, 64])
def test_nothing_that_is_seen_is_kept(rows: int, engine: Engine) -> None:
    bench = Bench()
    observe = bench.watch.batches(engine)
    for _ in range(300):
        call = Asked()
        bench.watch.answered(call, "200")
        waiting = Waiting(call, [{}] * rows, 10, 99.0, lambda _: None, 0.0, 99.0)
        observe([waiting], Ran([[]], 0.0, 0.0), 0.0)
    bench.metrics.fold()
    pending = [
        series.pending for family in bench.metrics.histograms.values() for series in family.values()
    ]
    assert not any(pending)


def test_a_flood_of_refusals_costs_few_lines_and_says_how_many_there_were() -> None:
    bench = Bench()
    for _ in range(MOST_A_SECOND + 50):
        bench.watch.answered(Asked(), "405")
    assert len(bench.told()) == MOST_A_SECOND
    bench.now += 1
    bench.watch.answered(Asked(arrived=bench.now), "405")
    more, last = bench.told()
    assert (more.event, more.text) == ("more", "50 more refused or slow requests")
    assert last.event == "refused"
    assert bench.metrics.counters["refusals"]["demo", "method_not_allowed"] == MOST_A_SECOND + 51
