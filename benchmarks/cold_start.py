"""From starting ``torchyard serve`` to the first answer, for a project with a deployed release.

    python benchmarks/cold_start.py FOLDER [--workers 2] [--repeats 10]

A client asks every 20 ms, from before the server starts; the time is the one at which the first 200
with a prediction is whole. Beside it stand the processor time of all processes until they have
ended, which moves less with who else uses the machine, and what an empty Python program takes.

The flights release on two shared cores that others used, median (range) of 4: one worker 1.04 s
(0.84 to 2.19), processor 1.04 s; two workers 1.69 s (1.10 to 2.43), processor 1.31 s. Before
signatures were checked without Sigstore's clients and channels read without SQLAlchemy, the server
said that it was ready after 1.94 to 2.19 s with one worker, on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

from torchyard.yard import Yard


def request_of(yard: Yard) -> tuple[str, bytes]:
    """The route of the newest release's model, and its first golden request."""
    release = yard.find_release()
    body = json.dumps({"rows": release.golden_requests()[:1]}).encode()
    return f"/v1/models/{release.manifest.model}/predict", body


def first_answer_s(folder: Path, path: str, body: bytes, workers: int) -> tuple[float, float]:
    """Seconds from starting the command to its first answer; processor seconds until its end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body)
    used = _used_s()
    began = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "-m", "torchyard", "serve", "--port", str(port), "--workers",
         str(workers), "--project", str(folder)],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while server.poll() is None:
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    json.load(answer)["predictions"]
                took = time.perf_counter() - began
                server.send_signal(signal.SIGTERM)
                server.wait()
                return took, _used_s() - used
            except (URLError, ConnectionError):  # not there yet, or not ready
                time.sleep(0.02)
        raise SystemExit(f"the server ended with status {server.returncode}")
    finally:
        server.terminate()
        server.wait()


def nothing_s() -> tuple[float, float]:
    """Seconds that an empty program takes, and processor seconds."""
    used, began = _used_s(), time.perf_counter()
    subprocess.run([sys.executable, "-c", ""], check=True)
    return time.perf_counter() - began, _used_s() - used


def _used_s() -> float:
    """Processor seconds of the processes that have ended, theirs included that they waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure in turns and print medians with their range."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    path, body = request_of(Yard(options.folder))
    times: dict[str, list[tuple[float, float]]] = {}
    for _ in range(options.repeats):
        times.setdefault("an empty program", []).append(nothing_s())
        for workers in options.workers:
            pair = first_answer_s(options.folder, path, body, workers)
            times.setdefault(f"first answer, workers: {workers}", []).append(pair)
    for name, pairs in times.items():
        took, used = zip(*pairs, strict=True)
        span = f"{statistics.median(took):6.2f} s ({min(took):.2f} to {max(took):.2f})"
        print(f"{name:28}{span}, processor {statistics.median(used):.2f} s")


if __name__ == "__main__":
    main()
