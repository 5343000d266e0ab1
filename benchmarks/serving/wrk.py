"""The load: ``wrk`` with one thread, distinct requests in turn, and what it tells read back."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = Path(__file__).parent / "load.lua"
_RESULT = re.compile(r"^RESULT (.*)$", re.MULTILINE)
_TIMEOUT_S = 30


class NoResult(Exception):
    """wrk ended without its line of numbers."""


@dataclass(frozen=True)
class Load:
    """What one load of ``seconds`` came to. ``broken`` counts connections that failed.

    ``requests`` are the answers that came whole, ``non_2xx`` those of them that were refusals.
    """

    requests: int
    seconds: float
    p50_us: int
    p90_us: int
    p99_us: int
    max_us: int
    non_2xx: int
    broken: int
    timeouts: int

    @property
    def requests_per_s(self) -> float:
        """Good answers a second."""
        return (self.requests - self.non_2xx) / self.seconds


def find_wrk() -> str:
    """The program.

    Raises:
        SystemExit: it is not installed.
    """
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("wrk makes the load and is not installed. Try: apt-get install wrk")
    return found


def wrk_version() -> str:
    """What it says it is."""
    told = subprocess.run([find_wrk(), "--version"], check=False, capture_output=True, text=True)
    return (told.stdout or told.stderr).splitlines()[0].partition(" Copyright")[0].strip()


def write_requests(requests: Sequence[bytes], path: Path) -> Path:
    """Write whole HTTP requests as ``load.lua`` reads them."""
    path.write_bytes(b"".join(b"%d\n%b" % (len(one), one) for one in requests))
    return path


def run_wrk(port: int, requests: Path, *, connections: int, seconds: float) -> Load:
    """Load a server on this machine.

    Args:
        port: where it listens on 127.0.0.1.
        requests: the file that ``write_requests`` wrote.
        connections: how many wait for an answer at any time.
        seconds: how long; wrk counts whole ones.
    """
    whole = max(1, round(seconds))
    command = [
        find_wrk(), "--threads", "1", "--connections", str(connections), "--duration", f"{whole}s",
        "--timeout", f"{_TIMEOUT_S}s", "--script", str(_SCRIPT), f"http://127.0.0.1:{port}",
        "--", str(requests),
    ]  # fmt: skip
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=whole + _TIMEOUT_S + 30
    )
    return parse(done.stdout, done.stderr)


def parse(output: str, errors: str = "") -> Load:
    """Read what ``load.lua`` printed last.

    Raises:
        NoResult: it printed nothing of the kind; the message has what wrk said.
    """
    found = _RESULT.search(output)
    if found is None:
        raise NoResult(f"wrk gave no result: {(errors or output).strip()[-300:]}")
    told = dict(part.split("=") for part in found[1].split())
    numbers = {name: int(value) for name, value in told.items() if name != "seconds"}
    return Load(
        requests=numbers["requests"],
        seconds=float(told["seconds"]),
        p50_us=numbers["p50_us"],
        p90_us=numbers["p90_us"],
        p99_us=numbers["p99_us"],
        max_us=numbers["max_us"],
        non_2xx=numbers["non_2xx"],
        broken=numbers["connect"] + numbers["read"] + numbers["write"],
        timeouts=numbers["timeout"],
    )
