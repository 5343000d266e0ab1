"""Starting one server as a process group of its own, and ending all of it.

What a server leaves behind when its group has ended (some start daemons in groups of their own)
becomes this process's child, and is ended by its number.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_SET_CHILD_SUBREAPER = 36  # Linux, prctl(2)
_GRACE_S = 15.0
PORTS = 5  # some servers listen on more than one
_PORT_RANGE = (20_000, 32_000)


class NotStarted(Exception):
    """Why a server did not come up."""


@contextmanager
def running(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    folder: Path,
    log: Path,
    is_ready: Callable[[], bool],
    timeout_s: float,
) -> Iterator[float]:
    """A server that answers; ended when the block is left.

    Yields:
        How many seconds it took to come up.

    Raises:
        NotStarted: it ended, or did not answer in time; with the end of its log.
    """
    adopt_orphans()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **env}, cwd=folder, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            started = time.monotonic()
            while not is_ready():
                if process.poll() is not None:
                    raise NotStarted(f"ended with {process.returncode}: {last_lines(log)}")
                if time.monotonic() - started > timeout_s:
                    raise NotStarted(f"no answer within {timeout_s:.0f} s: {last_lines(log)}")
                time.sleep(0.1)
            yield time.monotonic() - started
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask the group to end, insist after a while, and do the same with what it left behind."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        deadline = time.monotonic() + _GRACE_S
        while time.monotonic() < deadline and _group_lives(process):
            time.sleep(0.05)
        if not _group_lives(process):
            break
    for kind in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _GRACE_S
        for child in children():
            with suppress(ProcessLookupError):
                os.kill(child, kind)
        while time.monotonic() < deadline and children():
            time.sleep(0.05)


def children() -> list[int]:
    """Processes whose parent is this one, adopted ones too; those that ended are taken leave of."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                if int(parent) == os.getpid():
                    if state == "Z":
                        os.waitpid(int(folder.name), os.WNOHANG)
                    else:
                        found.append(int(folder.name))
    return found


def adopt_orphans() -> None:
    """Make processes whose parent ends children of this one."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on just now, nor on the four after it.

    Below the ports that the system gives to clients, of whom one might come first.
    """
    places = list(range(*_PORT_RANGE, PORTS))
    random.shuffle(places)
    for port in places:
        with ExitStack() as probes, suppress(OSError):
            for one in range(port, port + PORTS):
                probes.enter_context(socket.socket()).bind(("127.0.0.1", one))
            return port
    raise NotStarted(f"no {PORTS} free ports in a row among {_PORT_RANGE}")


def last_lines(log: Path, characters: int = 400) -> str:
    """The end of a log on one line."""
    return " ".join(log.read_text(errors="replace").split())[-characters:]


def _group_lives(process: subprocess.Popen[bytes]) -> bool:
    process.poll()
    children()
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True
