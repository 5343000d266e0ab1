"""A real server in a process of its own, over real releases, on a port of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from tests.support.releases import sample_release
from torchyard.core.errors import BadRecord
from torchyard.core.record import read_record
from torchyard.records.live import ServerState, WorkerState
from torchyard.release import ChannelLog, Release

MODEL = "demo"
PATIENCE_S = 20.0

_PROGRAM = """
import msgspec, sys
from torchyard.core.errors import YardError
from torchyard.serve.settings import WorkerStart
from torchyard.serve import supervise

settings = WorkerStart.from_line(sys.stdin.buffer.readline()).settings
try:
    sys.exit(supervise(settings, lambda line: print(line, flush=True)))
except YardError as error:
    print(error, flush=True)
    sys.exit(error.exit_status)
"""


@dataclass
class Place:
    """A folder with releases, channels and everything a server writes."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.folder / "server"

    def seal(self, description: str = "first", **changes: Any) -> Release:
        return sample_release(
            self.folder,
            change=lambda contents: replace(contents, description=description, **changes),
        )

    def post(self, action: Any, release: Release, weight: float = 1.0) -> int:
        """Append a channel event; its number."""
        with ChannelLog(f"sqlite:///{self.folder}/channels.db") as log:
            event = log.append(
                model=MODEL,
                action=action,
                release=release.id,
                weight=weight,
                by="tests",
                reason="a test",
            )
        return event.number

    def workers(self) -> list[WorkerState]:
        states = []
        for path in sorted(self.state.glob("worker-*.json")):
            try:
                states.append(read_record(WorkerState, path))
            except BadRecord:
                continue
        return states

    def follow(self, number: int) -> None:
        """Wait until every worker follows an event."""
        wait_for(
            lambda: (
                len(self.workers()) > 0
                and all(worker.applied_event >= number for worker in self.workers())
            ),
            f"event {number} applied",
        )


@dataclass
class Server:
    """A running server; ``lines`` is what it announced until it was ready."""

    place: Place
    process: subprocess.Popen[str]
    state: ServerState
    lines: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.state.port}"

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.state.port

    def predict(self, rows: list[dict[str, Any]], **more: Any) -> httpx.Response:
        body = {"rows": rows, **more}
        return httpx.post(
            f"{self.url}/v1/models/{MODEL}/predict", json=body, timeout=PATIENCE_S, verify=False
        )

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


def start(place: Place, **settings: Any) -> subprocess.Popen[str]:
    """Start the supervisor; the settings beside the places are as given."""
    import msgspec

    folder = place.folder
    given = {
        "releases": str(folder / "releases"),
        "channels_url": f"sqlite:///{folder}/channels.db",
        "trusted_keys": str(folder / "keys" / "trusted"),
        "predictions": str(folder / "predictions"),
        "labels": str(folder / "labels"),
        "state": str(place.state),
        "project_name": MODEL,
        "port": 0,
        "workers": 1,
        "control_apart": False,
        "poll_s": 0.05,
        **place.settings,
        **settings,
    }
    line = msgspec.json.encode({"worker": 0, "socket": 0, "settings": given}).decode()
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.close()
    process.stdin = None
    return process


@contextmanager
def serving(place: Place, *, until: str = "serving", **settings: Any) -> Iterator[Server]:
    """A server that has announced a line beginning with ``until``."""
    process = start(place, **settings)
    alarm = threading.Timer(2 * PATIENCE_S, process.kill)
    try:
        alarm.start()
        lines = list(_lines_until(process, until))
        alarm.cancel()
        yield Server(place, process, read_record(ServerState, place.state / "server.json"), lines)
    finally:
        alarm.cancel()
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()


def wait_for(is_so: Callable[[], bool], what: str) -> None:
    """Poll until something is so."""
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, f"waited {PATIENCE_S} s for: {what}"
        time.sleep(0.01)


def _lines_until(process: subprocess.Popen[str], beginning: str) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line.rstrip()
        if line.startswith(beginning):
            return
    raise AssertionError(f"the server ended with status {process.wait()} before '{beginning}'")
