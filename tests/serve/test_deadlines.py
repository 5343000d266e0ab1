"""Whose deadline a request has: its own, a person's, or its release's by the objective."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serve.clients import ROW, post, predict
from tests.serve.test_app import Bench
from tests.serve.test_engine import latency, with_latency
from tests.support.releases import sample_release
from torchyard.core.errors import BadRecord
from torchyard.records.verdicts import Objective
from torchyard.release import Contents, Release
from torchyard.release.layout import OBJECTIVE
from torchyard.serve.admission.cost import BatchCost
from torchyard.serve.admission.deadlines import (
    LONGEST_DEFAULT_MS,
    SHORTEST_DEFAULT_MS,
    TIMES_OBJECTIVE,
    default_deadline,
)
from torchyard.serve.engine import Engine, open_engine

LONGEST_S = LONGEST_DEFAULT_MS / 1000


def judged_by(folder: Path, objective: Objective | None) -> Release:
    """A release whose rows take 1/64 ms each, alone and in batches."""
    seen = with_latency(latency(b1=1 / 64, b128=2.0))

    def change(contents: Contents) -> Contents:
        return replace(seen(contents), objective=objective)  # type: ignore[no-any-return]

    return sample_release(folder, change=change)


@pytest.fixture(scope="module", name="quick")
def _quick(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Its requests have two seconds by its objective."""
    folder = tmp_path_factory.mktemp("quick")
    return open_engine(judged_by(folder, Objective(p99_ms=200)), max_rows=5000)


@given(
    p99_ms=st.floats(0.001, 1e6),
    row_s=st.floats(0, 10),
    rows=st.integers(1, 10_000),
)
@settings(deadline=None, max_examples=100)
def test_an_objective_gives_more_than_itself_and_never_more_than_the_default(
    p99_ms: float, row_s: float, rows: int
) -> None:
    measured = [(1, 0.001 + row_s), (2, 0.001 + 2 * row_s)]
    found = default_deadline(Objective(p99_ms=p99_ms), measured, set_ms=None)
    least_s = min(max(TIMES_OBJECTIVE * p99_ms, SHORTEST_DEFAULT_MS) / 1000, LONGEST_S)
    assert found.of(1) == pytest.approx(least_s)
    assert found.of(1) <= found.of(rows) <= found.of(rows + 1) <= LONGEST_S


@pytest.mark.parametrize("objective", [None, Objective(), Objective(max_size_mb=3)])
def test_without_a_bound_on_latency_it_is_the_default(objective: Objective | None) -> None:
    found = default_deadline(objective, [(1, 0.5)], set_ms=None)
    assert [found.of(rows) for rows in (1, 10_000)] == [LONGEST_S, LONGEST_S]


def test_what_a_person_set_holds_for_every_request() -> None:
    for objective in (None, Objective(p99_ms=2)):
        found = default_deadline(objective, [(1, 0.5)], set_ms=60_000)
        assert [found.of(rows) for rows in (1, 10_000)] == [60.0, 60.0]


def statuses(
    folder: Path, engine: Engine, requests: bytes, *, batch: tuple[float, float], **set_: Any
) -> list[int]:
    """What becomes of requests that come at once, if a batch takes so long: fixed, and per row."""

    async def ask() -> list[int]:
        bench = Bench(folder, engine, **set_)
        batcher: Any = bench.app._batchers[engine.release]
        fixed_s, row_s = batch
        batcher._cost = BatchCost([(1, fixed_s + row_s), (129, fixed_s + 129 * row_s)])
        bench.send(requests)
        found = await bench.answers(requests.count(b"POST "))
        return [status for status, _, _ in found]

    return asyncio.run(ask())


def test_the_objective_decides_who_can_be_in_time(tmp_path: Path, quick: Engine) -> None:
    """Two seconds, of which four fifths are promised: three rows of half a second each fit."""
    found = statuses(tmp_path, quick, post(predict(1)) * 5, batch=(0.0, 0.5))
    assert found == [200, 200, 200, 503, 503]


