"""Several workers: even shares, and no request lost whatever becomes of one of them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve.clients import ROW, RawClient, post, predict
from tests.serve.load import Load
from tests.serve.running import Place, Server, serving, wait_for

ONE_ROW = [{**ROW, "distance": 1000.0}]
REQUEST = post(predict(1000))


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def pids(place: Place) -> dict[int, int]:
    return {worker.worker: worker.pid for worker in place.workers()}


def shares(place: Place, server: Server) -> list[int]:
    """How many clients' connections each worker has, by the kernel's tables."""
    port = f"{server.state.port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {
        f"socket:[{one[9]}]" for one in lines if one[1].endswith(f":{port}") and one[3] == "01"
    }
    counts: Counter[int] = Counter()
    for worker, pid in pids(place).items():
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                counts[worker] += os.readlink(descriptor) in inodes
            except FileNotFoundError:
                continue
    return [counts[worker] for worker in sorted(counts)]


def test_connections_are_shared_evenly_and_stay_so(place: Place) -> None:
    place.post("deploy", place.seal())
    with serving(place, workers=3) as server, ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.address)) for _ in range(30)]
        assert {client.send(REQUEST).read().status for client in clients} == {200}
        found = shares(place, server)
        assert sum(found) == 30
        assert max(found) - min(found) <= 2  # one that asks whether it is ready counts for a moment


@pytest.mark.slow
def test_a_worker_that_is_told_to_leave_loses_nothing_and_is_replaced(place: Place) -> None:
    place.post("deploy", place.seal())
    with serving(place, workers=2) as server:
        before = pids(place)
        load = Load(server, clients=12)

        def leave() -> None:
            os.kill(before[0], signal.SIGTERM)
            wait_for(lambda: pids(place).get(0) not in (None, before[0]), "a new worker 0")
            wait_for(lambda: all(one.ready for one in place.workers()), "all ready")

        asyncio.run(load.during(leave))
        assert load.lost == []
        assert pids(place)[1] == before[1]


@pytest.mark.slow
def test_a_new_worker_gets_nobody_until_it_has_proved_its_release(place: Place) -> None:
    release = place.seal()
    place.post("deploy", release)
    with serving(place, workers=2) as server:
        before = pids(place)
        hidden = release.folder.rename(place.folder / "hidden")
        os.kill(before[0], signal.SIGKILL)
        wait_for(
            lambda: any(one.problem for one in place.workers()), "a worker that cannot open it"
        )
        for _ in range(20):
            assert server.predict(ONE_ROW).status_code == 200
            assert httpx.get(f"{server.url}/health/ready").status_code == 200
        hidden.rename(release.folder)
        wait_for(lambda: all(one.ready for one in place.workers()), "all ready")
        with ExitStack() as stack:
            for _ in range(6):
                stack.enter_context(RawClient(server.address)).send(REQUEST).read()
            assert shares(place, server) == [3, 3]


@pytest.mark.slow
def test_a_worker_that_does_not_move_is_passed_over_and_its_clients_are_not_lost(
    place: Place,
) -> None:
    place.post("deploy", place.seal())
    with serving(place, workers=2) as server, ExitStack() as stack:
        stuck = pids(place)[0]
        os.kill(stuck, signal.SIGSTOP)
        try:
            waiting = [stack.enter_context(RawClient(server.address)) for _ in range(8)]
            for client in waiting:
                client.send(REQUEST)
            time.sleep(0.3)
            for _ in range(10):
                with RawClient(server.address) as client:
                    assert client.send(REQUEST).read().status == 200
        finally:
            os.kill(stuck, signal.SIGCONT)
        assert {client.read().status for client in waiting} == {200}


@pytest.mark.slow
def test_what_a_killed_worker_had_not_taken_is_answered_by_another(place: Place) -> None:
    place.post("deploy", place.seal())
    with serving(place, workers=2) as server, ExitStack() as stack:
        stuck = pids(place)[0]
        os.kill(stuck, signal.SIGSTOP)
        waiting = [stack.enter_context(RawClient(server.address)) for _ in range(8)]
        for client in waiting:
            client.send(REQUEST)
        time.sleep(0.2)
        os.kill(stuck, signal.SIGKILL)
        assert {client.read().status for client in waiting} == {200}


@pytest.mark.slow
def test_a_release_that_answers_otherwise_than_it_was_judged_is_not_served(place: Place) -> None:
    def wrong(contents: Any) -> Any:
        (low, high), *others = contents.golden_answers
        return replace(contents, description="wrong", golden_answers=((high, low), *others))

    from tests.support.releases import sample_release

    place.post("deploy", sample_release(place.folder, change=wrong))
    with serving(place, workers=2, until="worker ") as server:
        wait_for(lambda: sum(bool(one.problem) for one in place.workers()) == 2, "two problems")
        assert httpx.get(f"{server.url}/health/ready").status_code == 503
        assert server.predict(ONE_ROW).json()["error"] == "not_ready"
        assert all("golden request 0 answered" in str(one.problem) for one in place.workers())
