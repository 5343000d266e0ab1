"""Bad requests by the hundred thousand at a real server, a good client beside them.

Prints what they were answered with, the worker's memory before and after, and what must be none:
faults (5xx but 501, 503 and 505, which say what is so; over gRPC INTERNAL, UNKNOWN, DATA_LOSS and
UNAVAILABLE), other workers, wrong answers to the good client. The requests are those of
``tests/fuzz``: the same for the same seed.

    python benchmarks/fuzz.py [--requests N] [--messages N] [--seed S] [--connections C]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.fuzz.driving import Tally, drive, resident_mib, worker_pids
from tests.fuzz.driving_grpc import drive_grpc
from tests.serve.running import Place, Server, serving

WARM = 5_000


def main() -> int:
    """Drive; 1 if anything is as it must not be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000, help="over HTTP, 0 for none")
    parser.add_argument("--messages", type=int, default=20_000, help="over gRPC, 0 for none")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--connections", type=int, default=4)
    given = parser.parse_args()
    more = {"seed": given.seed, "connections": given.connections}
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        place.post("deploy", place.seal())
        with _serving_silently(place) as server:
            fine = [
                _drive(server, way, what, count, **more)
                for way, what, count in (
                    (drive, "requests over HTTP", given.requests),
                    (drive_grpc, "messages over gRPC", given.messages),
                )
                if count
            ]
    return int(not all(fine))


def _drive(
    server: Server, way: Callable[..., Tally], what: str, count: int, *, seed: int, connections: int
) -> bool:
    """Drive one way and tell; whether all was as it must be."""
    way(server, count=min(WARM, count), seed=seed - 1, connections=connections)
    (pid,) = worker_pids(server)
    before, start = resident_mib(pid), time.perf_counter()
    tally = way(server, count=count, seed=seed, connections=connections)
    seconds, after = time.perf_counter() - start, resident_mib(pid)
    is_same = worker_pids(server) == [pid]
    for status, times in sorted(tally.statuses.items(), key=lambda pair: str(pair[0])):
        print(f"{status}: {times:,}")
    print(f"{count:,} bad {what} in {seconds:.0f} s, {tally.good:,} good ones beside them")
    print(f"resident memory of the worker: {before:.1f} MiB before, {after:.1f} after")
    print(f"faults: {len(tally.faults)}; worker the same: {is_same}; wrong: {len(tally.wrong)}")
    for request in tally.faults[:3]:
        print(f"fault: {request!r}")
    for wrong in tally.wrong[:3]:
        print(f"wrong: {wrong}")
    return is_same and not tally.faults and not tally.wrong


@contextmanager
def _serving_silently(place: Place) -> Iterator[Server]:
    """A server whose lines, one for each refusal, go nowhere."""
    own = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    limits: dict[str, Any] = {"max_body_bytes": 200_000, "max_rows": 500, "head_timeout_s": 0.5}
    with serving(place, **limits, grpc_port=0) as server:
        os.dup2(own, 2)
        os.close(own)
        yield server


if __name__ == "__main__":
    sys.exit(main())