def test_a_release_without_one_has_the_default(tmp_path: Path, engine: Engine) -> None:
    assert engine.objective is None
    found = statuses(tmp_path, engine, post(predict(1)) * 5, batch=(0.0, 0.5))
    assert found == [200] * 5


def test_the_setting_wins_over_the_objective(tmp_path: Path, quick: Engine) -> None:
    asked = post(predict(1)) * 5
    for deadline_ms, answered in ((10_000, 5), (1000, 1), (None, 3)):
        found = statuses(tmp_path, quick, asked, batch=(0.0, 0.5), deadline_ms=deadline_ms)
        assert found == [200] * answered + [503] * (5 - answered)


def test_the_header_wins_over_both(tmp_path: Path, quick: Engine) -> None:
    for deadline_ms in (100, None):
        asked = post(predict(1), "X-Deadline-Ms: 9000") * 5
        found = statuses(tmp_path, quick, asked, batch=(0.0, 0.5), deadline_ms=deadline_ms)
        assert found == [200] * 5
    asked = post(predict(1), "X-Deadline-Ms: 1300") * 5
    assert statuses(tmp_path, quick, asked, batch=(0.0, 0.5)) == [200, 200, 503, 503, 503]


@pytest.mark.parametrize(("deadline_ms", "told"), [(None, 2000), (750, 750)])
def test_a_model_tells_its_deadline(
    deadline_ms: int | None, told: int, tmp_path: Path, quick: Engine
) -> None:
    async def ask() -> Any:
        bench = Bench(tmp_path, quick, deadline_ms=deadline_ms)
        bench.send(b"GET /v1/models/demo HTTP/1.1\r\nHost: x\r\n\r\n")
        ((_, _, found),) = await bench.answers(1)
        return found

    found = asyncio.run(ask())
    assert (found["device"], found["deadline_ms"]) == ("cpu", told)


def test_many_rows_have_longer_by_what_they_were_measured_to_take(tmp_path: Path) -> None:
    """A hundred rows more have ten times their 1.6 ms: with the first 116 ms, four fifths 92 ms."""
    engine = open_engine(judged_by(tmp_path, Objective(p99_ms=1)), max_rows=5000)
    many = json.dumps({"rows": [{**ROW, "distance": 1}] * 101}).encode()
    asked = post(predict(1)) + post(many)
    assert statuses(tmp_path, engine, asked, batch=(0.09, 1e-6)) == [200, 200]
    assert statuses(tmp_path, engine, asked, batch=(0.095, 1e-6)) == [200, 503]
    assert statuses(tmp_path, engine, post(predict(1)) * 2, batch=(0.09, 1e-6)) == [200, 503]


def test_before_rows_are_decoded_as_many_count_as_the_body_may_hold(quick: Engine) -> None:
    for rows in (1, 7, 500):
        body = json.dumps({"rows": [{**ROW, "distance": 1}] * rows}).encode()
        assert rows <= quick.rows_in(len(body)) < 8 * rows + 8


def test_the_objective_is_sealed_with_the_release(tmp_path: Path, release: Release) -> None:
    assert release.objective is None
    assert not (release.folder / OBJECTIVE).exists()
    asked = Objective(p99_ms=25, max_size_mb=4)
    other = judged_by(tmp_path, asked)
    assert other.objective == asked
    assert other.id != release.id
    assert OBJECTIVE in {entry.path for entry in other.manifest.files}


def test_an_objective_that_is_none_is_refused(tmp_path: Path) -> None:
    release = judged_by(tmp_path, Objective(p99_ms=25))
    path = release.folder / OBJECTIVE
    path.write_text(path.read_text().replace("p99_ms", "p98_ms"))
    with pytest.raises(BadRecord, match="unknown field 'p98_ms'"):
        _ = release.objective
