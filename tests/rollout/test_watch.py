"""Waiting for workers: against files as a server writes them, with a clock that the test turns."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from torchyard.core.errors import BadRecord, NotReady
from torchyard.core.record import write_record
from torchyard.records.live import ServerState, WorkerState
from torchyard.rollout import wait_until_followed


def dead_pid() -> int:
    """The number of a process that has ended and was waited for."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def server(folder: Path, *, workers: int, pid: int | None = None) -> None:
    state = ServerState(pid=pid or os.getpid(), host="127.0.0.1", port=8080, workers=workers)
    write_record(folder / "server.json", state)


def worker(
    folder: Path, number: int, *, at: int, problem: str | None = None, pid: int | None = None
) -> WorkerState:
    state = WorkerState(
        worker=number, pid=pid or os.getpid(), ready=True, applied_event=at, releases=(),
        problem=problem,
    )  # fmt: skip
    write_record(folder / f"worker-{number}.json", state)
    return state


class Clock:
    """Seconds that pass only in ``sleep``, where things may happen."""

    def __init__(self, *happenings: Callable[[], object]) -> None:
        self.now = 0.0
        self.happenings = list(happenings)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.happenings:
            self.happenings.pop(0)()

    def wait(self, folder: Path, event: int) -> tuple[WorkerState, ...]:
        return wait_until_followed(
            folder, event=event, timeout_s=1.0, clock=lambda: self.now, sleep=self.sleep
        )


def test_workers_that_follow_already_are_returned_in_order_at_once(tmp_path: Path) -> None:
    server(tmp_path, workers=2)
    expected = (worker(tmp_path, 2, at=7), worker(tmp_path, 10, at=8))
    clock = Clock()
    assert clock.wait(tmp_path, 7) == expected
    assert clock.now == 0


def test_waits_for_the_slowest(tmp_path: Path) -> None:
    server(tmp_path, workers=2)
    worker(tmp_path, 0, at=1)
    clock = Clock(lambda: worker(tmp_path, 0, at=2), lambda: worker(tmp_path, 1, at=2))
    assert [one.applied_event for one in clock.wait(tmp_path, 2)] == [2, 2]
    assert clock.now == pytest.approx(0.1)


def test_no_server_means_no_workers(tmp_path: Path) -> None:
    assert Clock().wait(tmp_path / "nowhere", 1) == ()
    worker(tmp_path, 0, at=0)
    assert Clock().wait(tmp_path, 1) == ()


def test_a_server_file_left_behind_by_a_dead_process_means_no_workers(tmp_path: Path) -> None:
    server(tmp_path, workers=1, pid=dead_pid())
    worker(tmp_path, 0, at=0)
    assert Clock().wait(tmp_path, 1) == ()


def test_a_server_that_stops_meanwhile_means_no_workers(tmp_path: Path) -> None:
    server(tmp_path, workers=1)
    worker(tmp_path, 0, at=0)
    clock = Clock((tmp_path / "server.json").unlink)
    assert clock.wait(tmp_path, 1) == ()


def test_a_worker_that_cannot_follow_is_told_with_its_problem(tmp_path: Path) -> None:
    server(tmp_path, workers=3)
    worker(tmp_path, 0, at=5)
    worker(tmp_path, 1, at=4, problem="golden request 2 differs")
    worker(tmp_path, 2, at=3)
    clock = Clock()
    with pytest.raises(NotReady) as caught:
        clock.wait(tmp_path, 5)
    assert str(caught.value) == (
        "server at 127.0.0.1:8080: found worker 1 at event 4: golden request 2 differs; worker 2 "
        "at event 3: no problem told; expected every worker to follow event 5 within 1 s. It goes "
        "on serving what it served. Solve the problem, or roll back."
    )
    assert clock.now == pytest.approx(1.0, abs=0.06)


def test_a_worker_that_died_is_missed(tmp_path: Path) -> None:
    server(tmp_path, workers=2)
    worker(tmp_path, 0, at=5)
    worker(tmp_path, 1, at=5, pid=dead_pid())
    with pytest.raises(NotReady, match="found 1 of 2 workers not running"):
        Clock().wait(tmp_path, 5)


def test_other_files_are_not_workers(tmp_path: Path) -> None:
    server(tmp_path, workers=1)
    (tmp_path / ".worker-0.json.part").write_text("{")
    (tmp_path / "worker-0.json.bak").write_text("{")
    only = worker(tmp_path, 0, at=1)
    assert Clock().wait(tmp_path, 1) == (only,)


@pytest.mark.parametrize("name", ["server.json", "worker-0.json"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    server(tmp_path, workers=1)
    worker(tmp_path, 0, at=1)
    (tmp_path / name).write_text("{")
    with pytest.raises(BadRecord, match=rf"{name}: found .*expected a \w+ record as JSON"):
        Clock().wait(tmp_path, 1)
