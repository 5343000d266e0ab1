"""The screen of a running server: what it says on terminals of any size, and what it leaves."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.serve.running import Place, wait_for
from torchyard.cli.server_screen import Event, draw, summary
from torchyard.cli.server_watch import ServerWatch, notable
from torchyard.records.lately import Lately, Traffic, WorkerNumbers
from torchyard.records.live import ModelState, ServerState, WorkerState
from torchyard.yard.watching import View

OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def lately(**changes: object) -> Lately:
    busy = Traffic(requests_s=1234.4, p50_ms=1.26, p99_ms=203.7)
    given: dict[str, object] = {
        "all": busy, "models": {"demo": busy}, "served": (("demo", OLD, "onnx-int8"),),
        "queue_rows": 17, "answered": 45678, "refusals": {"bad_data": 3, "overloaded": 2},
        "faults": 0, "abstentions": 9, "quarantined": 0,
        "workers": {
            0: WorkerNumbers(restarts=0, connections=31, memory_bytes=131 << 20),
            1: WorkerNumbers(restarts=2, connections=0, memory_bytes=0),
        },
        **changes,
    }  # fmt: skip
    return Lately(**given)  # type: ignore[arg-type]


def view(numbers: Lately | None = None, *, workers: int = 2) -> View:
    state = ModelState(
        model="demo", champion=OLD, challenger=NEW, routes={NEW: 0.1, OLD: 0.9}, previous=(),
        last_event=2,
    )  # fmt: skip
    ready = WorkerState(worker=0, pid=1, ready=True, applied_event=2, releases=(OLD,))
    server = ServerState(pid=1, host="127.0.0.1", port=8000, workers=workers)
    return View("shop", server, (ready,), {"demo": state}, numbers or lately())


def drawn(
    shown: View, *events: str, width: int = 100, height: int = 40, seconds: float = 192
) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    said = [Event("12:00:00", text) for text in events]
    console.print(draw(shown, said, seconds=seconds, width=width, height=height))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def words(lines: list[str]) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in lines if line.strip()]


def test_the_screen_says_how_it_is_served() -> None:
    assert words(drawn(view(), "worker 1: killed by SIGSEGV; restarting")) == [
        ["shop", "http://127.0.0.1:8000", "1 of 2 workers ready", "up 3 min 12 s"],
        ["requests/s", "p50", "p99", "queue", "refused", "failed", "abstained"],
        ["1,234", "1.3 ms", "204 ms", "17", "5", "0", "9"],
        ["model", "release", "variant", "share", "requests/s", "p50", "p99"],
        ["demo", "aaaaaaaaaaaa", "onnx-int8", "90%", "1,234", "1.3 ms", "204 ms"],
        ["bbbbbbbbbbbb canary", "-", "10%"],
        ["worker", "state", "restarts", "connections", "memory"],
        ["0", "ready", "0", "31", "131 MiB"],
        ["1", "starting", "2", "0", "-"],
        ["12:00:00", "worker 1: killed by SIGSEGV; restarting"],
        ["Ctrl-C stops it; requests under way are answered first."],
    ]


@pytest.mark.parametrize("width", [30, 45, 60, 71, 72, 100, 200])
@pytest.mark.parametrize("height", [10, 20, 50])
def test_it_fits_terminals_of_any_width(width: int, height: int) -> None:
    lines = drawn(view(), "x" * 500, width=width, height=height)
    assert max(len(line) for line in lines) <= width
    assert not any("Traceback" in line for line in lines)


def test_a_low_terminal_shows_fewer_events_and_workers() -> None:
    idle = WorkerNumbers(restarts=0, connections=0, memory_bytes=0)
    numbers = lately(workers=dict.fromkeys(range(64), idle))
    events = [f"event {number}" for number in range(50)]
    high = drawn(view(numbers), *events, height=50)
    low = drawn(view(numbers), *events, height=24)
    assert "and 56 more" in "\n".join(high)
    assert [line for line in high if "event" in line][-1].endswith("event 49")
    assert len(low) <= 24


def test_a_quarantined_request_is_seen() -> None:
    assert "quarantined" in drawn(view(lately(quarantined=1)))[2]
    assert "quarantined" not in drawn(view())[2]


def test_a_model_that_is_undeployed_is_out_of_service() -> None:
    shown = view()
    state = replace(shown.models["demo"], champion=None, challenger=None, routes={})
    lines = words(drawn(replace(shown, models={"demo": state})))
    assert ["demo", "out of service"] in lines
    assert not any("aaaaaaaaaaaa" in line for line in lines)


def test_before_it_listens_it_says_so() -> None:
    before = View("shop", None, (), {}, None)
    assert words(drawn(before))[0] == ["shop", "starting or stopping"]


def test_what_is_left_is_a_line() -> None:
    assert summary("shop", lately(), 192) == (
        "shop: 45,678 requests in 3 min 12 s, 5 refused, 9 rows abstained from,"
        " workers restarted 2 times."
    )
    assert summary("shop", None, 1) == "shop: stopped before anything was served."


def test_only_what_is_notable_is_an_event() -> None:
    assert notable(b'{"event":"said","worker":0,"text":"accepting failed"}') == (
        "worker 0: accepting failed"
    )
    assert notable(b"terminate called after throwing\x1b[31m an instance\n") == (
        "terminate called after throwing [31m an instance"
    )
    for line in (
        b"",
        b"Traceback (most recent call last):",
        b"  File x",
        b'{"event":"slow"}',
        b"3",
    ):
        assert notable(line) == ""


def test_the_same_again_is_counted(tmp_path: Path) -> None:
    watch = ServerWatch(view, tmp_path / "output.log")
    for text in ("a", "b", "b", "b"):
        watch.announce(text)
    assert [(event.text, event.times) for event in watch._events] == [("a", 1), ("b", 3)]


def test_standard_error_comes_back_and_children_write_to_the_pipe() -> None:
    program = (
        "import subprocess, sys\n"
        "from torchyard.cli.server_watch import _captured\n"
        "lines = []\n"
        "with _captured(lines.append) as terminal:\n"
        "    subprocess.run(['sh', '-c', 'echo from a child >&2'])\n"
        "    print('shown', file=terminal)\n"
        "print(lines, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr == "shown\n[b'from a child\\n']\n"


@pytest.mark.slow
def test_a_server_on_a_terminal_shows_its_screen_and_leaves_a_line(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text("")
    place = Place(tmp_path / ".torchyard")
    place.folder.mkdir()
    place.post("deploy", place.seal())
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "torchyard", "serve", "--port", "0", "--workers", "1"]
    process = subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, cwd=tmp_path,
        env={**os.environ, "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(follower)
    seen = b""

    def shows(text: bytes) -> bool:
        nonlocal seen
        if select.select([leader], [], [], 0.05)[0]:
            try:
                seen += os.read(leader, 1 << 16)
            except OSError:  # the other end is closed
                time.sleep(0.01)
        return text in seen

    try:
        wait_for(lambda: shows(b"  ready"), "the screen")
        assert b"\x1b[?1049h" in seen  # the terminal's other page, so that nothing scrolls
        process.send_signal(signal.SIGINT)
        wait_for(lambda: shows(b"0 requests in"), "the line that is left")
        assert process.wait(20) == 0
        assert seen.index(b"\x1b[?1049l") < seen.index(b"0 requests in")
    finally:
        process.kill()
        process.wait()
        os.close(leader)
